import { failures, type FailureCode } from '../problems.ts'

interface Header { $ref?: string }
interface Response { headers?: Record<string, Header>, content?: Record<string, { examples?: object }> }
interface Parameter { in: string }
interface Operation { description: string, parameters?: Parameter[], 'x-required-scope'?: string, responses: Record<string, Response> }

/** The parts of an OpenAPI document that are put in order here. */
interface Arranged {
  info: { description: string }
  paths: Record<string, Record<string, Operation>>
  components: { examples: Record<string, unknown>, headers?: Record<string, Header> }
}

/** The paths in the order in which a newcomer needs them, within each group of operations; the groups have theirs from `tags`. */
const PATHS = [
  '/api/users', '/api/users/{id}',
  '/api/token', '/api/resource', '/api/tokens', '/api/tokens/{id}',
  '/', '/api/files', '/uploads/{name}', '/api/files/{name}',
  '/api/account', '/api/account/events', '/api/account/password',
  '/openapi.json', '/openapi.yaml',
  '/health/live', '/health/ready'
]

/** What an address needs stands ahead of what a request may add. */
const PLACES = ['path', 'query', 'header']

const METHODS = ['post', 'get', 'put', 'head', 'patch', 'delete']

/** Gives a document, which it changes, what can be said of it as a whole only: order, named headers, scopes in words, and the failures of no operation. */
export function transformDocument (document: Arranged): void {
  document.paths = sorted(document.paths, PATHS)
  for (const [path, item] of Object.entries(document.paths)) document.paths[path] = sorted(item, METHODS)
  const operations = Object.values(document.paths).flatMap(item => Object.values(item))
  for (const operation of operations) {
    sayScope(operation)
    operation.parameters?.sort((a, b) => PLACES.indexOf(a.in) - PLACES.indexOf(b.in))
  }
  const responses = operations.flatMap(operation => Object.values(operation.responses))
  nameHeaders(document, responses)
  tellOtherFailures(document, responses)
}

/** What the list does not know stands first, where it is seen. */
function sorted<Value> (values: Record<string, Value>, order: string[]): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)))
}

function sayScope (operation: Operation): void {
  const scope = operation['x-required-scope']
  if (scope !== undefined) operation.description += `\n\nRequired token scope: \`${scope}\`.`
}

/** A header that is the same on every response which has it is a component of its own name. */
function nameHeaders ({ components }: Arranged, responses: Response[]): void {
  const spellings = new Map<string, Set<string>>()
  for (const { headers = {} } of responses) {
    for (const [name, header] of Object.entries(headers)) spellings.set(name, (spellings.get(name) ?? new Set()).add(JSON.stringify(header)))
  }
  const named = Array.from(spellings).filter(([, ways]) => ways.size === 1)
  components.headers = Object.fromEntries(named.map(([name, [only = '']]) => [name, JSON.parse(only)]))
  for (const { headers = {} } of responses) {
    for (const name of Object.keys(headers)) if (name in components.headers) headers[name] = { $ref: `#/components/headers/${name}` }
  }
}

/** Some failures are answered before it is known what a request asks for: the introduction lists what no operation does. */
function tellOtherFailures ({ info, components }: Arranged, responses: Response[]): void {
  const told = new Set(responses.flatMap(({ content = {} }) => Object.values(content)).flatMap(({ examples = {} }) => Object.keys(examples)))
  const others = (Object.keys(failures) as FailureCode[]).filter(code => !told.has(code))
  for (const code of others) delete components.examples[code]
  info.description += `\n\n${others.map(code => `- ${failures[code].status} \`${code}\`: ${failures[code].title}.`).join('\n')}`
}
