import type { Listed, Operation, Schema } from './arbitraries.ts'

// The examples of the document.

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
function examplesOf (where: string, { schema = {}, example, examples = {} }: Partial<Pick<Media, 'schema' | 'example' | 'examples'>>): Example[] {
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
