import { failures, type FailureCode } from '../problems.ts'
import { tags } from './operation.ts'

interface SharedRef { $ref?: string }
interface Response {
  $ref?: string
  headers?: Record<string, SharedRef>
  content?: Record<string, { examples?: object }>
}
interface Operation {
  operationId: string
  description: string
  parameters?: { in: string }[]
  requestBody?: { required: boolean, content: Record<string, { schema: { $ref?: string } }> }
  'x-required-scope'?: string
  responses: Record<string, Response>
}

/** The parts of an OpenAPI document that are changed here. */
interface OpenapiDocument {
  info: { description: string }
  paths: Record<string, Record<string, Operation>>
  components: {
    schemas: Record<string, { required?: string[], minProperties?: number }>,
    examples: Record<string, unknown>,
    headers?: Record<string, SharedRef>,
    responses?: Record<string, Response>
  }
}

/** The order of paths. */
const PATHS = Object.values(tags).flatMap(({ paths }) => paths)

/** The order of parameters. */
const PLACES = ['path', 'query', 'header']

const METHODS = ['post', 'get', 'put', 'head', 'patch', 'delete']

/**
 * Completes the document, in place, with what depends on the whole of it: order, shared headers and errors, required
 * scopes, and the errors that no operation lists.
 */
export function transformDocument (document: OpenapiDocument): void {
  document.paths = sorted(document.paths, PATHS)
  for (const [path, item] of Object.entries(document.paths)) document.paths[path] = sorted(item, METHODS)
  const operations = Object.values(document.paths).flatMap(item => Object.values(item))
  for (const operation of operations) {
    const scope = operation['x-required-scope']
    if (scope !== undefined) operation.description += `\n\nRequired token scope: \`${scope}\`.`
    describeBody(operation, document)
    operation.parameters?.sort((a, b) => PLACES.indexOf(a.in) - PLACES.indexOf(b.in))
  }
  const responses = operations.flatMap(operation => Object.values(operation.responses))
  shareHeaders(document, responses)
  listOtherFailures(document, responses)
  shareFailures(document, operations)
}

/** Keys missing in the list come first, where they are noticed. */
function sorted<Value> (values: Record<string, Value>, order: string[]): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)))
}

/** A body that needs no member may be left out. */
function describeBody ({ requestBody }: Operation, { components }: OpenapiDocument): void {
  const reference = requestBody?.content['application/json']?.schema.$ref
  if (requestBody === undefined || reference === undefined) return
  const schema = components.schemas[reference.split('/').at(-1) as string]
  requestBody.required = (schema?.required ?? schema?.minProperties) !== undefined
}

/** Moves each header that is the same in all responses to `components.headers`. */
function shareHeaders ({ components }: OpenapiDocument, responses: Response[]): void {
  const variants = new Map<string, Set<string>>()
  for (const { headers = {} } of responses) {
    for (const [name, header] of Object.entries(headers)) {
      variants.set(name, (variants.get(name) ?? new Set()).add(JSON.stringify(header)))
    }
  }
  const single = Array.from(variants).filter(([, variant]) => variant.size === 1)
  const shared = Object.fromEntries(single.map(([name, [only = '']]) => [name, JSON.parse(only)]))
  components.headers = shared
  for (const { headers = {} } of responses) {
    for (const name of Object.keys(headers).filter(name => name in shared)) {
      headers[name] = { $ref: `#/components/headers/${name}` }
    }
  }
}

/** Lists in the introduction the errors that no operation lists, because they occur before the operation is known. */
function listOtherFailures ({ info, components }: OpenapiDocument, responses: Response[]): void {
  const listed = new Set(responses.flatMap(({ content = {} }) => Object.values(content))
    .flatMap(({ examples = {} }) => Object.keys(examples)))
  const others = (Object.keys(failures) as FailureCode[]).filter(code => !listed.has(code))
  for (const code of others) delete components.examples[code]
  const lines = others.map(code => `- ${failures[code].status} \`${code}\`: ${failures[code].title}.`)
  info.description += `\n\n${lines.join('\n')}`
}

/**
 * Moves each error response that several operations have to `components.responses`, which halves the document. It is
 * named for the first of these operations and the status, such as `deleteToken404`. Successes stay in each operation:
 * clients that swagger-typescript-api generates do not parse shared ones, and openapi-client-axios refuses shared ones
 * that are not JSON.
 */
function shareFailures ({ components }: OpenapiDocument, operations: Operation[]): void {
  const firsts = new Map<string, { name: string, responses: Operation['responses'] }>()
  const shared: Record<string, Response> = {}
  for (const { operationId, responses } of operations) {
    for (const [status, response] of Object.entries(responses)) {
      if (Number(status) < 400) continue
      const text = `${status} ${JSON.stringify(response)}`
      const first = firsts.get(text)
      if (first === undefined) {
        firsts.set(text, { name: `${operationId}${status}`, responses })
        continue
      }
      shared[first.name] = response
      // Objects of their own: one used twice would become an anchor in YAML.
      for (const each of [first.responses, responses]) each[status] = { $ref: `#/components/responses/${first.name}` }
    }
  }
  components.responses = shared
}
