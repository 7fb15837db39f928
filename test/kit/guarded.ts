import type { Client } from './server.ts'

export interface GuardedOperation {
  readonly operationId: string
  readonly method: string
  /** Of something that is not there. */
  readonly path: string
  readonly security: object[]
  readonly 'x-required-scope'?: string
  readonly tags: string[]
  readonly parameters?: readonly { readonly name: string }[]
}

/** Whether an operation always needs a credential. */
export const isGuarded = ({ security }: GuardedOperation): boolean => security.every(way => Object.keys(way).length > 0)

/** The operations of the served document. */
export async function operationsOf (client: Client): Promise<GuardedOperation[]> {
  const { json: { paths } } = await client.send('GET', '/openapi.json')
  return Object.entries<Record<string, Omit<GuardedOperation, 'method' | 'path'>>>(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      ...operation,
      method: method.toUpperCase(),
      path: path.replace('{id}', '1').replace('{name}', 'report.pdf').replace('{secret}', 'a'.repeat(22))
    })))
}
