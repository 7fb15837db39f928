import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { Test } from 'tap'
import { PASSWORD, sharedServer, signUp, type Answer, type Client, type RunningServer, type SendOptions, type Settings, type TlsServer } from './server.ts'

/** Sends a request to the drive, with the path percent-encoded by the caller. */
export type Ask = (method: string, path: string, headers?: SendOptions['headers'], body?: SendOptions['body']) => Promise<Answer>

export type Drive = Awaited<ReturnType<typeof openDrive>>

/** The drive of a new account on a server, by default the one that the test file shares. */
export async function openDrive (settings: Settings = {}, own?: RunningServer) {
  const server = own ?? await sharedServer(settings)
  return { server, ...await driveOf(server) }
}

/** The drive of a new account: its access token with all scopes, its personal token as the secret. */
export async function driveOf (server: Client, username?: string) {
  const { user, token } = await signUp(server, username)
  const secret = await personalToken(server, user, ['files:read', 'files:write'])
  const ask = askWith(server, secret, user[0])
  /** The names of files and folders, folders with a slash. */
  async function names (): Promise<string[]> {
    const files = (await server.send('GET', '/api/files?limit=1000', { token })).json.files
    const walk = async (folder: string): Promise<string[]> => {
      const { folders } = (await server.send('GET', `/api/folders?limit=1000&folder=${encodeURIComponent(folder)}`, { token })).json
      const below = await Promise.all(folders.map(({ name }: { name: string }) => walk(name)))
      return [...folders.map(({ name }: { name: string }) => `${name}/`), ...below.flat()]
    }
    return [...files.map(({ name }: { name: string }) => name), ...await walk('')].sort()
  }
  return { user, token, secret, ask, names }
}

/** A personal token with these scopes. */
export async function personalToken (client: Client, user: [string, string], scopes: string[]): Promise<string> {
  return (await client.send('POST', '/api/tokens', { user, json: { name: 'a drive', scopes } })).json.token
}

/** Asks as clients do: the token is the password of an account. */
export function askWith (client: Client, secret: string, name = 'Ann'): Ask {
  return (method, path, headers, body) =>
    client.send(method, path, { user: [name, secret], ...headers && { headers }, ...body !== undefined && { body } })
}

/** A body of `LOCK`. */
export function lockInfo (scope: 'exclusive' | 'shared' = 'exclusive'): string {
  return `<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:${scope}/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner>Ann at home</D:owner></D:lockinfo>`
}

/** The token of a new lock. */
export function tokenOf ({ headers }: Answer): string {
  return String(headers['lock-token']).slice(1, -1)
}

/** A connection by HTTP/2, and the field with the token of a new account. */
export async function openHttp2 (t: Test, { ca, port, store }: TlsServer) {
  const session = connectHttp2(`https://localhost:${port}`, { ca })
  t.teardown(() => session.close())
  const begin = (method: string, path: string, headers: Record<string, string> = {}, body?: string | Uint8Array) =>
    session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined }).end(body)
  async function ask (...request: Parameters<typeof begin>) {
    const stream = begin(...request)
    const [headers] = await once(stream, 'response')
    const bytes = Buffer.concat(await stream.toArray())
    return { status: headers[':status'], headers, bytes, text: bytes.toString() }
  }
  await store.accounts.register({ username: 'ann', password: PASSWORD }, '127.0.0.1')
  const authorization = `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}`
  const { token } = JSON.parse((await ask('GET', '/api/token', { authorization })).text)
  return { begin, ask, auth: { authorization: `Bearer ${token}` } }
}
