import fc from 'fast-check'
import { createValidators } from '../kit/conformance.ts'
import { inlineResponses } from '../kit/document.ts'

/** The subset of JSON Schema that the document uses for input. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  items?: Schema
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  properties?: Record<string, Schema>
  required?: string[]
  minProperties?: number
  examples?: unknown[]
}

export interface Parameter { name: string, in: 'path' | 'query' | 'header', required?: boolean, schema: Schema, example?: unknown, examples?: Record<string, { value: unknown }> }
/** A response schema may give only the type of a body. */
interface Media { schema?: Schema, example?: unknown, examples?: Record<string, { value?: unknown, $ref?: string }> }
export interface Operation {
  operationId: string
  security: Record<string, string[]>[]
  parameters?: Parameter[]
  requestBody?: { content: Record<string, Media & { schema: Schema }> }
  responses: Record<string, {
    headers?: Record<string, { schema: Schema, example?: unknown }>, content?: Record<string, Media>
  }>
}
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema>, examples: Record<string, { value: any }> }
}
export interface Listed { method: string, path: string, operation: Operation }

export function operationsOf (document: Document): Listed[] {
  return Object.entries(inlineResponses(document).paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })))
}

/** Longest text drawn if a schema allows more; the mutations exceed higher limits. */
const MAX_DRAWN_LENGTH = 300

/** Texts that show whether one matches a pattern by chance. */
const SAMPLE = { numRuns: 200, seed: 1 }

/** Values for properties with rules beyond their schema, such as usernames. */
export type Hints = Record<string, fc.Arbitrary<unknown>>

export interface Drawer {
  /** Values that match a schema, by the name of its property or parameter. */
  valuesOf (schema: Schema, name?: string): fc.Arbitrary<any>
}

/** Draws values from the schemas of a document. Ajv checks them, so an unsupported keyword can't go unnoticed. */
export function createDrawer (document: Document, hints: Hints): Drawer {
  const validatorOf = createValidators(document)
  const isValid = (schema: Schema, value: unknown) => validatorOf(schema)(value)

  function follow (ref: string): Schema {
    return document.components.schemas[ref.replace('#/components/schemas/', '')] as Schema
  }

  function drawn (schema: Schema): fc.Arbitrary<unknown> {
    if (schema.$ref !== undefined) return valuesOf(follow(schema.$ref))
    if (schema.const !== undefined) return fc.constant(schema.const)
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
    const choices = schema.anyOf ?? schema.oneOf
    if (choices !== undefined) return fc.oneof(...choices.map(choice => valuesOf(choice)))
    if (Array.isArray(schema.type)) return fc.oneof(...schema.type.map(type => drawn({ ...schema, type })))
    switch (schema.type) {
      case 'object': return objects(schema)
      case 'array': return arrays(schema)
      case 'string': return strings(schema)
      case 'integer': return fc.integer({ min: schema.minimum ?? Number.MIN_SAFE_INTEGER, max: schema.maximum ?? Number.MAX_SAFE_INTEGER })
      case 'boolean': return fc.boolean()
      case 'null': return fc.constant(null)
      default: throw new Error(`can't draw from ${JSON.stringify(schema)}`)
    }
  }

  function objects ({ properties = {}, required = [], minProperties = 0 }: Schema): fc.Arbitrary<object> {
    return fc.record(
      Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valuesOf(schema, name)])),
      { requiredKeys: required }
    ).filter(drawn => Object.keys(drawn).length >= minProperties)
  }

  function arrays ({
    items = {}, minItems: minLength = 0, maxItems: maxLength = 10, uniqueItems = false
  }: Schema): fc.Arbitrary<unknown[]> {
    const bounds = { minLength, maxLength: Math.min(maxLength, 10) }
    return uniqueItems ? fc.uniqueArray(valuesOf(items), bounds) : fc.array(valuesOf(items), bounds)
  }

  function valuesOf (schema: Schema, name = ''): fc.Arbitrary<any> {
    const hint = hints[name]
    return (hint === undefined ? drawn(schema) : fc.oneof(drawn(schema), hint)).filter(value => isValid(schema, value))
  }

  return { valuesOf }
}

function strings ({ format, pattern, minLength = 0, maxLength = MAX_DRAWN_LENGTH }: Schema): fc.Arbitrary<string> {
  if (format === 'date-time') return fc.date({ min: new Date('1900-01-01'), max: new Date('2200-01-01'), noInvalidDate: true }).map(date => date.toISOString())
  const longest = Math.min(maxLength, MAX_DRAWN_LENGTH)
  const text = fc.oneof(fc.string({ minLength, maxLength: longest }), fc.string({ minLength, maxLength: longest, unit: 'grapheme' }), fc.string({ minLength, maxLength: longest, unit: 'binary' }))
  if (pattern === undefined) return text
  const expression = new RegExp(pattern, 'u')
  const matching = text.filter(value => expression.test(value))
  // For a negated class the generator draws only ASCII; if it does not support a construct, use any text that matches
  // by chance. Of some patterns, such as that of six digits, none ever does.
  try {
    const drawn = fc.stringMatching(expression, { maxLength: longest })
    return fc.sample(text, SAMPLE).some(value => expression.test(value)) ? fc.oneof(drawn, matching) : drawn
  } catch {
    return matching
  }
}
