import type { Test } from 'tap'
import { formOf, type Answer, type RunningServer, type SendOptions } from '../kit/server.ts'
import { operationsOf, type Document, type Listed, type Operation, type Schema } from './arbitraries.ts'

// The examples of the document, and the answers to the requests that they make.

/** An example, its place in the document, and the schema it must match. */
export interface Example { where: string, value: unknown, schema: Schema }

type Media = NonNullable<Operation['requestBody']>['content'][string]

/** The examples within a schema, without those of referenced schemas. */
export function examplesIn (where: string, schema: Schema): Example[] {
  return [
    ...(schema.examples ?? []).map(value => ({ where, value, schema })),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => examplesIn(`${where}.${name}`, inner)),
    ...(schema.items === undefined ? [] : examplesIn(`${where}[]`, schema.items)),
    ...(schema.anyOf ?? schema.oneOf ?? []).flatMap(inner => examplesIn(where, inner))
  ]
}

/** The examples of a parameter, header or body, except references to components. */
export function examplesOf (where: string, { schema = {}, example, examples = {} }: Partial<Pick<Media, 'schema' | 'example' | 'examples'>>): Example[] {
  const named = Object.values(examples).filter(({ $ref }) => $ref === undefined).map(({ value }) => value)
  const own = [...(example === undefined ? [] : [example]), ...named].map(value => ({ where, value, schema }))
  return [...own, ...examplesIn(where, schema)]
}

export const requestedBy = ({ operation: { operationId, parameters = [], requestBody } }: Listed): Example[] => [
  ...parameters.flatMap(parameter => examplesOf(`${operationId} ${parameter.name}`, parameter)),
  ...Object.values(requestBody?.content ?? {}).flatMap(media => examplesOf(`${operationId} body`, media))
]

export const answeredBy = ({ operation: { operationId, responses } }: Listed): Example[] =>
  Object.entries(responses).flatMap(([status, { headers = {}, content = {} }]) => [
    ...Object.entries(headers).flatMap(([name, header]) => examplesOf(`${operationId} ${status} ${name.toLowerCase()}`, header)),
    ...Object.values(content).flatMap(media => examplesOf(`${operationId} ${status}`, media))
  ])

/** A server that is asked what the examples say. */
export interface Walkthrough {
  readonly server: RunningServer
  readonly document: Document
  user: [string, string]
  token: string
  /** The headers of a session. */
  session: Record<string, string>
}

export interface Asked {
  parameters?: Record<string, unknown>
  body?: SendOptions
  isSignedInByPassword?: boolean
  headers?: Record<string, string>
}

export function findOperation (document: Document, operationId: string): Listed {
  return operationsOf(document).find(({ operation }) => operation.operationId === operationId) as Listed
}

/** Calls an operation by its id. */
export async function ask (
  walkthrough: Walkthrough,
  operationId: string,
  { parameters = {}, body = {}, isSignedInByPassword = false, headers = {} }: Asked = {}
): Promise<Answer> {
  const { method, path, operation } = findOperation(walkthrough.document, operationId)
  const placed = (place: string) => (operation.parameters ?? []).filter(({ in: where, name }) => where === place &&
    parameters[name] !== undefined).map(({ name }): [string, string] => [name, String(parameters[name])])
  const query = new URLSearchParams(placed('query')).toString()
  const address = placed('path').reduce((text, [name, value]) => text.replace(`{${name}}`, encodeURIComponent(value)), path)
  const schemes = operation.security.flatMap(requirement => Object.keys(requirement))
  const takesTokens = schemes.includes('bearer') && operationId !== 'getToken' && !isSignedInByPassword
  const session = schemes.includes('session') ? walkthrough.session : {}
  const credential = takesTokens ? { token: walkthrough.token } : schemes.includes('basic') ? { user: walkthrough.user } : {}
  const answer = await walkthrough.server.send(method, query === '' ? address : `${address}?${query}`, { ...credential, ...body, headers: { ...Object.fromEntries(placed('header')), ...session, ...body.headers, ...headers } })
  if (operationId === 'createSession') walkthrough.session = { cookie: String(answer.headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': answer.json.key }
  return answer
}

/** Makes a request of an example, with `filled` for what no example can give, and expects a success. */
export async function askExample (
  t: Test, walkthrough: Walkthrough, operationId: string, { example, filled }: { example: Asked, filled: Asked }
): Promise<Answer> {
  const answer = await ask(walkthrough, operationId, filled)
  t.ok(answer.status < 400, `${operationId} ${JSON.stringify({ ...example.parameters, ...Object(example.body?.json) })}: ${answer.status}`)
  return answer
}

/** Requests built from the examples of an operation: with no, each and all optional parameters, and with each body. */
export function exampleRequests (
  { operation: { operationId, parameters = [], requestBody } }: Listed, document: Document
): Asked[] {
  const given = parameters.flatMap(parameter =>
    examplesOf(operationId, parameter).slice(0, 1).map(({ value }) => ({ ...parameter, value })))
  const pick = (chosen: typeof given) => Object.fromEntries(chosen.map(({ name, value }) => [name, value]))
  const needed = given.filter(({ required }) => required === true)
  const optional = given.filter(({ required }) => required !== true)
  const addresses =
    [needed, ...optional.map(each => [...needed, each]), ...(optional.length > 1 ? [given] : [])].map(pick)
  return exampleBodies(requestBody?.content ?? {}, document)
    .flatMap(body => addresses.map(parameters => ({ parameters, body })))
}

function exampleBodies (content: Record<string, Media>, document: Document): SendOptions[] {
  const [entry] = Object.entries(content)
  if (entry === undefined) return [{}]
  const [type, media] = entry
  if (type === 'multipart/form-data') return [formOf('report.pdf', 'the bytes', { type: 'application/pdf' })]
  if (type === 'application/partial-upload' || type === 'application/offset+octet-stream') return [{ body: 'the bytes' }]
  if (type === 'application/octet-stream') return [{ body: 'the bytes', headers: { 'content-type': 'application/pdf' } }]
  const whole = examplesOf('', { ...media, schema: {} }).map(({ value }) => value)
  const schema = document.components.schemas[String(media.schema.$ref).replace('#/components/schemas/', '')] as Schema
  const built = Object.entries(schema.properties ?? {}).map(([name, { examples = [] }]) => [name, examples[0]] as const)
  const needed = built.filter(([name]) => schema.required?.includes(name))
  const isEnough = needed.length < built.length && needed.length >= (schema.minProperties ?? 0)
  const bodies = [Object.fromEntries(built), ...(isEnough ? [Object.fromEntries(needed)] : [])]
  return [...whole, ...bodies].map(json => ({ json }))
}
