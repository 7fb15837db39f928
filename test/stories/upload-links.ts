import { createMagicStore, MagicStoreError, uploadByLink, type UploadLinkTerms } from './sdk/client.js'

// Compiled by sdk.check.ts, beside the client written to ./sdk, and run over a wire that is cut.

const [baseUrl = ''] = process.argv.slice(2)

const store = createMagicStore({ baseUrl, credentials: { username: 'linda', password: 'correct horse battery' } })
await store.register({ username: 'linda', password: 'correct horse battery' })
await store.createFolder('inbox')
const { next: cursor } = await store.changes()

const linkTo = (fileName: string, terms: Partial<UploadLinkTerms> = {}) =>
  store.createUploadLink({ folder: 'inbox', fileName, ...terms })

const codeOf = (promise: Promise<unknown>) => promise.then(() => 'none', (error: unknown) =>
  error instanceof MagicStoreError ? `${error.status} ${error.code}` : (error as Error).name)

/** Sent in one request, and in parts. */
const small = 'hello'
const large = new Blob([new Uint8Array(9 * 1024 ** 2)])
const wrong = { sha256: '0'.repeat(64) }

const link = await linkTo("it's (1)*.txt", { maxBytes: 5 })
const stored = await uploadByLink(link, small)
const retries: unknown[] = []
const cut = await linkTo("it's (2)*.bin")
const whole = await uploadByLink(cut, large, { onRetry: error => retries.push(error) })

const pause = new AbortController()
const later = await linkTo('later.bin')
let id = ''
const onCreated = (created: string) => { id = created }
const onProgress = (sentBytes: number) => { if (sentBytes > 0) pause.abort() }
const paused = await codeOf(uploadByLink(later, large, { signal: pause.signal, onCreated, onProgress }))
const ended = await uploadByLink({ url: later.url, fileName: 'later.bin' }, large, { id })

const names: string[] = []
for await (const { name } of store.list({ folder: 'inbox' })) names.push(name)

const arrived: (number | undefined)[] = []
for (const { linkId } of (await store.changes({ cursor })).changes) arrived.push(linkId)

console.log(JSON.stringify({
  stored,
  whole: [whole.name, whole.size === large.size, retries.length > 0],
  paused: [paused, ended.size === large.size],
  names,
  arrived: arrived.join() === [link.id, cut.id, later.id].join(),
  again: [await codeOf(uploadByLink(link, small)), await codeOf(uploadByLink(cut, large))],
  wrong: [
    await codeOf(uploadByLink(await linkTo('small', wrong), small)),
    await codeOf(uploadByLink(await linkTo('large', wrong), large))
  ],
  tooLarge: [
    await codeOf(uploadByLink(await linkTo('small', { maxBytes: 4 }), small)),
    await codeOf(uploadByLink(await linkTo('large', { maxBytes: 4 }), large))
  ],
  taken: await codeOf(linkTo('later.bin')),
  other: await codeOf(uploadByLink({ ...await linkTo('one'), fileName: 'two' }, small))
}))
