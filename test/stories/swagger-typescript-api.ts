import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Api } from './client.js'

// Compiled and run by generated-clients.proof.ts, beside the client generated in ./client.ts. Prints one line per operation and its result.

const tell = (act: string, outcome: unknown = '') => console.log(`${act} ${outcome}`.trimEnd())
const { api, uploadFile, uploads, setSecurityData } = new Api<string>({
  securityWorker: token => token === null ? {} : { headers: { authorization: `Bearer ${token}` } }
})

const person = { username: 'story', password: 'correct horse battery' }
tell('register', (await api.registerUser(person)).data.username)
const basic = `Basic ${btoa(`${person.username}:${person.password}`)}`
const { data: { token, duration } } = await api.getToken({ headers: { authorization: basic } })
tell('sign-in', duration)
setSecurityData(token)

const file = new File([await readFile('report.pdf')], 'report.pdf', { type: 'application/pdf' })
const { data: uploaded } = await uploadFile({ file })
tell('upload', `${uploaded.name} ${uploaded.type} ${uploaded.sha256}`)
const list = async () => (await api.listFiles({ limit: 10, order: 'newest' })).data.files.map(({ name, size }) => `${name}:${size}`).join()
tell('list', await list())
const downloaded = await uploads.downloadFile('report.pdf')
tell('download', createHash('sha256').update(Buffer.from(await downloaded.arrayBuffer())).digest('hex'))
await uploads.deleteFile('report.pdf')
tell('delete', await list())
