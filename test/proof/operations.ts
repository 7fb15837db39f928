import type { Client, SendOptions } from '../kit/server.ts'

interface Operation {
  security: Record<string, string[]>[]
  requestBody?: { content: Record<string, { schema?: { $ref?: string } }> }
}

/** An operation of the document, as a test can call it. */
export interface Listed {
  /** Method and path as in the document. */
  readonly name: string
  readonly method: string
  readonly path: string
  readonly schemes: string[]
  readonly isPublic: boolean
  /** Without a body, and with one: if `takesBody`, one that the operation could take. */
  readonly bodies: SendOptions[]
  readonly takesBody: boolean
}

/** The operations of the document, and HEAD wherever there is GET. */
export async function operationsOf (client: Client): Promise<Listed[]> {
  const { json: document } = await client.send('GET', '/openapi.json')
  const exampleOf = (ref: string) => Object.fromEntries(Object.entries<{ examples?: unknown[] }>(document.components.schemas[ref.slice(ref.lastIndexOf('/') + 1)].properties).map(([name, { examples }]) => [name, examples?.[0] ?? {}]))
  const items = Object.entries<Record<string, Operation>>(document.paths)
  const entries = items.flatMap(([template, item]) =>
    Object.entries(item).map(([key, operation]) => ({ template, item, key, ...operation })))
  return entries.flatMap(({ template, item, key, security, requestBody }) => {
    const ref = requestBody?.content['application/json']?.schema?.$ref
    const [type = 'application/octet-stream'] = Object.keys(requestBody?.content ?? {})
    const body = ref === undefined ? { body: 'bytes', headers: { 'content-type': type } } : { json: exampleOf(ref) }
    const listed = (method: string) => ({
      name: `${method} ${template}`,
      method,
      path: template.replace('{id}', '1').replace('{name}', 'report.pdf'),
      schemes: security.flatMap(way => Object.keys(way)),
      isPublic: security.some(way => Object.keys(way).length === 0),
      bodies: method === 'GET' || method === 'HEAD' ? [{}] : [{}, body],
      takesBody: requestBody !== undefined
    })
    return key === 'get' && item.head === undefined ? [listed('GET'), listed('HEAD')] : [listed(key.toUpperCase())]
  })
}
