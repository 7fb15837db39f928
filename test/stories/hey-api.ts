import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { client } from './sdk/client.gen.js'
import * as sdk from './sdk/index.js'

// Compiled and run by sdk.proof.ts, beside the SDK generated in ./sdk. Prints one line per operation: its name, the status, and the result.

const [baseUrl = ''] = process.argv.slice(2)
const report = (operation: string, { status }: Response, outcome: unknown = '') => console.log(`${operation} ${status} ${outcome}`.trimEnd())

const user = { username: 'story', password: 'correct horse battery' }
client.setConfig({ baseUrl })
report('register', (await sdk.registerUser({ body: user })).response)
const signedIn = await sdk.getToken({ auth: ({ scheme }) => scheme === 'basic' ? `${user.username}:${user.password}` : undefined })
report('sign-in', signedIn.response, signedIn.data?.duration)

client.setConfig({ auth: ({ scheme }) => scheme === 'bearer' ? signedIn.data?.token : undefined })
const large = await openAsBlob('large.bin', { type: 'application/x-story' })
const formed = await sdk.uploadFile({ body: { file: new File([large], 'large.bin', { type: large.type }) } })
report('upload', formed.response, `${formed.data?.type} ${formed.data?.sha256}`)
const put = await sdk.putFile({ path: { name: 'ünïcode plan.bin' }, body: large, headers: { 'Content-Type': large.type } })
report('put', put.response, `${put.data?.type} ${put.data?.sha256}`)

const listed = await sdk.listFiles({ query: { order: 'newest' } })
report('list', listed.response, listed.data?.files.map(({ name, size }) => `${name}:${size}`).join())

const path = { name: 'large.bin' }
const part = await sdk.downloadFile({ path, headers: { range: 'bytes=1000000-1999999' }, parseAs: 'blob' })
await writeFile('part.bin', part.data instanceof Blob ? part.data.stream() : '')
report('range', part.response, part.response.headers.get('content-range'))
const whole = await sdk.downloadFile({ path, parseAs: 'stream' })
// The generated types ignore `parseAs`.
await writeFile('copy.bin', whole.data as unknown as ReadableStream<Uint8Array>)
report('download', whole.response, whole.response.headers.get('repr-digest'))

const renamed = await sdk.renameFile({ path, body: { name: 'renamed.bin' } })
report('rename', renamed.response, renamed.data?.sha256)
const current = whole.response.headers.get('etag') ?? ''
const replace = { path: { name: 'renamed.bin' }, headers: { 'if-match': current }, body: await openAsBlob('other.bin') }
const replaced = await sdk.putFile(replace)
report('replace', replaced.response, replaced.data?.sha256)
const stale = await sdk.putFile(replace)
report('replace-stale', stale.response, stale.error?.code)

report('revoke', (await sdk.endToken()).response)
const refused = await sdk.getResource()
report('refused', refused.response, refused.error?.code)
