import AjvCompiler from '@fastify/ajv-compiler'
import { type SerializerFactory, SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import type { FastifyValidationResult } from 'fastify/types/schema.js'
import { Problem } from '../problems.ts'
import { announcedLength } from './wire-values.ts'

/**
 * Fastify's serializers, each compiled once, when first used. Compiling one takes 2 ms, and every operation has the error response:
 * compiling all of them took a fifth of the start-up time.
 */
export function createSerializers (): SerializerFactory {
  const factory = SerializerSelector()
  return (externalSchemas, options) => {
    const compile = factory(externalSchemas, options)
    const compiled = new Map<string, ReturnType<typeof compile>>()
    return definition => {
      const key = JSON.stringify(definition.schema)
      return document => {
        let serializer = compiled.get(key)
        if (serializer === undefined) compiled.set(key, serializer = compile(definition))
        return serializer(document)
      }
    }
  }
}

/** The schema of path parameters or a query. */
interface AddressSchema { properties: Record<string, { type?: string }> }

/** An integer as in JSON, with at most the digits that a number can represent. */
const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/

/**
 * Fastify's validators, each compiled when first used: compiling all of them took a sixteenth of the start-up time. All shared
 * schemas must have been added to `app` by then.
 */
export function createValidators (app: FastifyInstance, customOptions: AjvCompiler.Options): FastifySchemaCompiler<object> {
  let compile: ReturnType<AjvCompiler.BuildCompilerFromPool> | undefined
  return definition => {
    let validate: FastifyValidationResult | undefined
    return value => {
      compile ??= AjvCompiler()(app.getSchemas() as Record<string, object>, { customOptions })
      validate ??= compile(definition) as FastifyValidationResult
      if (definition.httpPart === 'params' || definition.httpPart === 'querystring') readScalars(value, definition.schema as AddressSchema)
      return validate(value) === true || { error: validate.errors as FastifySchemaValidationError[] }
    }
  }
}

/**
 * Converts parameters that are integers or booleans in the schema; validation refuses those that are not written as such. Ajv's
 * coercion would also accept ` 1`, `1e2` and `0x10`.
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

/** Ignores bodies of any type, which have no meaning for the routes of this Fastify scope. */
export function ignoreBodies (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  // Fastify would refuse a malformed Content-Type.
  app.addHook('onRequest', async ({ headers }) => { delete headers['content-type'] })
}

/**
 * Accepts only JSON bodies, and empty ones of any type as no body: `curl -d ''` and axios declare a form. Refuses bodies that are not
 * UTF-8, and the keys `__proto__` and `constructor`.
 */
export function acceptJson (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  // The body of a DELETE has no meaning (RFC 9110 section 9.3.5), so it is ignored.
  app.addHttpMethod('DELETE', { hasBody: false, overrideExisting: true })
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_JSON_BYTES }, (request, body, done) => {
    if (announcedLength(request.raw) === 0) return done(null)
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer)
    } catch (cause) {
      done(new Problem('malformed_json', { detail: 'The body is not UTF-8.', cause }))
      return
    }
    void parse(request, text, done)
  })
  app.addContentTypeParser('*', ({ raw, is404 }, _payload, done) => {
    done(is404 || announcedLength(raw) === 0 ? null : new Problem('unsupported_media_type'))
  })
}
