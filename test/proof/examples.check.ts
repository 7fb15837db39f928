import { join } from 'node:path'
import { test } from 'tap'
import { setLock } from '../kit/locks.ts'
import { sharedServer, startServer, type Client } from '../kit/server.ts'
import { TUS } from '../kit/tus.ts'
import { createDrawer, operationsOf, type Document, type Listed } from './arbitraries.ts'
import { answeredBy, ask, askExample, exampleRequests, examplesIn, requestedBy, type Asked, type Walkthrough } from './examples.ts'
import { isOfFactors, walkFactors } from './examples-factors.ts'
import { isOfVisitors, walkLinks } from './examples-links.ts'

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

/** The id of a token in the examples. */
const PERSONAL_TOKEN_ID = 7
const UPLOAD_BYTES = 52417

/** Headers without an example that operations on uploads need. */
const uploadHeaders: Record<string, Record<string, string>> = {
  createUpload: { 'upload-complete': '?0', 'upload-length': String(UPLOAD_BYTES), 'if-match': '*', 'content-disposition': 'inline; filename=report.pdf', 'content-type': 'application/pdf' },
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

async function makeVersion (walkthrough: Walkthrough): Promise<string> {
  for (const body of ['the bytes', 'other bytes']) await ask(walkthrough, 'putFile', { parameters: { name: 'report.pdf' }, body: { body } })
  return (await ask(walkthrough, 'listVersions', { parameters: { name: 'report.pdf' } })).json.versions[0].id
}

async function makeDeleted (walkthrough: Walkthrough): Promise<string> {
  await ask(walkthrough, 'putFile', { parameters: { name: 'report.pdf' }, body: { body: 'the bytes' } })
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

/** Creates what the examples refer to: at least seven tokens, and a file. */
async function prepare (walkthrough: Walkthrough): Promise<void> {
  await renewToken(walkthrough)
  const all = await ask(walkthrough, 'createToken', { body: { json: { name: 'all', scopes: ['files:read', 'files:write', 'account', 'links'] } } })
  for (let id = all.json.id + 1; id <= PERSONAL_TOKEN_ID; id++) await walkthrough.server.send('GET', '/api/token', { token: all.json.token })
  await ask(walkthrough, 'putFile', { parameters: { name: 'report.pdf' }, body: { body: 'the bytes' } })
}

async function renewToken (walkthrough: Walkthrough): Promise<void> {
  walkthrough.token = (await ask(walkthrough, 'getToken')).json.token
}

test('every example of a request is answered with a success', async t => {
  // The examples assume a server at its default address, and its first user.
  const server = await startServer(t, { DATA_DIR: join(t.testdir(), 'first'), PUBLIC_URL: 'http://127.0.0.1:5000', PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0', LINKS: 'on' })
  const document = await readDocument(server)
  const walkthrough: Walkthrough = { server, document, user: ['test_user', 'pwd'], token: '', session: {} }
  const all = operationsOf(document)
  const operations = all.filter(listed => !isOfFactors(listed) && !isOfVisitors(listed))
    .sort((a, b) => LAST.indexOf(a.operation.operationId) - LAST.indexOf(b.operation.operationId))
  const [register] = operations.filter(({ operation }) => operation.operationId === 'registerUser')
  let requests = 0
  for (const listed of [register as Listed, ...operations.filter(each => each !== register)]) {
    const { operationId } = listed.operation
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
  requests += await walkLinks(t, walkthrough, all)
  t.comment(`${requests} requests made of examples`)
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
