import { createRequire } from 'node:module'
import type AjvCompiler from '@fastify/ajv-compiler'
import type Serializers from '@fastify/fast-json-stringify-compiler'
import type { FastifyRequest, FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify'
import type { FastifyValidationResult } from 'fastify/types/schema.js'
import { invalidField } from '../problems.ts'
import { isOfLink } from './request-log.ts'

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

  // Fastify's types lack `httpPart`.
  buildValidator: ((schemas: Parameters<AjvCompiler.BuildCompilerFromPool>[0]): FastifySchemaCompiler<object> => {
    const compile = lazily(
      () => (load('@fastify/ajv-compiler') as typeof AjvCompiler).AjvCompiler()(schemas, { customOptions })
    )
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

/** Query parameters of some file operations. If others ignored them, they would use the wrong content. */
const PARAMETERS = ['version', 'permanent', 'folder', 'recursive', 'all', 'id', 'folderId']

/** The same for operations of links, which are attachments always. */
const LINK_PARAMETERS = [...PARAMETERS, 'disposition']

/** Refuses such a parameter on an operation that does not have it. @throws validation_failed. */
export async function refuseForeignParameters ({ method, query, routeOptions }: FastifyRequest): Promise<void> {
  const { properties = {} } = (routeOptions.schema?.querystring ?? {}) as { properties?: Record<string, unknown> }
  const parameters = isOfLink(String(routeOptions.url)) ? LINK_PARAMETERS : PARAMETERS
  const field = parameters.find(name => Object.hasOwn(query as object, name) && !Object.hasOwn(properties, name))
  if (field !== undefined) throw invalidField(field, `is not a parameter of ${method}`)
}
