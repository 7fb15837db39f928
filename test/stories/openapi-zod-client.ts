import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createApiClient } from './client.js'

// Compiled and run by generated-clients.proof.ts, beside the client generated in ./client.ts. Prints one line per
// operation and its result.

const [baseUrl = ''] = process.argv.slice(2)
const report = (operation: string, outcome: unknown = '') => console.log(`${operation} ${outcome}`.trimEnd())
const api = createApiClient(baseUrl)
// The generated schema for a binary body is void and would reject it.
const ofBytes = createApiClient(baseUrl, { validate: 'request' })

const user = { username: 'story', password: 'correct horse battery' }
report('register', (await api.registerUser(user)).username)
const { token, duration } = await api.getToken({ auth: user })
report('sign-in', duration)

const headers = { authorization: `Bearer ${token}` }
const file = new File([await readFile('report.pdf')], 'report.pdf', { type: 'application/pdf' })
const uploaded = await api.uploadFile({ file }, { headers })
report('upload', `${uploaded.name} ${uploaded.type} ${uploaded.sha256}`)
const list = async () => (await api.listFiles({ headers, queries: { limit: 10, order: 'newest' } })).files.map(({ name, size }) => `${name}:${size}`).join()
report('list', await list())
const downloaded: unknown = await ofBytes.downloadFile({ headers, params: { name: 'report.pdf' }, responseType: 'arraybuffer' })
report('download', createHash('sha256').update(downloaded as Buffer).digest('hex'))
await ofBytes.deleteFile(undefined, { headers, params: { name: 'report.pdf' } })
report('delete', await list())
