import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Answer } from './server.ts'

interface Media { schema?: object }
interface Response { headers?: Record<string, { schema: object }>, content?: Record<string, Media> }
interface Operation { responses: Record<string, Response> }
interface Document { paths: Record<string, Record<string, Operation>> }

/** Fields of HTTP itself and of CORS, which mean the same on every answer, and which a schema has nothing to say about. */
const UNIVERSAL = new Set([
  'date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'content-type', 'cache-control', 'vary', 'accept-encoding',
  'x-content-type-options', 'content-security-policy', 'strict-transport-security', 'access-control-allow-origin', 'access-control-expose-headers'
])

/** Documented headers that an answer of the status may lack. */
const OPTIONAL = /^(?:link|www-authenticate 403|content-range 206|repr-digest|ratelimit-\w+)/

export interface Exchange { method: string, path: string, answer: Answer }

export interface Conformance {
  /** What in an exchange the document does not say, a line each. */
  violationsOf (exchange: Exchange): string[]
}

/** Holds exchanges against the document: path, method, status, headers, media type and the raw body. */
export function createConformance (document: Document): Conformance {
  const templates = Object.keys(document.paths).map(path => ({ path, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]*')}$`) }))
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'http://document.invalid/', ...document })
  const validators = new Map<object, ValidateFunction>()

  function validatorOf (schema: object): ValidateFunction {
    const known = validators.get(schema)
    if (known !== undefined) return known
    const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"http://document.invalid/#/')))
    validators.set(schema, validate)
    return validate
  }

  function headerViolations ({ headers = {} }: Response, { status, headers: sent }: Answer): string[] {
    const documented = new Set(Object.keys(headers).map(name => name.toLowerCase()))
    const unknown = Object.keys(sent).filter(name => !documented.has(name) && !UNIVERSAL.has(name)).map(name => `header ${name} is not documented`)
    const missing = [...documented].filter(name => sent[name] === undefined && !OPTIONAL.test(name) && !OPTIONAL.test(`${name} ${status}`)).map(name => `header ${name} is missing`)
    return [...unknown, ...missing]
  }

  function bodyViolations ({ content }: Response, answer: Answer, method: string): string[] {
    if (method === 'HEAD' || content === undefined) return answer.bytes.length === 0 ? [] : ['a body is not documented']
    const type = String(answer.headers['content-type']).split(';')[0] ?? ''
    const media = content[type] ?? content['*/*']
    if (media === undefined) return [`media type ${type} is not documented`]
    if (content['*/*'] !== undefined || !/json$/.test(type) || media.schema === undefined) return []
    const validate = validatorOf(media.schema)
    return validate(answer.json) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `body${instancePath} ${message}`)
  }

  return {
    violationsOf ({ method, path, answer }) {
      const address = path.split('?')[0] ?? ''
      const template = templates.find(({ pattern }) => pattern.test(address))?.path
      const item = template === undefined ? undefined : document.paths[template]
      const operation = item?.[method.toLowerCase()] ?? (method === 'HEAD' ? item?.get : undefined)
      // A preflight is CORS's own, and asks about operations rather than being one.
      if (method === 'OPTIONS' && answer.status === 204) return []
      if (operation === undefined) return item === undefined || answer.status === 405 ? [] : answer.status < 400 ? [`${method} is not documented`] : []
      const response = operation.responses[answer.status]
      if (response === undefined) return [`status ${answer.status} is not documented`]
      return [...headerViolations(response, answer), ...bodyViolations(response, answer, method)]
    }
  }
}

/** The conformance to the committed document, which a test holds to be the served one. */
export function readConformance (): Conformance {
  return createConformance(JSON.parse(readFileSync(fileURLToPath(new URL('../openapi/openapi.json', import.meta.url)), 'utf8')))
}
