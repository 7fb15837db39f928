import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type AjvCompiler from '@fastify/ajv-compiler'
import type Serializers from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifyRequest, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import type { FastifyValidationResult } from 'fastify/types/schema.js'
import { Problem } from '../problems.ts'
import { announcedLength } from './wire-values.ts'

const load = createRequire(import.meta.url)

/** A function that is made when it is first called. */
function lazily<Given extends unknown[], Result> (
  make: () => (...given: Given) => Result
): (...given: Given) => Result {
  let made: ReturnType<typeof make> | undefined
  return (...given) => (made ??= make())(...given)
}

/** Our own formats: validation accepts every value, because the rules refuse wrong ones with more specific codes. */
const formats = {
  username: true, 'file-name': true, 'file-name-prefix': true, 'upload-id': true, 'content-id': true
} as const

/** Validates requests as they were sent, and reports all errors. */
const customOptions = {
  coerceTypes: false, removeAdditional: false, allErrors: true, formats, validateSchema: false
} as const

/**
 * Fastify's compilers of schemas. Their packages are loaded when they are first used, and each schema is compiled then:
 * a start takes 0.75 s of CPU time and 127 MB, and 2.4 s and 184 MB if all are compiled.
 */
export const lazyCompilers: {
  buildValidator: AjvCompiler.BuildCompilerFromPool, buildSerializer: Serializers.SerializerFactory
} = {
  buildSerializer (schemas, options) {
    const compile = lazily(() =>
      (load('@fastify/fast-json-stringify-compiler') as typeof Serializers).SerializerSelector()(schemas, options))
    return definition => lazily(() => compile(definition))
  },

  // Fastify's types take it for a compiler of schemas, without the part of the request.
  buildValidator: ((schemas: Parameters<AjvCompiler.BuildCompilerFromPool>[0]): FastifySchemaCompiler<object> => {
    const compile = lazily(() => (load('@fastify/ajv-compiler') as typeof AjvCompiler).AjvCompiler()(schemas, { customOptions }))
    return definition => lazily(() => {
      const { httpPart, schema } = definition
      const validate = compile(definition) as FastifyValidationResult
      return value => {
        if (httpPart === 'params' || httpPart === 'querystring') readScalars(value, schema as AddressSchema)
        return validate(value) === true || { error: validate.errors as FastifySchemaValidationError[] }
      }
    })
  }) as AjvCompiler.BuildCompilerFromPool
}

/** The schema of path parameters or a query. */
interface AddressSchema { properties: Record<string, { type?: string }> }

/** An integer as in JSON, with at most the digits that a number can represent. */
const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/

/**
 * Converts parameters that are integers or booleans in the schema; validation refuses those that are not written as
 * such. Ajv's coercion would also accept ` 1`, `1e2` and `0x10`.
 */
function readScalars (values: Record<string, unknown>, { properties }: AddressSchema): void {
  for (const [name, { type }] of Object.entries(properties)) {
    const text = values[name]
    if (type === 'integer' && typeof text === 'string' && INTEGER.test(text)) values[name] = Number(text)
    if (type === 'boolean' && (text === 'true' || text === 'false')) values[name] = text === 'true'
  }
}

/** Largest JSON body, in bytes. */
const MAX_JSON_BYTES = 64 * 1024

/** Whether a body has no meaning for an operation. */
function ignoresBody ({ routeOptions: { schema } }: FastifyRequest): boolean {
  return schema?.operationId !== undefined && schema.body === undefined
}

/**
 * Accepts only JSON bodies, and empty ones of any type as no body: `curl -d ''` and axios declare a form. Refuses
 * bodies that are not UTF-8, and the keys `__proto__` and `constructor`. Operations without a body ignore any.
 */
export function acceptJson (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addHook('onRequest', (request, _reply, done) => {
    // The parser for `*` takes it then. Fastify would refuse a malformed Content-Type.
    if (ignoresBody(request)) delete request.headers['content-type']
    done()
  })
  // The body of a DELETE has no meaning (RFC 9110 section 9.3.5), so it is ignored.
  app.addHttpMethod('DELETE', { hasBody: false, overrideExisting: true })
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_JSON_BYTES }, (request, body, done) => {
    if (body.length === 0) return done(null)
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer)
    } catch (cause) {
      done(new Problem('malformed_json', { detail: 'The body is not UTF-8.', cause }))
      return
    }
    void parse(request, text, done)
  })
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    if (!ignoresBody(request) && !await isEmpty(request.raw)) throw new Problem('unsupported_media_type')
  })
}

/**
 * Whether a body has no bytes. If its length is not announced, the first one is waited for, but of a client that waits
 * to be told to send it: that has some (RFC 9110 section 10.1.1).
 */
async function isEmpty (raw: IncomingMessage): Promise<boolean> {
  const length = announcedLength(raw)
  if (length !== undefined) return length === 0
  if (raw.headers.expect !== undefined) return false
  // Of an empty one that has arrived already, Node emits no `readable`.
  const begun = [once(raw, 'readable'), once(raw, 'end')].map(event => event.then(() => true))
  const isThere = await Promise.race([...begun, once(raw, 'close').then(() => false)])
  return isThere && raw.read(1) === null
}
