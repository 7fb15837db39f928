import { existsSync, mkdirSync, truncateSync } from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { test, type Test } from 'tap'
import { endLocks, setLock } from '../kit/locks.ts'
import { credentials, startS3 } from '../kit/s3.ts'
import { formOf, sharedServer, signUp, startServer, type Answer, type Client, type RunningServer, type SendOptions } from '../kit/server.ts'
import { KIB } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { TUS } from '../kit/tus.ts'
import { until } from '../kit/waiting.ts'
import { exchange } from '../kit/wire.ts'
import { createDrawer, operationsOf, type Document, type Listed } from './arbitraries.ts'
import { answeredBy, ask, askExample, exampleRequests, examplesIn, requestedBy, sentSchemas, type Asked, type Walkthrough } from './examples.ts'
import { clock, impossibleOfFactors, isOfFactors, provokedByFactors, random, walkFactors } from './examples-factors.ts'
import { impossibleOfLinks, isOfVisitors, provokedByLinks, walkLinks } from './examples-links.ts'

async function readDocument (client: Client): Promise<Document> {
  return (await client.send('GET', '/openapi.json')).json
}

test('every example matches the schema that it stands beside', async t => {
  const document = await readDocument(await sharedServer())
  const { isValid } = createDrawer(document, {})
  const { schemas, examples } = document.components
  const all = [
    ...Object.entries(schemas).flatMap(([name, schema]) => examplesIn(name, schema)),
    ...Object.entries(examples).map(([where, { value }]) => ({ where, value, schema: { $ref: '#/components/schemas/Problem' } })),
    ...operationsOf(document).flatMap(listed => [...requestedBy(listed), ...answeredBy(listed)])
  ]
  for (const { where, value, schema } of all) t.ok(isValid(schema, value), `${where}: ${JSON.stringify(value)}`)
  t.comment(`${all.length} examples compared with their schemas`)
})

/** Examples of responses that a test can't produce. */
const impossible: Record<string, string> = {
  ...impossibleOfFactors,
  ...impossibleOfLinks,
  'Readiness.bucket': 'the server has no bucket',
  'Readiness.backup': 'no backup was made',
  'User.createdAt': clock,
  'Account.createdAt': clock,
  'AccountEvent.createdAt': clock,
  'Token.createdAt': clock,
  'PersonalToken.createdAt': clock,
  'Upload.createdAt': clock,
  'Upload.expiresAt': clock,
  'Upload.id': random,
  'Change.at': clock,
  'Version.createdAt': clock,
  'Version.replacedAt': clock,
  'Version.expiresAt': clock,
  'Version.id': random,
  'DeletedFile.deletedAt': clock,
  'DeletedFile.expiresAt': clock,
  'DeletedFile.id': random,
  'Folder.createdAt': clock,
  'StoredFile.createdAt': clock,
  'StoredFile.updatedAt': clock,
  'AccessToken.token': random,
  'NewSession.key': random,
  'NewSession.token': random,
  'Session.token': random,
  'PersonalToken.token': random,
  'ServiceFacts.version': 'another version is running',
  'headFile 200': 'an answer to HEAD has no body'
}

/** The meaning of the ids and names in the examples. */
const PERSONAL_TOKEN_ID = 7
const LAST_LISTED_ID = 17
const EXAMPLE_SIZE = 52417
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** Headers without an example that operations on uploads need. */
const uploadHeaders: Record<string, Record<string, string>> = {
  createUpload: { 'upload-complete': '?0', 'upload-length': String(EXAMPLE_SIZE), 'if-match': '*', 'content-disposition': 'inline; filename=report.pdf', 'content-type': 'application/pdf' },
  appendUpload: { ...TUS, 'upload-offset': '9', 'content-type': 'application/offset+octet-stream' },
  overrideUpload: { ...TUS, 'x-http-method-override': 'HEAD' }
}

/** The request with what no example can give: the id of an upload, of a version or of a deleted file, and headers. */
async function withIds (
  walkthrough: Walkthrough, { path, operation: { operationId } }: Listed, request: Asked
): Promise<Asked> {
  const headers = uploadHeaders[operationId] ?? {}
  if (path.includes('/versions/{id}')) return { ...request, parameters: { ...request.parameters, id: await makeVersion(walkthrough) } }
  if (operationId === 'restoreDeletion') return { ...request, body: { json: { deletedWith: await makeDeletion(walkthrough) } } }
  if (path.includes('/trash/{id}')) return { ...request, parameters: { ...request.parameters, id: await makeDeleted(walkthrough) } }
  if (operationId.startsWith('break')) await setLock(walkthrough.server.dataDir, String(request.parameters?.name))
  if (path.startsWith('/api/links/{id}')) return { ...request, parameters: { ...request.parameters, id: (await ask(walkthrough, 'createLink', { body: { json: { name: 'report.pdf', kind: 'download' } } })).json.id } }
  if (path !== '/api/uploads/{id}') return { ...request, headers }
  const { json: { id } } = await ask(walkthrough, 'createUpload', { body: { body: 'the bytes' }, headers: uploadHeaders.createUpload ?? {} })
  return { ...request, parameters: { ...request.parameters, id }, headers }
}

/** A version with the bytes of the example. */
async function makeVersion (walkthrough: Walkthrough): Promise<string> {
  for (const body of [Buffer.alloc(EXAMPLE_SIZE), 'other bytes']) await ask(walkthrough, 'putFile', { parameters: { name: 'report.pdf' }, body: { body, headers: { 'content-type': 'application/pdf' } } })
  return (await ask(walkthrough, 'listVersions', { parameters: { name: 'report.pdf' } })).json.versions[0].id
}

/** A deleted file with the bytes of the example, and no versions. */
async function makeDeleted (walkthrough: Walkthrough): Promise<string> {
  await ask(walkthrough, 'deleteFile', { parameters: { name: 'report.pdf', permanent: true } })
  await ask(walkthrough, 'putFile', { parameters: { name: 'report.pdf' }, body: { body: Buffer.alloc(EXAMPLE_SIZE), headers: { 'content-type': 'application/pdf' } } })
  await ask(walkthrough, 'deleteFile', { parameters: { name: 'report.pdf' } })
  return (await ask(walkthrough, 'listTrash')).json.files[0].id
}

/** A deletion of a folder with three files, the name of one of which is taken again. */
async function makeDeletion (walkthrough: Walkthrough): Promise<string> {
  const store = (name: string, body: string) => ask(walkthrough, 'putFile', { parameters: { name: `reports/2026/${name}` }, body: { body } })
  for (const name of ['q1.pdf', 'q2.pdf', 'q3.pdf']) await store(name, name)
  await ask(walkthrough, 'deleteFolder', { parameters: { name: 'reports', recursive: true } })
  await store('q1.pdf', 'other bytes')
  return (await ask(walkthrough, 'listTrash')).json.files[0].deletedWith
}

/** Operations that delete what others need are last. */
const LAST = ['deleteFile', 'deleteToken', 'endToken', 'deleteTokens', 'changePassword', 'deleteAccount']

/**
 * Creates what the examples refer to: the first user, at least seven tokens, and three files with a known total size.
 */
async function prepare (walkthrough: Walkthrough): Promise<void> {
  await renewToken(walkthrough)
  const all = await ask(walkthrough, 'createToken', { body: { json: { name: 'all', scopes: ['files:read', 'files:write', 'account', 'links'] } } })
  const issueToken = () => walkthrough.server.send('GET', '/api/token', { token: all.json.token })
  for (let id = all.json.id + 1; id < PERSONAL_TOKEN_ID; id++) await issueToken()
  const { json: { id } } = await ask(walkthrough, 'createToken', { body: { json: { name: 'backup script', scopes: ['files:read'], expiresAt: '2099-11-24T09:30:00Z' } } })
  for (let next = id + 1; next <= LAST_LISTED_ID; next++) await issueToken()
  for (const name of ['empty', 'also empty']) await ask(walkthrough, 'putFile', { parameters: { name }, body: { body: '' } })
  await ask(walkthrough, 'putFile', { parameters: { name: 'report.pdf' }, body: { body: Buffer.alloc(EXAMPLE_SIZE), headers: { 'content-type': 'application/pdf' } } })
  await ask(walkthrough, 'getAccount')
}

async function renewToken (walkthrough: Walkthrough): Promise<void> {
  walkthrough.token = (await ask(walkthrough, 'getToken')).json.token
}

/** Calls with responses that no example request produces. */
async function askForMore (walkthrough: Walkthrough): Promise<void> {
  await ask(walkthrough, 'putFile', { parameters: { name: 'report.pdf' }, body: { body: 'the bytes' } })
  await ask(walkthrough, 'downloadFile', { parameters: { name: 'report.pdf' }, headers: { range: 'bytes=0-8' } })
  await ask(walkthrough, 'downloadFile', { parameters: { name: 'nothing' } })
  await ask(walkthrough, 'putFile', { parameters: { name: 'nothing' }, body: { body: 'bytes' }, headers: { 'content-range': 'bytes 5-9/10' } })
  await ask(walkthrough, 'registerUser', { body: { json: { username: '', password: 'pwd' } } })
  await ask(walkthrough, 'createSession', { headers: { 'user-agent': FIREFOX } })
  const { json: { next } } = await ask(walkthrough, 'listChanges')
  await ask(walkthrough, 'putFile', { parameters: { name: 'reports/q1.pdf' }, body: { body: 'the bytes' } })
  await ask(walkthrough, 'renameFile', { parameters: { name: 'reports/q1.pdf' }, body: { json: { name: 'reports/q2.pdf' } } })
  await ask(walkthrough, 'listChanges', { parameters: { cursor: next } })
  const { json: { tokens } } = await ask(walkthrough, 'listTokens')
  await ask(walkthrough, 'listTokens', { parameters: { limit: tokens.findIndex(({ id }: { id: number }) => id === LAST_LISTED_ID) + 1 } })
  const { json: { events: [latest] } } = await ask(walkthrough, 'listEvents')
  await ask(walkthrough, 'listEvents', { parameters: { limit: latest.id - LAST_LISTED_ID + 1 } })
}

test('every example of a request is answered with a success, and every example of an answer is given', async t => {
  // The examples assume a server at its default address, behind a proxy that sets request ids.
  const server = await startServer(t, { DATA_DIR: join(t.testdir(), 'first'), PUBLIC_URL: 'http://127.0.0.1:5000', TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0', LINKS: 'on' })
  const named = { send: (method: string, path: string, options: SendOptions = {}) => server.send(method, path, { ...options, headers: { 'x-request-id': '9b3a2a3e-6a0f-4c36-8f0e-2f1d3b5c7a90', ...options.headers } }) }
  const document = await readDocument(server)
  const walkthrough: Walkthrough = { server: { ...server, ...named }, document, seen: new Map(), user: ['test_user', 'pwd'], token: '', session: {} }
  const operations = operationsOf(document).filter(listed => !isOfFactors(listed) && !isOfVisitors(listed))
    .sort((a, b) => LAST.indexOf(a.operation.operationId) - LAST.indexOf(b.operation.operationId))
  const [register] = operations.filter(({ operation }) => operation.operationId === 'registerUser')
  let requests = 0
  for (const listed of [register as Listed, ...operations.filter(each => each !== register)]) {
    const { operationId } = listed.operation
    if (operationId === 'deleteFile') await askForMore(walkthrough)
    for (const example of exampleRequests(listed, document)) {
      await restore(walkthrough, operationId)
      const filled = await withIds(walkthrough, listed, example)
      await askExample(t, walkthrough, operationId, { example, filled })
      requests++
    }
    if (operationId === 'registerUser') await prepare(walkthrough)
    if (operationId === 'changePassword') walkthrough.user = ['test_user', 'a longer secret']
  }
  requests += await walkFactors(t, walkthrough)
  const all = operationsOf(document)
  requests += await walkLinks(t, walkthrough, all)
  const sent = sentSchemas(document, all)
  const examples = [...Object.entries(document.components.schemas).filter(([name]) => !sent.has(name))
    .flatMap(([name, schema]) => examplesIn(name, schema)), ...all.flatMap(answeredBy)]
  for (const { where, value } of examples) {
    if (impossible[where] === undefined) t.ok(walkthrough.seen.get(where)?.some(each => isDeepStrictEqual(each, value)), `${where}: ${JSON.stringify(value)}`)
  }
  for (const where of Object.keys(impossible)) t.ok(examples.some(example => example.where === where), `${where} is an example`)
  t.comment(`${requests} requests made of examples, ${examples.length} examples of answers, ${Object.keys(impossible).length} of them impossible`)
})

/** Restores what the previous request deleted. */
async function restore (walkthrough: Walkthrough, operationId: string): Promise<void> {
  if (walkthrough.token === '') return
  if ((await walkthrough.server.send('GET', '/api/resource', { token: walkthrough.token })).status !== 200) await renewToken(walkthrough)
  const { token } = walkthrough
  await walkthrough.server.send('DELETE', '/uploads/report-2026.pdf', { token })
  await walkthrough.server.send('DELETE', '/api/folders/archive?recursive=true', { token })
  await walkthrough.server.send('PUT', '/api/folders/reports%2F2026', { token })
  const { status } = await walkthrough.server.send('HEAD', '/uploads/report.pdf', { token })
  if (status === 404 && operationId !== 'uploadFile') await walkthrough.server.send('PUT', '/uploads/report.pdf', { token, body: 'the bytes' })
  if (status === 200 && operationId === 'uploadFile') await walkthrough.server.send('DELETE', '/uploads/report.pdf', { token })
}

/** A server, and a user with files. */
interface Fixture { t: Test, server: RunningServer, user: [string, string], token: string, readToken: string }

type Problem = Pick<Answer, 'status' | 'json'>

const NO_SUCH_DIGEST = `sha-256=:${Buffer.alloc(32).toString('base64')}:`

const put = ({ server, token }: Fixture, name: string, options: SendOptions = {}) => server.send('PUT', `/uploads/${name}`, { token, body: 'bytes', ...options })
const form = ({ server, token }: Fixture, options: SendOptions) => server.send('POST', '/', { token, ...options })
const register = ({ server }: Fixture, username: string, password = 'pwd') => server.send('POST', '/api/users', { json: { username, password } })
const resource = ({ server }: Fixture, options: SendOptions = {}) => server.send('GET', '/api/resource', options)

const createUpload = ({ server, token }: Fixture, headers: Record<string, string>) => server.send('POST', '/api/uploads', { token, headers: { 'upload-metadata': `filename ${btoa('a.txt')}`, ...headers } })
const append = (
  { server, token }: Fixture, { json: { id } }: Answer, { offset, body }: { offset: number, body: string }
) =>
  server.send('PATCH', `/api/uploads/${id}`, { token, body, headers: { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' } })

async function wired ({ server }: Fixture, lines: string[]): Promise<Problem> {
  const [answer] = await exchange(server.port, { bytes: Buffer.from([...lines, '', ''].join('\r\n')), method: 'GET', isCut: false })
  return { status: Number(answer?.status), json: JSON.parse(String(answer?.body)) }
}

/** A new account at a server with these settings. */
async function openAccount (settings: Record<string, string> = {}) {
  const server = await sharedServer(settings)
  return { server, ...await signUp(server) }
}

/** How to provoke each problem. */
const provoked: Record<string, (fixture: Fixture) => Promise<Problem>> = {
  malformed_request: fixture => wired(fixture, ['GET / HTTP/1.1', 'Host: a', 'Host: b', 'Connection: close']),
  malformed_url: ({ server }) => server.send('GET', '/uploads/%zz'),
  malformed_json: ({ server }) => server.send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: '{' }),
  validation_failed: ({ server }) => server.send('POST', '/api/users', { json: {} }),
  username_taken: fixture => register(fixture, fixture.user[0]),
  username_invalid: fixture => register(fixture, 'a:b'),
  password_invalid: fixture => register(fixture, 'zoe', 'x'.repeat(1025)),
  user_unknown: ({ server }) => server.send('GET', '/api/users/999'),
  token_needed: ({ server, user }) => server.send('DELETE', '/api/token', { user }),
  name_invalid: fixture => put(fixture, '%2E%2E'),
  async folder_into_itself ({ server, token }) {
    await server.send('PUT', '/api/folders/a', { token })
    return server.send('PATCH', '/api/folders/a', { token, json: { name: 'a/b' } })
  },
  async folder_not_empty ({ server, token }) {
    await server.send('PUT', '/api/folders/c%2Fd', { token })
    return server.send('DELETE', '/api/folders/c', { token })
  },
  malformed_multipart: fixture => form(fixture, { headers: { 'content-type': 'multipart/form-data' }, body: 'x' }),
  file_missing: fixture => form(fixture, { headers: formOf('', '').headers, body: '--boundary-of-a-test\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--boundary-of-a-test--\r\n' }),
  file_unexpected: fixture => form(fixture, formOf('a.txt', 'bytes', { field: 'other' })),
  upload_incomplete: fixture => { const { headers, body } = formOf('a.txt', 'bytes'); return form(fixture, { headers, body: body.subarray(0, -10) }) },
  partial_upload: fixture => createUpload(fixture, { ...TUS, 'upload-length': '1', 'content-range': 'bytes 0-0/1' }),
  content_range_invalid: fixture => put(fixture, 'a.txt', { headers: { 'content-range': 'bytes 0-4/10' } }),
  upload_header_invalid: fixture => createUpload(fixture, TUS),
  upload_protocol_missing: fixture => createUpload(fixture, {}),
  upload_length_inconsistent: fixture => put(fixture, 'a.txt', { headers: { 'upload-complete': '?1', 'upload-length': '6' } }),
  async upload_completed (fixture) {
    const upload = await createUpload(fixture, { ...TUS, 'upload-length': '0' })
    return append(fixture, upload, { offset: 0, body: 'x' })
  },
  async upload_offset_mismatch (fixture) {
    const upload = await createUpload(fixture, { ...TUS, 'upload-length': '1', 'upload-metadata': `filename ${btoa('b.txt')}` })
    return append(fixture, upload, { offset: 1, body: '' })
  },
  async upload_taken_over (fixture) {
    const { server, token } = await openAccount()
    const upload = await createUpload({ ...fixture, server, token }, { ...TUS, 'upload-length': '5' })
    const { id, expiresAt } = upload.json
    const older = connect(server.port, '127.0.0.1')
    older.write(`PATCH /api/uploads/${id} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 5\r\n\r\n`)
    // The append renews the expiry.
    const get = async () => (await server.send('GET', `/api/uploads/${id}`, { token })).json.expiresAt
    await until(get, renewed => renewed !== expiresAt)
    await server.send('HEAD', `/api/uploads/${id}`, { token })
    const [head = '', body = ''] = Buffer.concat(await older.toArray()).toString().split('\r\n\r\n')
    return { status: Number(head.split(' ')[1]), json: JSON.parse(body) }
  },
  tus_version_unsupported: fixture => createUpload(fixture, { 'tus-resumable': '0.2.2' }),
  async too_many_uploads (fixture) {
    const { server, token } = await openAccount()
    const create = () => createUpload({ ...fixture, server, token }, { ...TUS, 'upload-length': '1' })
    const { json: { id } } = await create()
    const [row = {}] = await runSql(server.dataDir, `SELECT * FROM uploads WHERE id = '${id}'`)
    const columns = Object.keys(row).filter(name => name !== 'sequence')
    const copied = columns.map(name => ['id', 'blob_id'].includes(name) ? "printf('%032x', n)" : name)
    await runSql(server.dataDir, `
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999)
      INSERT INTO uploads (${columns.join()}) SELECT ${copied.join()} FROM uploads, numbers WHERE id = '${id}'`)
    return create()
  },
  digest_malformed: fixture => put(fixture, 'a.txt', { headers: { 'content-digest': 'sha-256=1' } }),
  digest_mismatch: fixture => put(fixture, 'a.txt', { headers: { 'content-digest': NO_SUCH_DIGEST } }),
  credentials_missing: resource,
  credentials_malformed: fixture => resource(fixture, { headers: { authorization: 'Basic !' } }),
  credentials_wrong: fixture => resource(fixture, { user: [fixture.user[0], 'wrong'] }),
  password_required: ({ server, token }) => server.send('POST', '/api/tokens', { token, json: { name: 'a', scopes: ['account'] } }),
  token_malformed: fixture => resource(fixture, { token: 'x' }),
  async token_expired (fixture) {
    const { json } = await fixture.server.send('POST', '/api/tokens', { user: fixture.user, json: { name: 'brief', scopes: ['account'] } })
    await runSql(fixture.server.dataDir, `UPDATE tokens SET expires_at = 1 WHERE id = ${json.id}`)
    return resource(fixture, { token: json.token })
  },
  async token_revoked (fixture) {
    const { json: { token } } = await fixture.server.send('GET', '/api/token', { user: fixture.user })
    await fixture.server.send('DELETE', '/api/token', { token })
    return resource(fixture, { token })
  },
  insufficient_scope: fixture => put({ ...fixture, token: fixture.readToken }, 'a.txt'),
  async tls_required () {
    const server = await sharedServer({ TRUST_PROXY: '127.0.0.1' })
    return server.send('GET', '/api/token', { user: ['ann', 'pwd'], headers: { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'http' } })
  },
  async registration_closed (fixture) {
    return register({ ...fixture, server: await sharedServer({ REGISTRATION: 'closed' }) }, 'zoe')
  },
  not_found: ({ server, token }) => server.send('GET', '/uploads/nothing', { token }),
  name_taken: fixture => form(fixture, formOf('present.txt', 'other bytes')),
  precondition_failed: fixture => put(fixture, 'present.txt', { headers: { 'if-none-match': '*' } }),
  body_too_large: ({ server }) => server.send('POST', '/api/users', { json: { username: 'a', password: 'x'.repeat(64 * KIB) } }),
  file_too_large: fixture => put(fixture, 'a.txt', { body: 'x'.repeat(101) }),
  quota_exceeded: fixture => put(fixture, 'a.txt', { body: 'x'.repeat(100) }),
  unsupported_media_type: ({ server }) => server.send('POST', '/api/users', { headers: { 'content-type': 'text/plain' }, body: '{}' }),
  content_encoding_unsupported: fixture => put(fixture, 'a.txt', { headers: { 'content-encoding': 'gzip' } }),
  extension_not_allowed: fixture => put(fixture, 'a.exe'),
  async file_locked (fixture) {
    await setLock(fixture.server.dataDir, 'present.txt')
    const answer = await put(fixture, 'present.txt')
    await endLocks(fixture.server.dataDir)
    return answer
  },
  range_not_satisfiable: ({ server, token }) => server.send('GET', '/uploads/present.txt', { token, headers: { range: 'bytes=100-' } }),
  async too_many_requests () {
    const server = await sharedServer({ RATE_LIMIT_PER_MINUTE: '1' })
    await server.send('GET', '/')
    return server.send('GET', '/')
  },
  async too_many_sign_ins (fixture) {
    const server = await sharedServer({ SIGN_IN_FAILURES: '1' })
    await resource({ ...fixture, server }, { user: ['ann', 'wrong'] })
    return resource({ ...fixture, server }, { user: ['ann', 'wrong'] })
  },
  async too_many_registrations (fixture) {
    const server = await sharedServer({ REGISTRATIONS_PER_HOUR: '1' })
    await register({ ...fixture, server }, 'first')
    return register({ ...fixture, server }, 'second')
  },
  async file_damaged (fixture) {
    const { server, token, id } = await openAccount()
    await put({ ...fixture, server, token }, 'a.txt')
    const [row] = await runSql(server.dataDir, `SELECT blob_id FROM files WHERE owner_id = ${id}`)
    const blobId = String(row?.blob_id)
    const blob = join(server.dataDir, 'blobs', blobId.slice(0, 2), blobId)
    await until(() => existsSync(blob))
    truncateSync(blob)
    return server.send('GET', '/uploads/a.txt', { token })
  },
  async stopping ({ t }) {
    const server = await startServer(t)
    const socket = connect(server.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET / HTTP/1.1\r\nHost: te')
    // When this is answered, everything sent before has arrived.
    await server.send('GET', '/')
    const closed = server.close()
    socket.write('st\r\n\r\n')
    const [head = '', body = ''] = Buffer.concat(await socket.toArray()).toString().split('\r\n\r\n')
    await closed
    return { status: Number(head.split(' ')[1]), json: JSON.parse(body) }
  },
  cross_site_request: ({ server }) => server.send('POST', '/api/users', { headers: { 'sec-fetch-site': 'cross-site' }, json: {} }),
  async too_many_transfers () {
    const { server, token } = await openAccount()
    // Uploads whose body never arrives. 100 Continue shows that each has begun.
    const sockets = Array.from({ length: 256 }, () => connect(server.port, '127.0.0.1').on('error', () => {}))
    for (const [index, socket] of sockets.entries()) socket.write(`PUT /uploads/${index} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
    await Promise.all(sockets.map(socket => once(socket, 'data')))
    const answer = await server.send('GET', '/uploads/none', { token })
    for (const socket of sockets) socket.destroy()
    return answer
  },
  async too_many_waiting () {
    const { server, token } = await openAccount()
    const { json: { next } } = await server.send('GET', '/api/changes', { token })
    const path = `/api/changes?wait=60&cursor=${next}`
    const sockets = Array.from({ length: 100 }, () => connect(server.port, '127.0.0.1').on('error', () => {}))
    for (const socket of sockets) socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`)
    await until(() => server.countWaiting() === sockets.length)
    const answer = await server.send('GET', path, { token })
    for (const socket of sockets) socket.destroy()
    return answer
  },
  async zip_too_large () {
    const { server, token, id } = await openAccount()
    await runSql(server.dataDir, `
      WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
      INSERT INTO files (owner_id, name, size, type, sha256, blob_id, created_at, updated_at)
      SELECT ${id}, n, 1, 'text/plain', '', n, 0, 0 FROM numbers`)
    return server.send('GET', '/api/zip', { token })
  },
  async too_many_tokens () {
    const { server, user, id } = await openAccount()
    await runSql(server.dataDir, `DELETE FROM tokens WHERE account_id = ${id}`)
    await runSql(server.dataDir, `
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)
      INSERT INTO tokens (account_id, kind, scopes, created_at) SELECT ${id}, 'personal', 'account', 0 FROM numbers`)
    return server.send('GET', '/api/token', { user })
  },
  async overloaded (fixture) {
    const { server, token } = await openAccount({ MAX_MEMORY_BYTES: '1' })
    // Memory refuses a request only while more than 16 are in progress.
    for (let count = 0; count < 17; count++) {
      const upload = connect(server.port, '127.0.0.1').on('error', () => {})
      upload.write(`PUT /uploads/${count}.txt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Length: 5\r\n\r\n`)
      fixture.t.teardown(() => upload.destroy())
    }
    // The process checks its memory once a second.
    return until(() => server.send('GET', '/'), ({ status }) => status !== 200)
  },
  async unavailable (fixture) {
    const s3 = await startS3(fixture.t.testdir())
    Object.assign(process.env, credentials)
    const server = await startServer(fixture.t, { DATA_DIR: join(fixture.t.testdirName, 'data'), STORAGE_URL: s3.url() })
    const { token } = await signUp(server, 'ann')
    await put({ ...fixture, server, token }, 'a.txt')
    await s3.stop()
    return server.send('GET', '/uploads/a.txt', { token })
  },
  async not_ready ({ t }) {
    const server = await startServer(t)
    // The folder in which the server checks that the disk is writable.
    mkdirSync(join(server.dataDir, 'probe'))
    return server.send('GET', '/health/ready')
  },
  async storage_full (fixture) {
    const { server, token } = await openAccount({ MIN_FREE_BYTES: String(Number.MAX_SAFE_INTEGER) })
    return put({ ...fixture, server, token }, 'a.txt')
  }
}

test('every example of a problem is answered, with the same type, title, status and code', async t => {
  const server = await sharedServer({ MAX_FILE_BYTES: '100', QUOTA_BYTES: '104', ALLOWED_EXTENSIONS: 'txt' })
  const { user, token } = await signUp(server, 'ann')
  const { json: { token: readToken } } = await server.send('POST', '/api/tokens', { user, json: { name: 'reader', scopes: ['files:read'] } })
  await server.send('PUT', '/uploads/present.txt', { token, body: 'bytes' })
  const { components: { examples } } = await readDocument(server)
  const all: typeof provoked = { ...provoked, ...provokedByFactors, ...provokedByLinks }
  for (const [code, { value: { type, title, status } }] of Object.entries(examples)) {
    const provoke = all[code]
    if (provoke === undefined) t.fail(`nothing here brings ${code} about`)
    else await t.test(code, async t => t.match(await provoke({ t, server, user, token, readToken }), { status, json: { type, title, status, code, detail: /./ } }))
  }
  for (const code of Object.keys(all)) t.ok(examples[code] !== undefined, `${code} is documented`)
  t.comment(`${Object.keys(examples).length} examples of problems`)
})
