import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Api } from './client.js'

// Compiled and run by generated-clients.proof.ts, beside the client generated in ./client.ts. Prints one line per
// operation and its result.

const report = (operation: string, outcome: unknown = '') => console.log(`${operation} ${outcome}`.trimEnd())
const { api, uploadFile, uploads, setSecurityData } = new Api<string>({
  securityWorker: token => token === null ? {} : { headers: { authorization: `Bearer ${token}` } }
})

const user = { username: 'story', password: 'correct horse battery' }
report('register', (await api.registerUser(user)).data.username)
const basic = `Basic ${btoa(`${user.username}:${user.password}`)}`
const { data: { token, duration } } = await api.getToken({ headers: { authorization: basic } })
report('sign-in', duration)
setSecurityData(token)

const file = new File([await readFile('report.pdf')], 'report.pdf', { type: 'application/pdf' })
const { data: uploaded } = await uploadFile({ file })
report('upload', `${uploaded.name} ${uploaded.type} ${uploaded.sha256}`)
const list = async () => (await api.listFiles({ limit: 10, order: 'newest' })).data.files.map(({ name, size }) => `${name}:${size}`).join()
report('list', await list())
const downloaded = await uploads.downloadFile('report.pdf')
report('download', createHash('sha256').update(Buffer.from(await downloaded.arrayBuffer())).digest('hex'))
await uploads.deleteFile('report.pdf')
report('delete', await list())
