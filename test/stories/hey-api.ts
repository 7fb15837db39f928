import { createHash } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { client } from './sdk/client.gen.js'
import * as sdk from './sdk/index.js'

// Compiled and run by generated-clients.proof.ts, beside the SDK generated in ./sdk. Prints one line per operation and
// its result.

const [baseUrl = ''] = process.argv.slice(2)
const report = (operation: string, outcome: unknown = '') => console.log(`${operation} ${outcome}`.trimEnd())

const user = { username: 'story', password: 'correct horse battery' }
client.setConfig({ baseUrl })
report('register', (await sdk.registerUser({ body: user })).data?.username)
const { data: signedIn } = await sdk.getToken({ auth: ({ scheme }) => scheme === 'basic' ? `${user.username}:${user.password}` : undefined })
report('sign-in', signedIn?.duration)

client.setConfig({ auth: ({ scheme }) => scheme === 'bearer' ? signedIn?.token : undefined })
const file = new File([await openAsBlob('report.pdf')], 'report.pdf', { type: 'application/pdf' })
const { data: uploaded } = await sdk.uploadFile({ body: { file } })
report('upload', `${uploaded?.name} ${uploaded?.type} ${uploaded?.sha256}`)
const list = async () => (await sdk.listFiles({ query: { order: 'newest' } })).data?.files.map(({ name, size }) => `${name}:${size}`).join()
report('list', await list())
const path = { name: 'report.pdf' }
// The generated types ignore `parseAs`.
const downloaded = (await sdk.downloadFile({ path, parseAs: 'stream' })).data as unknown as ReadableStream<Uint8Array>
report('download', createHash('sha256').update(Buffer.from(await new Response(downloaded).arrayBuffer())).digest('hex'))
await sdk.deleteFile({ path })
report('delete', await list())
