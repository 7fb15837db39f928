import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type AjvCompiler from '@fastify/ajv-compiler'
import type { Serializer, SerializerCompiler, SerializerFactory } from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifyRequest, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import type { FastifyValidationResult } from 'fastify/types/schema.js'
import { Problem } from '../problems.ts'
import { announcedLength } from './wire-values.ts'

type SharedSchemas = Parameters<AjvCompiler.BuildCompilerFromPool>[0]

/** What the two packages make compilers with. */
interface Factories {
  readonly buildValidator: AjvCompiler.BuildCompilerFromPool
  readonly buildSerializer: SerializerFactory
}

/**
 * Fastify's compilers of schemas. Their packages are loaded by the first request, because they take a tenth of the
 * start-up time, and each schema is compiled when first used: compiling all of them took a quarter.
 */
export class SchemaCompilers {
  readonly #ajvOptions: AjvCompiler.Options
  #factories: Factories | undefined

  constructor (ajvOptions: AjvCompiler.Options) {
    this.#ajvOptions = ajvOptions
  }

  /** Adds the hook that loads the packages, ahead of the first validation. Problems need no serializer. */
  loadOnRequest (app: FastifyInstance): void {
    app.addHook('preValidation', (_request, _reply, done) => {
      if (this.#factories !== undefined) return done()
      void this.#load().then(() => done(), done)
    })
  }

  async #load (): Promise<void> {
    const { default: createValidators } = await import('@fastify/ajv-compiler')
    const { SerializerSelector: createSerializers } = await import('@fastify/fast-json-stringify-compiler')
    // Requests that come at the same time must share them.
    this.#factories ??= { buildValidator: createValidators(), buildSerializer: createSerializers() }
  }

  /** Equal schemas share a serializer: every operation has the error response, and compiling one takes 2 ms. */
  readonly buildSerializer: SerializerFactory = (sharedSchemas, options) => {
    let compile: SerializerCompiler | undefined
    const compiled = new Map<string, Serializer>()
    return definition => {
      const key = JSON.stringify(definition.schema)
      return document => {
        compile ??= (this.#factories as Factories).buildSerializer(sharedSchemas, options)
        let serializer = compiled.get(key)
        if (serializer === undefined) compiled.set(key, serializer = compile(definition))
        return serializer(document)
      }
    }
  }

  // Fastify's types take it for a compiler of schemas, without the part of the request.
  readonly buildValidator = ((sharedSchemas: SharedSchemas): FastifySchemaCompiler<object> => {
    let compile: ReturnType<AjvCompiler.BuildCompilerFromPool> | undefined
    return definition => {
      let validate: FastifyValidationResult | undefined
      return value => {
        compile ??= (this.#factories as Factories).buildValidator(sharedSchemas, { customOptions: this.#ajvOptions })
        validate ??= compile(definition) as FastifyValidationResult
        const { httpPart, schema } = definition
        if (httpPart === 'params' || httpPart === 'querystring') readScalars(value, schema as AddressSchema)
        return validate(value) === true || { error: validate.errors as FastifySchemaValidationError[] }
      }
    }
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
