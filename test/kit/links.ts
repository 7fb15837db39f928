import type { Client, SendOptions } from './server.ts'

export interface CreatedLink { readonly id: number, readonly secret: string, readonly path: string }

/** Creates a link, with the credential of its owner. */
export async function createLink (client: Client, credential: SendOptions, json: object): Promise<CreatedLink> {
  const { json: { id, url } } = await client.send('POST', '/api/links', { ...credential, json })
  const [path = '', secret = ''] = /\/s\/([0-9A-Za-z]{22})$/.exec(url) ?? []
  return { id, secret, path }
}
