import { join } from 'node:path'
import type { Test } from 'tap'
import { createLink } from '../kit/links.ts'
import { sharedServer, signUp, startServer, type Answer } from '../kit/server.ts'
import { runSql } from '../kit/stores.ts'
import { TUS } from '../kit/tus.ts'
import type { Listed } from './arbitraries.ts'
import { ask, askExample, exampleRequests, type Asked, type Walkthrough } from './examples.ts'
import { clock, random } from './examples-factors.ts'

// The examples of links and their visitors.

/** Examples of responses that a test can't produce. */
export const impossibleOfLinks: Record<string, string> = {
  'Link.createdAt': clock,
  'Link.expiresAt': clock,
  'CreatedLink.createdAt': clock,
  'CreatedLink.expiresAt': clock,
  'CreatedLink.url': random,
  'SharedFile.createdAt': clock,
  'SharedFile.updatedAt': clock,
  'SharedFile.url': random,
  'SharedFolder.createdAt': clock,
  'SharedFolder.url': random,
  'headSharedFile 200': 'an answer to HEAD has no body'
}

export const isOfVisitors = ({ path }: Listed): boolean => path.startsWith('/s/')

const SIZE = 52417
const END = '2099-11-24T09:30:00.000Z'

/** Headers without an example. */
const headers: Record<string, Record<string, string>> = {
  createSharedUpload: { 'upload-complete': '?0', 'upload-length': String(SIZE), 'content-disposition': 'inline; filename=report.pdf', 'content-type': 'application/pdf' },
  appendSharedUpload: { ...TUS, 'upload-offset': '9', 'content-type': 'application/offset+octet-stream' },
  overrideSharedUpload: { ...TUS, 'x-http-method-override': 'HEAD' }
}

const uploads = /^(?:put|upload)SharedFile$|SharedUpload$/

/** The request with the secret of a link, and the id of an upload by it. */
async function withLink (
  walkthrough: Walkthrough, { path, operation: { operationId } }: Listed, request: Asked
): Promise<Asked> {
  const json = uploads.test(operationId) ? { name: 'inbox', kind: 'upload' } : { name: 'report.pdf', kind: 'download' }
  const locked = operationId === 'unlockLink' ? { password: 'tell it by phone' } : {}
  const { secret } = await createLink(walkthrough.server, walkthrough, { ...json, ...locked, expiresAt: END })
  const parameters: Record<string, unknown> = { ...request.parameters, secret }
  if (path.includes('{id}')) {
    const created = await ask(walkthrough, 'createSharedUpload', { parameters: { secret }, body: { body: 'the bytes' }, headers: headers.createSharedUpload ?? {} })
    parameters.id = created.json.id
  }
  return { ...request, parameters, headers: headers[operationId] ?? {} }
}

/** Makes the requests of the examples at a server with links. Returns how many they are. */
export async function walkLinks (t: Test, { document, seen }: Walkthrough, operations: Listed[]): Promise<number> {
  const server = await startServer(t, { DATA_DIR: join(t.testdirName, 'links'), PUBLIC_URL: 'http://127.0.0.1:5000', PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0', LINKS: 'on', LINK_MAX_DAYS: '0' })
  const { token } = await signUp(server, 'test_user', 'pwd')
  const walkthrough: Walkthrough = { server, document, seen, user: ['test_user', 'pwd'], token, session: {} }
  const type = { 'content-type': 'application/pdf' }
  await server.send('PUT', '/uploads/report.pdf', { token, body: Buffer.alloc(SIZE), headers: type })
  await server.send('PUT', '/uploads/shared/report.pdf', { token, body: 'the bytes', headers: type })
  for (const name of ['inbox', 'shared%2Freports%2F2026']) await server.send('PUT', `/api/folders/${name}`, { token })
  let requests = 0
  for (const listed of operations.filter(isOfVisitors)) {
    for (const example of exampleRequests(listed, document)) {
      const filled = await withLink(walkthrough, listed, example)
      await askExample(t, walkthrough, listed.operation.operationId, { example, filled })
      requests++
    }
  }
  await visitMore(walkthrough)
  return requests
}

/** Calls with responses that no example request produces. */
async function visitMore (walkthrough: Walkthrough): Promise<void> {
  const share = async (json: object) => (await createLink(walkthrough.server, walkthrough, json)).secret
  const folder = await share({ name: 'shared', kind: 'download' })
  await ask(walkthrough, 'listSharedFolder', { parameters: { secret: folder, folder: 'reports' } })
  for (const range of [{}, { range: 'bytes=0-8' }]) await ask(walkthrough, 'downloadSharedFile', { parameters: { secret: folder, name: 'report.pdf' }, headers: range })
  const inbox = await share({ name: 'inbox', kind: 'upload' })
  await ask(walkthrough, 'getSharedLink', { parameters: { secret: inbox } })
  await ask(walkthrough, 'putSharedFile', { parameters: { secret: inbox, name: 'report.pdf' }, body: { body: Buffer.alloc(SIZE) } })
}

/** A server with links, and a link of a new account to its file or folder. */
async function open (json: object) {
  const server = await sharedServer({ LINKS: 'on' })
  const { token } = await signUp(server)
  await server.send('PUT', '/uploads/box/a.txt', { token, body: 'bytes' })
  return { server, token, ...await createLink(server, { token }, { name: 'box/a.txt', kind: 'download', ...json }) }
}

const unlocked = { headers: { authorization: `Basic ${btoa(':wrong')}` } }

/** How to provoke the problems of links. */
export const provokedByLinks: Record<string, () => Promise<Answer>> = {
  async links_off () {
    const server = await sharedServer()
    const { token } = await signUp(server)
    return server.send('POST', '/api/links', { token, json: { name: 'a.txt', kind: 'download' } })
  },
  async too_many_links () {
    const { server, token, id } = await open({})
    await runSql(server.dataDir, `
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999)
      INSERT INTO links (account_id, kind, file_id, secret_hash, shows_owner, created_at)
      SELECT account_id, kind, file_id, secret_hash || n, shows_owner, created_at FROM links, numbers WHERE id = ${id}`)
    return server.send('POST', '/api/links', { token, json: { name: 'box/a.txt', kind: 'download' } })
  },
  async link_password_required () {
    const { server, path } = await open({ password: 'tell it by phone' })
    return server.send('GET', `${path}/files/a.txt`)
  },
  async link_password_wrong () {
    const { server, path } = await open({ password: 'tell it by phone' })
    return server.send('GET', `${path}/files/a.txt`, unlocked)
  },
  async too_many_passwords () {
    const { server, path } = await open({ password: 'tell it by phone' })
    for (let count = 0; count < 10; count++) await server.send('GET', `${path}/files/a.txt`, unlocked)
    return server.send('GET', `${path}/files/a.txt`, unlocked)
  },
  async link_limit_reached () {
    const { server, path } = await open({ name: 'box', kind: 'upload', maxBytes: 1 })
    return server.send('PUT', `${path}/files/b.txt`, { body: 'bytes' })
  }
}
