import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { authorizationOf, createMagicStore } from './sdk/client.js'

// Compiled and run by sdk.check.ts, beside the SDK generated in ./sdk. Prints one line per operation: its name, the
// status, and the result.

const [baseUrl] = process.argv.slice(2)
const report = (operation: string, { status }: Response, outcome: unknown = '') => console.log(`${operation} ${status} ${outcome}`.trimEnd())

const body = { username: 'story', password: 'correct horse battery' }
const stranger = createMagicStore({ baseUrl })
report('register', (await stranger.api.POST('/api/users', { body })).response)
const signedIn = await stranger.api.GET('/api/token', { headers: { authorization: authorizationOf(body) } })
report('sign-in', signedIn.response, signedIn.data?.duration)

const { api } = createMagicStore({ baseUrl, credentials: { token: signedIn.data?.token ?? '' } })
const large = await openAsBlob('large.bin', { type: 'application/x-story' })
const formed = await api.POST('/', { body: { file: new File([large], 'large.bin', { type: large.type }) } })
report('upload', formed.response, `${formed.data?.type} ${formed.data?.sha256}`)
const put = await api.PUT('/uploads/{name}', { params: { path: { name: 'ünïcode plan.bin' } }, body: large })
report('put', put.response, `${put.data?.type} ${put.data?.sha256}`)

const listed = await api.GET('/api/files', { params: { query: { order: 'newest' } } })
report('list', listed.response, listed.data?.files.map(({ name, size }) => `${name}:${size}`).join())

const path = { name: 'large.bin' }
const part = await api.GET('/uploads/{name}', { params: { path, header: { range: 'bytes=1000000-1999999' } }, parseAs: 'stream' })
await writeFile('part.bin', part.data ?? '')
report('range', part.response, part.response.headers.get('content-range'))
const whole = await api.GET('/uploads/{name}', { params: { path }, parseAs: 'stream' })
await writeFile('copy.bin', whole.data ?? '')
report('download', whole.response, whole.response.headers.get('repr-digest'))

const renamed = await api.PATCH('/api/files/{name}', { params: { path }, body: { name: 'renamed.bin' } })
report('rename', renamed.response, renamed.data?.sha256)
const current = whole.response.headers.get('etag') ?? ''
const replace = { params: { path: { name: 'renamed.bin' }, header: { 'if-match': current } }, body: await openAsBlob('other.bin') }
const replaced = await api.PUT('/uploads/{name}', replace)
report('replace', replaced.response, replaced.data?.sha256)
const stale = await api.PUT('/uploads/{name}', replace)
report('replace-stale', stale.response, stale.error?.code)

report('revoke', (await api.DELETE('/api/token')).response)
const refused = await api.GET('/api/resource')
report('refused', refused.response, refused.error?.code)
