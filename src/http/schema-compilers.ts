import AjvCompiler from '@fastify/ajv-compiler'
import { type SerializerFactory, SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import type { FastifyValidationResult } from 'fastify/types/schema.js'
import { Problem } from '../problems.ts'

/**
 * Fastify's own serialisers, each schema compiled once, when it is first answered with: compiling one takes two
 * milliseconds, the error response stands on every operation, and all of them took a fifth of the time of a start.
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

/** The schema of path parameters or of a query. */
interface AddressSchema { properties: Record<string, { type?: string }> }

/** An integer as JSON writes it, of as many digits as a number holds. */
const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/

/**
 * Fastify's own validators, each compiled when a request first needs it: all of them took a sixteenth of the time of a
 * start. By then `app` must have every schema that others refer to.
 */
export function createValidators (app: FastifyInstance, customOptions: AjvCompiler.Options): FastifySchemaCompiler<object> {
  let compile: ReturnType<AjvCompiler.BuildCompilerFromPool> | undefined
  return definition => {
    let validate: FastifyValidationResult | undefined
    return value => {
      compile ??= AjvCompiler()(app.getSchemas() as Record<string, object>, { customOptions })
      validate ??= compile(definition) as FastifyValidationResult
      if (definition.httpPart === 'params' || definition.httpPart === 'querystring') readIntegers(value, definition.schema as AddressSchema)
      return validate(value) === true || { error: validate.errors as FastifySchemaValidationError[] }
    }
  }
}

/**
 * An address is text: what its schema calls an integer becomes one here, if it is written like one; else validation
 * refuses it. Ajv's own coercion would take ` 1`, `1e2` and `0x10` too.
 */
function readIntegers (values: Record<string, unknown>, { properties }: AddressSchema): void {
  for (const [name, { type }] of Object.entries(properties)) {
    const text = values[name]
    if (type === 'integer' && typeof text === 'string' && INTEGER.test(text)) values[name] = Number(text)
  }
}

/** Largest JSON body, in bytes. */
const MAX_JSON_BYTES = 64 * 1024

/** Makes JSON, and nothing else, a body that routes of `app` take; refuses what is not UTF-8 and keys that reach for prototypes. */
export function acceptJson (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  // What the body of a DELETE says means nothing (RFC 9110 section 9.3.5): whatever it is, it is not looked at.
  app.addHttpMethod('DELETE', { hasBody: false, overrideExisting: true })
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_JSON_BYTES }, (request, body, done) => {
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer)
    } catch (cause) {
      done(new Problem('malformed_json', { detail: 'The body is not UTF-8.', cause }))
      return
    }
    void parse(request, text, done)
  })
}
