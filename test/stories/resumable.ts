import { createMagicStore } from './sdk/client.js'

// Compiled by sdk.check.ts, beside the client written to ./sdk, and run over a wire that is cut.

const credentials = { username: 'ann', password: 'correct horse battery' }

const piece = Uint8Array.from({ length: 8 * 1024 ** 2 }, (_, index) => index % 251)
const bytes = new Blob(new Array<Uint8Array<ArrayBuffer>>(8).fill(piece), { type: 'application/x-story' })

/** Uploads until 8 MiB more were sent. Returns the id, and the bytes that were already stored. */
async function uploadAndPause (baseUrl: string, id?: string): Promise<{ id: string, first: number, error: string }> {
  const pause = new AbortController()
  const reports: number[] = []
  let created = id ?? ''
  const options = {
    id,
    signal: pause.signal,
    onCreated: (id: string) => { created = id },
    onProgress (sentBytes: number) {
      reports.push(sentBytes)
      if (sentBytes > (reports[0] ?? 0) + piece.length) pause.abort()
    }
  }
  const error = await createMagicStore({ baseUrl, credentials }).putResumable('paused.bin', bytes, options).then(() => 'none', error => error.name)
  return { id: created, first: reports[0] ?? NaN, error }
}

/** A file over a wire that is cut; then another that is paused, continued and paused again. */
async function begin (baseUrl: string): Promise<object> {
  const store = createMagicStore({ baseUrl, credentials })
  await store.register(credentials)
  const reports: number[] = []
  const onProgress = (sentBytes: number) => { reports.push(sentBytes) }
  const { size, type, sha256 } = await store.putResumable('cut.bin', bytes, { onProgress })
  const paused = await uploadAndPause(baseUrl)
  const again = await uploadAndPause(baseUrl, paused.id)
  return {
    cut: { size, type, sha256 },
    progress: [reports[0], reports.at(-1)],
    paused: [paused.error, again.error],
    starts: [paused.first === 0, again.first > 0],
    id: again.id
  }
}

/** The rest of the other file, in a program or a page that knows only its id. */
async function finish (baseUrl: string, id: string): Promise<object> {
  const reports: number[] = []
  const onProgress = (sentBytes: number) => { reports.push(sentBytes) }
  const { size, type, sha256 } = await createMagicStore({ baseUrl, credentials }).putResumable('paused.bin', bytes, { id, onProgress })
  return { file: { size, type, sha256 }, continued: (reports[0] ?? 0) > piece.length, last: reports.at(-1) }
}

const [baseUrl = '', id] = process.argv.slice(2)
console.log(JSON.stringify(id === undefined ? await begin(baseUrl) : await finish(baseUrl, id)))
