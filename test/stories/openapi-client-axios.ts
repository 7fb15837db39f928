import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { OpenAPIClientAxios } from 'openapi-client-axios'
import type { Client } from './client.js'

// Compiled and run by generated-clients.proof.ts, beside the types in ./client.d.ts. Prints one line per operation and
// its result.

const [baseUrl = ''] = process.argv.slice(2)
const report = (operation: string, outcome: unknown = '') => console.log(`${operation} ${outcome}`.trimEnd())
const client = await new OpenAPIClientAxios({ definition: `${baseUrl}/openapi.json` }).init<Client>()

const user = { username: 'story', password: 'correct horse battery' }
report('register', (await client.registerUser(null, user)).data.username)
const { data: { token, duration } } = await client.getToken(null, undefined, { auth: user })
report('sign-in', duration)
client.defaults.headers.common.authorization = `Bearer ${token}`

const form = new FormData()
form.append('file', new File([await readFile('report.pdf')], 'report.pdf', { type: 'application/pdf' }))
// The generated types declare binary bodies as strings.
const { data: uploaded } = await client.uploadFile(null, form as unknown as { file: string })
report('upload', `${uploaded.name} ${uploaded.type} ${uploaded.sha256}`)
const list = async () => (await client.listFiles({ limit: 10, order: 'newest' })).data.files.map(file => `${file?.name}:${file?.size}`).join()
report('list', await list())
const { data: downloaded } = await client.downloadFile('report.pdf', undefined, { responseType: 'arraybuffer' })
report('download', createHash('sha256').update(downloaded).digest('hex'))
await client.deleteFile('report.pdf')
report('delete', await list())
