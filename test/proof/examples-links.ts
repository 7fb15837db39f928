import { join } from 'node:path'
import type { Test } from 'tap'
import { createLink } from '../kit/links.ts'
import { signUp, startServer } from '../kit/server.ts'
import { TUS } from '../kit/tus.ts'
import type { Listed } from './arbitraries.ts'
import { ask, askExample, exampleRequests, type Asked, type Walkthrough } from './examples.ts'

// The examples of links and their visitors.

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
export async function walkLinks (t: Test, { document }: Walkthrough, operations: Listed[]): Promise<number> {
  const server = await startServer(t, { DATA_DIR: join(t.testdirName, 'links'), PUBLIC_URL: 'http://127.0.0.1:5000', PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0', LINKS: 'on', LINK_MAX_DAYS: '0' })
  const { token } = await signUp(server, 'test_user', 'pwd')
  const walkthrough: Walkthrough = { server, document, user: ['test_user', 'pwd'], token, session: {} }
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
  return requests
}
