import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { test } from 'tap'
import { parse } from 'yaml'
import { failures } from '#src/problems.ts'
import { createValidators } from '../kit/conformance.ts'
import { inlineResponses } from '../kit/document.ts'
import { root } from '../kit/root.ts'
import { clientOf, runBin, sharedServer, spawnServer, type Client } from '../kit/server.ts'
import { operationsOf, type Document } from './arbitraries.ts'
import { answeredBy, examplesIn, requestedBy } from './examples.ts'

const committed = () => readFile(join(root, 'openapi/openapi.json'), 'utf8')

interface Link { operationId: string, parameters?: Record<string, string>, description?: string }
interface Parameter { name: string, in: 'path' | 'query' | 'header', schema: object }
interface Operation {
  operationId: string
  summary: string
  description: string
  parameters?: Parameter[]
  'x-codeSamples': { lang: string, label: string, source: string }[]
  tags: string[]
  security: Record<string, string[]>[]
  responses: Record<string, {
    description: string,
    links?: Record<string, Link>,
    headers?: Record<string, unknown>,
    content?: Record<string, { schema: object, examples?: Record<string, { $ref: string }> }>
  }>
  requestBody?: { content: Record<string, { schema: { $ref?: string } }> }
}
interface Listed { method: string, path: string, operation: Operation }

async function readDocument (client: Client): Promise<{ document: any, operations: Listed[] }> {
  const { json: document } = await client.send('GET', '/openapi.json')
  const operations = Object.entries<Record<string, Operation>>(inlineResponses(document).paths)
    .flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })))
  return { document, operations }
}

/** Whether an operation answers without credentials. */
const isPublic = ({ operation }: Listed) => operation.security.some(way => Object.keys(way).length === 0)
const schemesOf = ({ operation }: Listed) =>
  [...new Set(operation.security.flatMap(requirement => Object.keys(requirement)))].sort()

/** Need no credential, and answer 401 all the same: to a wrong code, and to a wrong passkey. */
const CHECK_FACTORS = ['claimAccount', 'confirmClaim', 'createPasskeySession', 'createIdentitySession', 'registerIdentity']

const openServer = () => sharedServer({ LINKS: 'on' })
const openDocument = async () => readDocument(await openServer())

/** The value at a JSON Pointer of the document. */
function follow (document: any, pointer: string): any {
  return pointer.slice(2).split('/').map(step => step.replaceAll('~1', '/').replaceAll('~0', '~')).reduce((value, step) => value?.[step], document)
}

/** Every `$ref` in the document. */
function refsOf (value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => key === '$ref' && typeof inner === 'string' ? [inner] : refsOf(inner))
}

/** Every schema in the document that has a type. */
function schemasIn (value: unknown): { type: unknown, format?: string, maxLength?: number }[] {
  if (typeof value !== 'object' || value === null) return []
  const inner = Object.values(value).flatMap(schemasIn)
  return 'type' in value ? [value, ...inner] : inner
}

test('the document is the same as JSON, as YAML and in openapi/', async t => {
  const server = await openServer()
  const json = await server.send('GET', '/openapi.json')
  const yaml = await server.send('GET', '/openapi.yaml')
  for (const answer of [json, yaml]) t.equal(answer.status, 200)
  t.match(json.headers['content-type'], /^application\/json\b/)
  t.match(yaml.headers['content-type'], /^application\/yaml\b/)
  t.same(parse(yaml.text), json.json)
  const here = (await committed()).replaceAll('http://127.0.0.1:5000', server.url)
  t.same(JSON.parse(here), json.json, 'openapi/openapi.json is stale: npm run openapi')
})

/** Every server URL in a text, without its path. */
const originsIn = (text: string) => [...new Set(Array.from(text.matchAll(/https?:\/\/(?:127\.0\.0\.1|localhost|[\w.-]+\.example\.org)(?::\d+)?(?:\/store)?/g), ([origin]) => origin))]

test('the document names the address in use: PUBLIC_URL, or the one that was asked, and a Host that was made up changes nothing', async t => {
  const server = await openServer()
  const behindProxy = await sharedServer({ PUBLIC_URL: 'https://files.example.org/store/' })
  const cases: { client: Client, host: string, url: string, origins: string[] }[] = [
    { client: server, host: `127.0.0.1:${server.port}`, url: server.url, origins: [server.url] },
    { client: server, host: `localhost:${server.port}`, url: `http://localhost:${server.port}`, origins: [`http://localhost:${server.port}`] },
    { client: server, host: 'evil.example.org', url: '/', origins: ['http://127.0.0.1:5000'] },
    { client: server, host: '127.0.0.1:1', url: '/', origins: ['http://127.0.0.1:5000'] },
    { client: behindProxy, host: 'evil.example.org', url: 'https://files.example.org/store', origins: ['https://files.example.org/store'] }
  ]
  for (const { client, host, url, origins } of cases) {
    const json = await client.send('GET', '/openapi.json', { headers: { host } })
    const yaml = await client.send('GET', '/openapi.yaml', { headers: { host } })
    t.same(json.json.servers.map((each: { url: string }) => each.url), [url], host)
    t.same(originsIn(json.text), origins, host)
    t.same(parse(yaml.text), json.json, 'as YAML too')
  }
  t.match((await behindProxy.send('GET', '/')).json, { openapi: 'https://files.example.org/store/openapi.json', docs: 'https://files.example.org/store/docs' })
  t.match((await server.send('GET', '/', { headers: { host: 'evil.example.org' } })).json, { openapi: '/openapi.json', docs: '/docs' })
})

test('the page of the document has no copies of it', async t => {
  const server = await openServer()
  for (const name of ['json', 'yaml']) t.match(await server.send('GET', `/docs/${name}`), { status: 302, headers: { location: `/openapi.${name}` } })
})

test('magicstore openapi writes the committed file byte for byte, whatever the settings are, and leaves nothing else behind', async t => {
  const folder = t.testdir({ out: {}, tmp: {} })
  const { code } = await runBin(['openapi', join(folder, 'out')], { TMPDIR: join(folder, 'tmp'), PUBLIC_URL: 'https://files.example.org', REGISTRATION: 'closed' })
  t.equal(code, 0)
  t.same(await readdir(join(folder, 'out')), ['openapi.json'])
  t.equal(await readFile(join(folder, 'out/openapi.json'), 'utf8'), await committed())
  // But for the cache of the test compiler.
  t.same((await readdir(join(folder, 'tmp'))).filter(name => name.startsWith('magicstore')), [])
})

test('the document is valid OpenAPI 3.1 and each of its references leads somewhere', async t => {
  const { document } = await openDocument()
  t.match(document.openapi, /^3\.1\.\d+$/)
  const { valid, errors } = await new Validator().validate(document)
  t.ok(valid, { errors })
  const refs = refsOf(document)
  t.ok(refs.length > 0)
  t.same(refs.filter(ref => !ref.startsWith('#/') || follow(document, ref) === undefined), [])
  const ajv = new Ajv2020({ strict: false, validateSchema: true })
  for (const [name, schema] of Object.entries<object>(document.components.schemas)) t.ok(ajv.validateSchema(schema), `${name} is a schema of JSON Schema 2020-12`)
})

test('an error response of several operations is in the document once', async t => {
  const { document } = await openDocument()
  const items = Object.values<Record<string, Operation>>(document.paths)
  const errors = items.flatMap(item => Object.values(item)).flatMap(operation => Object.entries(operation.responses))
    .filter(([status]) => Number(status) >= 400)
  const own = errors.filter(([, response]) => !('$ref' in response)).map(entry => JSON.stringify(entry))
  t.equal(new Set(own).size, own.length)
  const refs = errors.flatMap(([, response]) => refsOf(response))
  for (const name of Object.keys(document.components.responses)) {
    t.ok(refs.filter(ref => ref === `#/components/responses/${name}`).length > 1, name)
  }
})

test('every operation says its id, summary, tag, security, a success and its failures', async t => {
  const { document, operations } = await openDocument()
  const ids = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length, 'ids are unique')
  const tags = document.tags.map((tag: { name: string }) => tag.name)
  const schemes = Object.keys(document.components.securitySchemes)
  for (const listed of operations) {
    const { operation } = listed
    const { operationId, summary } = operation
    t.match(operation, { operationId: /^[a-z][A-Za-z]+$/, summary: /\S/ }, operationId)
    t.ok(operation.description.length > summary.length, `${operationId}: more is said than in the summary`)
    t.ok(operation.tags.length === 1 && tags.includes(operation.tags[0]), `${operationId}: one tag that the document describes`)
    t.ok(operation.security.length > 0 && schemesOf(listed).every(name => schemes.includes(name)), `${operationId}: its security`)
    const statuses = Object.keys(operation.responses)
    t.ok(statuses.some(status => status.startsWith('2')), `${operationId}: a success`)
    t.equal(statuses.includes('401'), !isPublic(listed) || CHECK_FACTORS.includes(operationId), `${operationId}: 401 where credentials are asked for, and only there`)
    for (const [status, response] of Object.entries(operation.responses)) {
      t.match(response.description, /\S/, `${operationId} ${status}`)
      if (Number(status) < 400) continue
      // Browsers get the page of a link for one that is not there, too.
      const page = operationId === 'getSharedLink' && status === '404' ? ['text/html'] : []
      t.same(Object.keys(response.content ?? {}), [...page, 'application/problem+json'], `${operationId} ${status}`)
      for (const { $ref } of Object.values(response.content?.['application/problem+json']?.examples ?? {})) {
        const { code, status: exampleStatus } = follow(document, $ref).value
        t.same([exampleStatus, failures[code as keyof typeof failures].status], [Number(status), Number(status)], `${code} is shown where it is answered`)
      }
    }
  }
})

/**
 * Everything that needs a description, by place: parameters, headers, properties, schemas, links, and named components.
 */
function describableIn (value: unknown, path: string[] = []): { path: string, description: unknown }[] {
  if (typeof value !== 'object' || value === null) return []
  const parent = path.at(-2) ?? ''
  const isNamed = ['properties', 'headers', 'links', 'schemas', 'securitySchemes', 'responses', 'parameters', 'tags', 'servers'].includes(path.at(-1) === 'properties' ? '' : parent)
  // A property may have one of these names.
  const own = isNamed && path.at(-3) !== 'properties' && !('$ref' in value) ? [{ path: path.join('/'), description: 'description' in value ? value.description : undefined }] : []
  // Examples are not part of the structure.
  return [...own, ...Object.entries(value).filter(([key]) => key !== 'examples' && key !== 'example').flatMap(([key, inner]) => describableIn(inner, [...path, key]))]
}

test('every parameter, header, property, status, link and component has a description', async t => {
  const { document } = await openDocument()
  const describable = describableIn(document)
  t.ok(describable.length > 300)
  t.same(describable.filter(({ description }) => typeof description !== 'string' || description.trim() === '').map(({ path }) => path), [])
})

test('every failure is told: by the operations that answer it, or by the introduction', async t => {
  const { document, operations } = await openDocument()
  const documented = new Set(operations.flatMap(({ operation }) => Object.values(operation.responses)).flatMap(({ content }) => Object.keys(content?.['application/problem+json']?.examples ?? {})))
  const others = Array.from(String(document.info.description).matchAll(/^- (\d{3}) `([a-z_]+)`: /gm), ([, status, code]) => ({ status: Number(status), code }))
  t.ok(others.length > 0)
  t.same(others.map(({ code }) => code).filter(code => documented.has(String(code))), [], 'no operation has those of the introduction')
  t.same([...documented, ...others.map(({ code }) => code)].sort(), Object.keys(failures).sort())
  for (const { status, code } of others) t.equal(failures[code as keyof typeof failures].status, status)
})

test('every link leads to an operation, whose parameters it fills from the request or the response', async t => {
  const { document, operations } = await openDocument()
  const find = (id: string) => operations.find(({ operation }) => operation.operationId === id)?.operation
  const parametersOf = (operation: Operation | undefined, place?: string) =>
    (operation?.parameters ?? [])
      .filter(parameter => place === undefined || parameter.in === place).map(({ name }) => name)
  let links = 0
  for (const { operation } of operations) {
    for (const response of Object.values(operation.responses)) {
      const schema = response.content?.['application/json']?.schema as { $ref?: string } | undefined
      const told = schema?.$ref === undefined ? [] : Object.keys(follow(document, schema.$ref).properties)
      for (const [name, { operationId, parameters = {} }] of Object.entries(response.links ?? {})) {
        links++
        const target = find(operationId)
        t.ok(target, `${name} of ${operation.operationId} leads to ${operationId}`)
        for (const [parameter, expression] of Object.entries(parameters)) {
          t.ok(parametersOf(target).includes(parameter), `${operationId} has ${parameter}`)
          const [, place = '', source = ''] = /^\$(response\.body#\/|request\.query\.|request\.path\.)(\w+)$/.exec(expression) ?? []
          const sources = place.startsWith('response') ? told : parametersOf(operation, place.split('.')[1])
          t.ok(sources.includes(source), `${name} of ${operation.operationId} finds ${expression}`)
        }
      }
    }
  }
  t.ok(links > 30)
})

test('every command in the document runs as typed, in its order, against a server that was just started', async t => {
  const folder = t.testdir({ data: {}, desk: {}, home: { '.curlrc': 'no-progress-meter\nwrite-out = "%{stderr}%{http_code}\\n"\n' } })
  const { port, url: own } = await spawnServer(t, { DATA_DIR: join(folder, 'data'), LINKS: 'on' })
  const { document, operations } = await readDocument(clientOf(port))
  const blocksOf = (text: string) => Array.from(text.matchAll(/^```sh\n([^]*?)\n```$/gm), ([, code = '']) => code)
  for (const { operation } of operations) t.match(operation['x-codeSamples'], [{ lang: 'Shell', label: 'curl', source: new RegExp(`^(?:\\w+=\\$\\()?curl .*${own}/`, 'm') }], operation.operationId)
  const typed = [...blocksOf(document.info.description), ...operations.flatMap(({ operation }) => operation['x-codeSamples'].map(({ source }) => source))].join('\n').split('\n')
    // Only an app, a passkey, a provider or the operator has what these need.
    .filter(line => !/<(?:code|credential|secret)>|\/oidc\/|\/oidc$|\/api\/identities/.test(line)).join('\n')
  const home = join(folder, 'home')
  const child = spawn('bash', ['-e', '-o', 'pipefail', '-c', typed], { cwd: join(folder, 'desk'), env: { PATH: process.env.PATH, HOME: home, CURL_HOME: home } })
  const exited = once(child, 'exit')
  child.stdout.resume()
  const stderr = (await child.stderr.setEncoding('utf8').toArray()).join('')
  t.equal((await exited)[0], 0, { stderr })
  const statuses = stderr.split('\n').filter(line => /^\d{3}$/.test(line)).map(Number)
  t.equal(statuses.length, typed.split(/\bcurl\b/).length - 1, 'one for each curl')
  t.same(statuses.filter(status => status < 200 || status > 299), [])
})

test('every example matches the schema that it stands beside', async t => {
  const { document } = await openDocument()
  const validatorOf = createValidators(document)
  const { schemas, examples } = document.components as Document['components']
  const all = [
    ...Object.entries(schemas).flatMap(([name, schema]) => examplesIn(name, schema)),
    ...Object.entries(examples)
      .map(([where, { value }]) => ({ where, value, schema: { $ref: '#/components/schemas/Problem' } })),
    ...operationsOf(document).flatMap(listed => [...requestedBy(listed), ...answeredBy(listed)])
  ]
  t.ok(all.length > 300)
  t.same(all.filter(({ schema, value }) => !validatorOf(schema)(value)).map(({ where, value }) => `${where}: ${JSON.stringify(value)}`), [])
})

test('every string, number and list in the document has a limit', async t => {
  const { document } = await openDocument()
  const schemas = schemasIn(document)
  t.ok(schemas.length > 300)
  const limitsOf: Record<string, (keys: object) => boolean> = {
    // Of bytes, a length in characters would mean nothing.
    string: schema => ['maxLength', 'enum', 'const'].some(key => key in schema) || ('format' in schema && schema.format === 'binary'),
    integer: schema => 'minimum' in schema && 'maximum' in schema,
    array: schema => 'maxItems' in schema
  }
  t.same(schemas.filter(schema => [schema.type].flat().some(type => limitsOf[String(type)]?.(schema) === false)), [])
})

const accepts: { who: string, accept?: string, isBrowser: boolean }[] = [
  { who: 'Firefox', accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', isBrowser: true },
  { who: 'a browser that shouts', accept: 'TEXT/HTML', isBrowser: true },
  { who: 'who prefers HTML', accept: 'application/json;q=0.5, text/html', isBrowser: true },
  { who: 'who takes nothing but text', accept: 'text/*', isBrowser: true },
  { who: 'who takes HTML if it must be', accept: 'text/html;q=0.1, application/json', isBrowser: false },
  { who: 'who takes anything before HTML', accept: 'text/html;q=0.5, */*', isBrowser: false },
  { who: 'who refuses HTML', accept: 'text/html;q=0', isBrowser: false },
  { who: 'who takes neither', accept: 'image/png', isBrowser: false },
  { who: 'curl', accept: '*/*', isBrowser: false },
  { who: 'a program', accept: 'application/json', isBrowser: false },
  { who: 'a program that says nothing', isBrowser: false },
  { who: 'a program with a similar type', accept: 'text/html5', isBrowser: false }
]

test('GET / is the page, or sends to /docs, for browsers, and tells name, version and document to programs', async t => {
  const [server, withoutPage] = [await openServer(), await sharedServer({ WEB_PAGE: 'off' })]
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  for (const { who, accept, isBrowser } of accepts) {
    for (const method of ['GET', 'HEAD']) {
      const ask = (client: Client) => client.send(method, '/', accept === undefined ? {} : { headers: { accept } })
      const [answer, redirected] = [await ask(server), await ask(withoutPage)]
      t.match(redirected, isBrowser ? { status: 302, headers: { location: '/docs' } } : { status: 200, headers: { location: undefined } }, who)
      t.match(answer, { status: 200, headers: { 'content-type': isBrowser ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8' } }, who)
      for (const { headers } of [answer, redirected]) t.match(headers.vary, /\baccept\b/i, who)
      if (isBrowser || method === 'HEAD') continue
      t.same(answer.json, { name: 'MagicStore', version, openapi: `${server.url}/openapi.json`, docs: `${server.url}/docs`, passkeyHost: 'localhost', secondFactor: 'optional', links: 'on', oidc: null, linkMaxDays: 30 }, who)
    }
  }
  t.equal((await openDocument()).document.info.version, version)
})
