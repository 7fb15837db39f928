import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { test } from 'tap'
import { parse } from 'yaml'
import { failures } from '../src/errors.ts'
import { formOf, runBin, signUp, startServer, type Answer, type Client, type SendOptions } from './server.ts'

const committed = (name: string) => readFile(fileURLToPath(new URL(`../openapi/${name}`, import.meta.url)), 'utf8')

/** What the command left in a folder for temporary files; the compiler of the tests has its cache there. */
const leftIn = async (folder: string) => (await readdir(folder)).filter(name => name.startsWith('magicstore'))

interface Operation {
  operationId: string
  summary: string
  tags: string[]
  security: Record<string, string[]>[]
  responses: Record<string, { description: string, headers?: Record<string, unknown>, content?: Record<string, { schema: object, examples?: Record<string, { $ref: string }> }> }>
  requestBody?: { content: Record<string, { schema: { $ref?: string } }> }
}
interface Listed { method: string, path: string, operation: Operation }

async function readDocument (client: Client): Promise<{ document: any, operations: Listed[] }> {
  const { json: document } = await client.send('GET', '/openapi.json')
  const operations = Object.entries<Record<string, Operation>>(document.paths)
    .flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })))
  return { document, operations }
}

const isPublic = ({ operation }: Listed) => JSON.stringify(operation.security) === '[{}]'
const schemesOf = ({ operation }: Listed) => [...new Set(operation.security.flatMap(requirement => Object.keys(requirement)))].sort()

/** Limits that are not what is tested here. */
const unhurried = { REGISTRATIONS_PER_HOUR: '0', RATE_LIMIT_PER_MINUTE: '0' }

/** The value that a JSON Pointer of the document leads to. */
function follow (document: any, pointer: string): any {
  return pointer.slice(2).split('/').map(step => step.replaceAll('~1', '/').replaceAll('~0', '~')).reduce((value, step) => value?.[step], document)
}

/** Every `$ref` in the document. */
function refsOf (value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => key === '$ref' && typeof inner === 'string' ? [inner] : refsOf(inner))
}

/** An address of the operation that leads nowhere in particular. */
const addressOf = (path: string) => path.replace('{id}', '1').replace('{name}', 'report.pdf')

test('the document is the same as JSON, as YAML, in the browser and in openapi/', async t => {
  const server = await startServer(t)
  const json = await server.send('GET', '/openapi.json')
  const yaml = await server.send('GET', '/openapi.yaml')
  const browsed = await server.send('GET', '/docs/json')
  for (const answer of [json, yaml, browsed]) t.equal(answer.status, 200)
  t.match(json.headers['content-type'], /^application\/json\b/)
  t.match(yaml.headers['content-type'], /^application\/yaml\b/)
  t.same(parse(yaml.text), json.json)
  t.same(browsed.json, json.json)
  t.same(JSON.parse(await committed('openapi.json')), json.json, 'openapi/openapi.json is stale: npm run openapi')
  t.same(parse(await committed('openapi.yaml')), json.json, 'openapi/openapi.yaml is stale: npm run openapi')
})

test('magicstore openapi writes the committed files byte for byte, whatever the settings are, and leaves nothing else behind', async t => {
  const folder = t.testdir({ out: {}, tmp: {} })
  const { code } = await runBin(['openapi', join(folder, 'out')], { TMPDIR: join(folder, 'tmp'), PUBLIC_URL: 'https://files.example.org', REGISTRATION: 'closed' })
  t.equal(code, 0)
  t.same((await readdir(join(folder, 'out'))).sort(), ['openapi.json', 'openapi.yaml'])
  for (const name of ['openapi.json', 'openapi.yaml']) t.equal(await readFile(join(folder, 'out', name), 'utf8'), await committed(name))
  t.same(await leftIn(join(folder, 'tmp')), [])
})

test('magicstore openapi into a folder that can\'t be written fails and leaves nothing behind', async t => {
  const folder = t.testdir({ tmp: {} })
  const { code, stderr } = await runBin(['openapi', join(folder, 'missing')], { TMPDIR: join(folder, 'tmp') })
  t.equal(code, 1)
  t.equal(stderr.trim().split('\n').length, 1, 'one line')
  t.same(await leftIn(join(folder, 'tmp')), [])
  await t.rejects(readdir(join(folder, 'missing')))
})

test('the document is valid OpenAPI 3.1 and each of its references leads somewhere', async t => {
  const { document } = await readDocument(await startServer(t))
  t.match(document.openapi, /^3\.1\.\d+$/)
  const { valid, errors } = await new Validator().validate(document)
  t.ok(valid, { errors })
  const refs = refsOf(document)
  t.ok(refs.length > 0)
  t.same(refs.filter(ref => !ref.startsWith('#/') || follow(document, ref) === undefined), [])
  const ajv = new Ajv2020({ strict: false, validateSchema: true })
  for (const [name, schema] of Object.entries<object>(document.components.schemas)) t.ok(ajv.validateSchema(schema), `${name} is a schema of JSON Schema 2020-12`)
})

test('every operation says its id, summary, tag, security, a success and its failures', async t => {
  const { document, operations } = await readDocument(await startServer(t))
  const ids = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length, 'ids are unique')
  const tags = document.tags.map((tag: { name: string }) => tag.name)
  const schemes = Object.keys(document.components.securitySchemes)
  for (const listed of operations) {
    const { method, path, operation } = listed
    t.test(`${method} ${path}`, async t => {
      t.match(operation.operationId, /^[a-z][A-Za-z]+$/)
      t.match(operation.summary, /\S/)
      t.equal(operation.tags.length, 1)
      t.ok(tags.includes(operation.tags[0]), 'a tag that the document describes')
      t.ok(Array.isArray(operation.security) && operation.security.length > 0)
      t.same(schemesOf(listed).filter(name => !schemes.includes(name)), [])
      const statuses = Object.keys(operation.responses)
      t.ok(statuses.some(status => status.startsWith('2')))
      t.equal(statuses.includes('401'), !isPublic(listed), '401 where credentials are asked for, and only there')
      for (const [status, response] of Object.entries(operation.responses)) {
        t.match(response.description, /\S/)
        if (Number(status) < 400) continue
        t.same(Object.keys(response.content ?? {}), ['application/problem+json'])
        for (const { $ref } of Object.values(response.content?.['application/problem+json']?.examples ?? {})) {
          const { code, status: exampleStatus } = follow(document, $ref).value
          t.equal(exampleStatus, Number(status), `${code} is shown where it is answered`)
          t.equal(failures[code as keyof typeof failures].status, Number(status))
        }
      }
    })
  }
})

test('the security of each operation is what the server asks for', async t => {
  const server = await startServer(t, unhurried)
  const { operations } = await readDocument(server)
  t.same(operations.filter(isPublic).map(({ operation }) => operation.operationId).sort(), ['getOpenapiJson', 'getOpenapiYaml', 'getService', 'getUser', 'registerUser'])
  for (const listed of operations) {
    const { method, path, operation } = listed
    const isTaken = async (options: SendOptions) => (await server.send(method, addressOf(path), options)).status !== 401
    t.equal(await isTaken({}), isPublic(listed), `${operation.operationId} without credentials`)
    if (isPublic(listed)) continue

    // Anew each time, for an operation may end the token or the account that it is given.
    const access = async () => (await signUp(server, 'test_user')).token
    const personal = async () => {
      const { user } = await signUp(server, 'test_user')
      return (await server.send('POST', '/api/tokens', { user, json: { name: 'for a test', scopes: ['files:read', 'files:write', 'account'] } })).json.token
    }
    const schemes: Record<string, () => Promise<boolean>> = {
      basic: async () => isTaken({ user: (await signUp(server, 'test_user')).user }),
      bearer: async () => await isTaken({ token: await access() }) || await isTaken({ token: await personal() }),
      token: async () => await isTaken({ headers: { authorization: `Token ${await access()}` } }) || await isTaken({ headers: { authorization: `Token ${await personal()}` } })
    }
    const taken = []
    for (const [scheme, tries] of Object.entries(schemes)) if (await tries()) taken.push(scheme)
    t.same(taken, schemesOf(listed), `${operation.operationId} takes the schemes that the document names`)
  }
})

interface Walker { token: string, personalId: number }

/** A walk through every operation, by its id, in an order that works; `example` is the body that the document gives. */
const walk: { id: string, path?: string | ((walker: Walker) => string), status: number, send: (walker: Walker, example: any) => SendOptions }[] = [
  { id: 'registerUser', status: 201, send: (_, json) => ({ json }) },
  { id: 'getUser', status: 200, send: () => ({}) },
  { id: 'getToken', status: 200, send: () => ({ user: ['test_user', 'pwd'] }) },
  { id: 'getResource', status: 200, send: ({ token }) => ({ token }) },
  { id: 'uploadFile', status: 201, send: ({ token }) => ({ token, ...formOf('report.pdf', 'bytes') }) },
  { id: 'uploadFile', status: 200, send: ({ token }) => ({ token, ...formOf('report.pdf', 'bytes') }) },
  { id: 'uploadFile', status: 409, send: ({ token }) => ({ token, ...formOf('report.pdf', 'other bytes') }) },
  { id: 'downloadFile', status: 200, send: ({ token }) => ({ token }) },
  { id: 'downloadFile', status: 206, send: ({ token }) => ({ token, headers: { range: 'bytes=0-1' } }) },
  { id: 'downloadFile', status: 416, send: ({ token }) => ({ token, headers: { range: 'bytes=100-' } }) },
  { id: 'downloadFile', status: 304, send: ({ token }) => ({ token, headers: { 'if-none-match': '*' } }) },
  { id: 'downloadFile', status: 412, send: ({ token }) => ({ token, headers: { 'if-match': '"another"' } }) },
  { id: 'downloadFile', path: '/uploads/missing', status: 404, send: ({ token }) => ({ token }) },
  { id: 'headFile', status: 200, send: ({ token }) => ({ token }) },
  { id: 'putFile', status: 200, send: ({ token }) => ({ token, body: 'new bytes' }) },
  { id: 'putFile', path: '/uploads/second.txt', status: 201, send: ({ token }) => ({ token, body: 'new bytes' }) },
  { id: 'putFile', status: 400, send: ({ token }) => ({ token, body: 'b', headers: { 'content-range': 'bytes 0-0/2' } }) },
  { id: 'listFiles', path: '/api/files?limit=1', status: 200, send: ({ token }) => ({ token }) },
  { id: 'listFiles', path: '/api/files?limit=0', status: 400, send: ({ token }) => ({ token }) },
  { id: 'getFile', status: 200, send: ({ token }) => ({ token }) },
  { id: 'renameFile', status: 200, send: ({ token }, json) => ({ token, json }) },
  { id: 'deleteFile', path: '/uploads/second.txt', status: 204, send: ({ token }) => ({ token }) },
  { id: 'getService', status: 200, send: () => ({}) },
  { id: 'getService', status: 302, send: () => ({ headers: { accept: 'text/html' } }) },
  { id: 'getOpenapiJson', status: 200, send: () => ({}) },
  { id: 'getOpenapiYaml', status: 200, send: () => ({}) },
  { id: 'getAccount', status: 200, send: ({ token }) => ({ token }) },
  { id: 'listEvents', status: 200, send: ({ token }) => ({ token }) },
  { id: 'createToken', status: 201, send: (_, json) => ({ user: ['test_user', 'pwd'], json }) },
  { id: 'listTokens', status: 200, send: ({ token }) => ({ token }) },
  { id: 'deleteToken', path: ({ personalId }) => `/api/tokens/${personalId}`, status: 204, send: ({ token }) => ({ token }) },
  { id: 'deleteToken', path: ({ personalId }) => `/api/tokens/${personalId}`, status: 404, send: ({ token }) => ({ token }) },
  { id: 'endToken', status: 204, send: ({ token }) => ({ token }) },
  { id: 'endToken', status: 401, send: ({ token }) => ({ token }) },
  { id: 'deleteTokens', status: 204, send: () => ({ user: ['test_user', 'pwd'] }) },
  { id: 'changePassword', status: 204, send: (_, json) => ({ user: ['test_user', 'pwd'], json }) },
  { id: 'deleteAccount', status: 401, send: () => ({ user: ['test_user', 'pwd'] }) },
  { id: 'deleteAccount', status: 204, send: () => ({ user: ['test_user', 'a longer secret'] }) }
]

test('the examples of the document work, and every answer is as the document says', async t => {
  const server = await startServer(t)
  const { document, operations } = await readDocument(server)
  t.same([...new Set(walk.map(({ id }) => id))].sort(), operations.map(({ operation }) => operation.operationId).sort(), 'every operation is walked through')
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'http://document.invalid/', components: document.components })

  /** The body that the properties' examples make. */
  function exampleOf ({ requestBody }: Operation): unknown {
    const ref = requestBody?.content['application/json']?.schema.$ref
    if (ref === undefined) return undefined
    return Object.fromEntries(Object.entries<{ examples: unknown[] }>(follow(document, ref).properties).map(([name, { examples }]) => [name, examples[0]]))
  }

  function conforms ({ responses }: Operation, answer: Answer, step: string): void {
    const response = responses[answer.status]
    if (response === undefined) {
      t.fail(`${step}: the document knows no ${answer.status}`)
      return
    }
    const [type, media] = Object.entries(response.content ?? {})[0] ?? []
    for (const name of Object.keys(response.headers ?? {})) t.ok(answer.headers[name.toLowerCase()], `${step}: ${name} is there`)
    if (type === undefined || media === undefined) {
      t.equal(answer.bytes.length, 0, `${step}: no body`)
      return
    }
    if (type === '*/*') return
    t.equal(answer.headers['content-type']?.split(';')[0], type, `${step}: its type`)
    if (!/json/.test(type)) return
    const validate = ajv.compile(JSON.parse(JSON.stringify(media.schema).replaceAll('"#/', '"http://document.invalid/#/')))
    t.ok(validate(answer.json), `${step}: its body`, { errors: validate.errors })
  }

  const walker: Walker = { token: '', personalId: 0 }
  for (const { id, path: exact, status, send } of walk) {
    const { method, path, operation } = operations.find(listed => listed.operation.operationId === id) as Listed
    const address = typeof exact === 'function' ? exact(walker) : exact ?? addressOf(path)
    const answer = await server.send(method, address, send(walker, exampleOf(operation)))
    t.equal(answer.status, status, `${id} ${status}`)
    conforms(operation, answer, `${id} ${status}`)
    if (id === 'getToken') walker.token = answer.json.token
    if (id === 'createToken') walker.personalId = answer.json.id
  }
})

const accepts: { who: string, accept?: string, isBrowser: boolean }[] = [
  { who: 'Firefox', accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', isBrowser: true },
  { who: 'a browser that shouts', accept: 'TEXT/HTML', isBrowser: true },
  { who: 'curl', accept: '*/*', isBrowser: false },
  { who: 'a program', accept: 'application/json', isBrowser: false },
  { who: 'a program that says nothing', isBrowser: false },
  { who: 'a program with a similar type', accept: 'text/html5', isBrowser: false }
]

for (const { who, accept, isBrowser } of accepts) {
  test(`GET / ${isBrowser ? 'sends to /docs' : 'tells name, version and document to'} ${who}`, async t => {
    const server = await startServer(t)
    for (const method of ['GET', 'HEAD']) {
      const answer = await server.send(method, '/', accept === undefined ? {} : { headers: { accept } })
      t.equal(answer.status, isBrowser ? 302 : 200)
      t.equal(answer.headers.location, isBrowser ? '/docs' : undefined)
      t.match(answer.headers.vary, /\baccept\b/i)
      if (isBrowser || method === 'HEAD') continue
      const { version } = JSON.parse(await readFile(fileURLToPath(new URL('../package.json', import.meta.url)), 'utf8'))
      t.same(answer.json, { name: 'MagicStore', version, openapi: `${server.url}/openapi.json`, docs: `${server.url}/docs` })
      t.equal((await server.send('GET', new URL(answer.json.openapi).pathname)).json.info.version, version)
    }
  })
}

test('GET / names addresses below PUBLIC_URL, and paths alone where the Host is made up', async t => {
  const named = await startServer(t, { PUBLIC_URL: 'https://files.example.org/', DATA_DIR: join(t.testdir({ a: {}, b: {} }), 'a') })
  t.match((await named.send('GET', '/')).json, { openapi: 'https://files.example.org/openapi.json', docs: 'https://files.example.org/docs' })
  const unnamed = await startServer(t, { DATA_DIR: join(t.testdirName, 'b') })
  t.match((await unnamed.send('GET', '/', { headers: { host: 'evil.example.org' } })).json, { openapi: '/openapi.json', docs: '/docs' })
})
