import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { certify } from '../kit/certificates.ts'
import { spawnServer, type Settings, type TlsServer } from '../kit/server.ts'
import { KIB } from '../kit/sizes.ts'

/** The address of the server, and its certificate. */
export interface Place { readonly port: number, readonly ca: Buffer }

export const connectionCount = async ({ http: { server } }: TlsServer) =>
  promisify(server.getConnections.bind(server))()

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  bytes: Buffer
  code: string | undefined
}

export interface Asked { headers?: OutgoingHttpHeaders, body?: string | Uint8Array, token?: string, user?: string }

/** A client of one of the two protocols. */
export type Ask = (method: string, path: string, asked?: Asked) => Promise<Answer>

export async function spawnTls (t: Test, settings: Settings = {}) {
  const folder = t.testdir()
  const dataDir = join(folder, 'data')
  const files = await certify(folder)
  const server = await spawnServer(t, { DATA_DIR: dataDir, ...files, ...settings }, { isCounted: true })
  return { ...server, files, dataDir, ca: await readFile(files.TLS_CERT) }
}

function headersOf ({ headers, token, user }: Asked): OutgoingHttpHeaders {
  return { ...(token && { authorization: `Bearer ${token}` }), ...(user && { authorization: `Basic ${btoa(user)}` }), ...headers }
}

function answerOf (status: number | undefined, headers: Answer['headers'], chunks: Buffer[]): Answer {
  const bytes = Buffer.concat(chunks)
  return { status: status ?? 0, headers, bytes, code: String(headers['content-type']).startsWith('application/problem+json') ? JSON.parse(bytes.toString()).code : undefined }
}

export function overHttp1 ({ port, ca }: Place): Ask {
  return async (method, path, asked = {}) => {
    const isSized = asked.body !== undefined && asked.headers?.['transfer-encoding'] === undefined
    const headers = { ...(isSized && { 'content-length': Buffer.byteLength(asked.body ?? '') }), ...headersOf(asked) }
    const request = httpsRequest({ host: '127.0.0.1', port, ca, method, path, agent: false, headers })
    const answered = once(request, 'response')
    // A server that refuses early may stop reading: only the response matters.
    request.on('error', () => {})
    request.end(asked.body)
    const [response] = await answered
    return answerOf(response.statusCode, response.headers, await response.toArray())
  }
}

export function openSession (t: Test, { port, ca }: Place, { initialWindowSize = 64 * KIB } = {}): ClientHttp2Session {
  // Node's client applies a limit to data that it has not sent yet.
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca, maxSessionMemory: 256, settings: { initialWindowSize } })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  return session
}

/** A request whose body the test sends itself. */
export function beginOn (
  session: ClientHttp2Session, method: string, path: string, asked: Asked = {}
): ClientHttp2Stream {
  const stream = session.request({ ':method': method, ':path': path, ...headersOf(asked) }, { endStream: false })
  stream.on('error', () => {})
  return stream
}

export async function answerTo (stream: ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = []
  stream.on('data', chunk => chunks.push(chunk))
  const ended = once(stream, 'end')
  const [headers] = await once(stream, 'response')
  await ended
  return answerOf(headers[':status'], headers, chunks)
}

export function overHttp2 (session: ClientHttp2Session): Ask {
  return (method, path, asked = {}) => {
    const stream = beginOn(session, method, path, asked)
    const answer = answerTo(stream)
    stream.end(asked.body)
    return answer
  }
}

/** A client of each protocol. */
export function clientsOf (t: Test, place: Place): [protocol: string, ask: Ask][] {
  return [['HTTP/1.1', overHttp1(place)], ['HTTP/2', overHttp2(openSession(t, place))]]
}

let accounts = 0

/** A token of a new account. */
export async function signUp (ask: Ask, username = `user-${++accounts}`): Promise<string> {
  await ask('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password: 'correct horse battery' }) })
  const { bytes } = await ask('GET', '/api/token', { user: `${username}:correct horse battery` })
  return JSON.parse(bytes.toString()).token
}

/** A session over a connection that the test can stop reading. */
export async function openHardSession (
  t: Test, { port, ca }: Place
): Promise<{ session: ClientHttp2Session, socket: Socket }> {
  const socket = connectTls({ host: '127.0.0.1', port, ca, ALPNProtocols: ['h2'] })
  await once(socket, 'secureConnect')
  const session = connectHttp2(`https://127.0.0.1:${port}`, { createConnection: () => socket })
  session.on('error', () => {})
  t.teardown(() => socket.destroy())
  return { session, socket }
}
