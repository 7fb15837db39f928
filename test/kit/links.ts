import { signUp, type Answer, type RunningServer, type SendOptions } from './server.ts'

export interface CreatedLink { readonly id: number, readonly secret: string, readonly path: string }

/** Creates a link, with the credential of its owner. */
export async function createLink (client: Pick<RunningServer, 'send'>, credential: SendOptions, json: object): Promise<CreatedLink> {
  const { json: { id, url } } = await client.send('POST', '/api/links', { ...credential, json })
  const [path = '', secret = ''] = /\/s\/([0-9A-Za-z]{22})$/.exec(url) ?? []
  return { id, secret, path }
}

/** A new account at a server with links, and its visitors. */
export interface LinkOwner {
  readonly server: RunningServer
  readonly id: number
  readonly user: [string, string]
  readonly token: string
  /** Sends as the owner: with a token, since a password costs a hash. */
  send (method: string, path: string, options?: SendOptions): Promise<Answer>
  share (json: object): Promise<CreatedLink>
  /** Sends as a visitor. */
  get (path: string, headers?: Record<string, string>): Promise<Answer>
}

/** Opens an account with these files. */
export async function openLinkOwner (server: RunningServer, files: Record<string, string> = {}): Promise<LinkOwner> {
  const { id, user, token } = await signUp(server)
  const owner: LinkOwner = {
    server,
    id,
    user,
    token,
    send: (method, path, options = {}) => server.send(method, path, { token, ...options }),
    share: json => createLink(server, { token }, json),
    get: (path, headers = {}) => server.send('GET', path, { headers })
  }
  for (const [name, body] of Object.entries(files)) await owner.send('PUT', `/uploads/${name}`, { body })
  return owner
}
