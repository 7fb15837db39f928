import type { EventEmitter } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Test } from 'tap'
import { inlineResponses } from './document.ts'
import { record, type Recorded } from './recorder.js'
import { root } from './root.ts'

interface Media { schema?: object, examples?: Record<string, unknown> }
interface Response { headers?: Record<string, { schema: object }>, content?: Record<string, Media> }
interface Operation { operationId: string, responses: Record<string, Response> }
interface Problem { type: string, title: string, status: number, code: string }
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { examples: Record<string, { value: Problem }> }
}

/** General HTTP and CORS headers, which the document does not describe. */
const UNIVERSAL = new Set([
  'date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'content-type', 'cache-control', 'vary',
  'x-content-type-options', 'content-security-policy', 'strict-transport-security', 'access-control-allow-origin', 'access-control-expose-headers',
  'cross-origin-opener-policy', 'cross-origin-resource-policy', 'origin-agent-cluster', 'permissions-policy', 'referrer-policy', 'x-dns-prefetch-control',
  'x-download-options', 'x-frame-options', 'x-permitted-cross-domain-policies', 'x-robots-tag', 'x-xss-protection'
])

/** Documented headers that a response with this status may omit. */
const OPTIONAL = /^(?:link|accept-encoding|content-encoding|www-authenticate 403|location [45]|content-range 206|set-cookie 204|repr-digest|upload-|tus-|ratelimit-\w+)/

/** Test files write what they have seen here; `exercised.ts` reads it at the end. */
export const exchangesFolder = join(root, '.tap/exchanges')

/** Gives the validators of schemas in a document, each compiled once. */
export function createValidators (document: object): (schema: object) => ValidateFunction {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  // Formats of OpenAPI and of this server only describe.
  for (const name of formatsIn(document)) if (ajv.formats[name] === undefined) ajv.addFormat(name, true)
  ajv.addSchema({ $id: 'http://document.invalid/', ...document })
  const validators = new Map<object, ValidateFunction>()
  return schema => {
    const known = validators.get(schema)
    if (known !== undefined) return known
    const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"http://document.invalid/#/')))
    validators.set(schema, validate)
    return validate
  }
}

function formatsIn (value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => key === 'format' && typeof inner === 'string' ? [inner] : formatsIn(inner))
}

/** The committed document; another test checks that the server serves the same. */
const document = inlineResponses<Document>(JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8')))
const templates = Object.keys(document.paths).map(path => ({ path, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]*')}$`) }))
const validatorOf = createValidators(document)

function headerViolations ({ headers = {} }: Response, { status, headers: sent }: Recorded): string[] {
  const documented = new Set(Object.keys(headers).map(name => name.toLowerCase()))
  const unknown = Object.keys(sent).filter(name => !documented.has(name) && !UNIVERSAL.has(name)).map(name => `header ${name} is not documented`)
  const missing = [...documented].filter(name => sent[name] === undefined && !OPTIONAL.test(name) && !OPTIONAL.test(`${name} ${status}`)).map(name => `header ${name} is missing`)
  return [...unknown, ...missing]
}

function bodyViolations ({ content }: Response, { method, headers, body, given }: Recorded): string[] {
  if (method === 'HEAD' || content === undefined) return body === '' ? [] : ['a body is not documented']
  const type = String(headers['content-type']).split(';')[0] ?? ''
  const media = content[type] ?? content['*/*']
  if (media === undefined) return [`media type ${type} is not documented`]
  if (content['*/*'] !== undefined || !/json$/.test(type) || media.schema === undefined) return []
  const json = JSON.parse(body)
  const changed = given === undefined || isDeepStrictEqual(JSON.parse(given), json) ? [] : [`the body is not what the handler gave: ${given}`]
  const validate = validatorOf(media.schema)
  return validate(json) ? changed : [...changed, ...(validate.errors ?? []).map(({ instancePath, message }) => `body${instancePath} ${message}`)]
}

/** Differences between an exchange and the document, one per line: of path, status, headers, media type and body. */
function violationsOf (exchange: Recorded): string[] {
  const { method, path, status } = exchange
  const address = path.split('?')[0] ?? ''
  // A plain `/` in a name is the same as `%2F`, as the document says in words only.
  const [, nested] = /^(\/uploads\/|\/s\/[^/]*\/files\/)./.exec(address) ?? []
  const template = nested !== undefined
    ? nested === '/uploads/' ? '/uploads/{name}' : '/s/{secret}/files/{name}'
    : document.paths[address] === undefined ? templates.find(({ pattern }) => pattern.test(address))?.path : address
  const item = template === undefined ? undefined : document.paths[template]
  const isBegun = method === 'PUT' && status === 201 && exchange.headers['upload-complete'] === '?0'
  // As the document says in words only.
  const operation = isBegun ? document.paths['/api/uploads']?.post : item?.[method.toLowerCase()] ?? (method === 'HEAD' ? item?.get : undefined)
  // A CORS preflight is not an operation.
  if (method === 'OPTIONS' && status === 204) return []
  if (operation === undefined) return item === undefined || status === 405 ? [] : status < 400 ? [`${method} is not documented`] : []
  const response = operation.responses[status]
  if (response === undefined) return [`status ${status} is not documented`]
  const problem = problemOf(exchange)
  const { code } = problem ?? {}
  if (code !== undefined && response.content?.['application/problem+json']?.examples?.[code] === undefined) return [`code ${code} of status ${status} is not documented`]
  const { type, title } = document.components.examples[code ?? '']?.value ?? {}
  if (problem?.type !== type || problem?.title !== title) return [`type and title of ${code} are not those of its example`]
  note(`${operation.operationId} ${status} ${code ?? ''}`)
  return [...headerViolations(response, exchange), ...bodyViolations(response, exchange)]
}

function problemOf ({ headers, body }: Recorded): Problem | undefined {
  return body !== '' && String(headers['content-type']).startsWith('application/problem+json') ? JSON.parse(body) : undefined
}

/** What this process has seen. */
const seen = new Set<string>()

function note (line: string): void {
  if (seen.size === 0) process.once('exit', writeSeen)
  seen.add(line)
}

function writeSeen (): void {
  mkdirSync(exchangesFolder, { recursive: true })
  // An earlier process may have had the same id.
  appendFileSync(`${exchangesFolder}/${process.pid}`, Array.from(seen, line => `${line}\n`).join(''))
}

/** Requests to a server that the test broke on purpose: their 500 is not documented. */
const nonConforming = new Set<string>()

export function allowNonConforming (method: string, path: string): void {
  nonConforming.add(`${method} ${path}`)
}

/** The ids of requests whose exchange was checked where it was answered, in this process. */
const checked = new Set<unknown>()

/** Checks what a client has seen, unless the server has checked it. @throws if it differs from the document. */
export function checkConformance (exchange: Recorded): void {
  if (!checked.delete(exchange.headers['x-request-id'])) check(exchange)
}

function check (exchange: Recorded): void {
  const { method, path, status } = exchange
  if (status === 500 && nonConforming.has(`${method} ${path}`)) return
  const violations = violationsOf(exchange)
  if (violations.length > 0) throw new Error(`${method} ${path} was answered ${status}, which differs from the document: ${violations.join('; ')}`)
}

/** From now on, every exchange of a server in this process fails the test if it differs from the document. */
export function checkServer (t: Test, server: EventEmitter): void {
  const listen = (request: IncomingMessage, response: ServerResponse) => {
    record(request, response, exchange => {
      checked.add(exchange.headers['x-request-id'])
      try { check(exchange) } catch (error) { t.fail((error as Error).message) }
    })
  }
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.prependListener(event, listen)
}

/**
 * Checks the exchanges of a server in another process, from the file that `recorder.js` wrote, and deletes the file.
 */
export function checkRecorded (t: Test, file: string): void {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  rmSync(file, { force: true })
  // The last line is empty, or truncated by a kill.
  for (const line of lines.slice(0, -1)) {
    try { check(JSON.parse(line)) } catch (error) { t.fail((error as Error).message) }
  }
}
