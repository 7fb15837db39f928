import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { sharedServer, signUp, type Settings } from '../kit/server.ts'

export interface Response { status: number, headers: Record<string, string>, body: Buffer, wholeAt: number }

/** A raw connection. */
export interface Wire {
  readonly socket: Socket
  /** Everything received, one byte per character. */
  text (): string
  /** Waits until `text` has been received. */
  until (text: string): Promise<void>
  /** Waits for the first complete response other than 100, by its Content-Length. */
  response (): Promise<Response>
  /** Waits until the connection closes; returns the error, if any. */
  readonly closed: Promise<NodeJS.ErrnoException | undefined>
}

export function dial (t: Test, { port }: { port: number }): Wire {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const chunks: Buffer[] = []
  let size = 0
  let error: NodeJS.ErrnoException | undefined
  socket.on('data', (chunk: Buffer) => { chunks.push(chunk); size += chunk.length })
  socket.on('error', cause => { error = cause })
  const closed = new Promise<NodeJS.ErrnoException | undefined>(resolve => socket.once('close', () => resolve(error)))
  const received = () => Buffer.concat(chunks)
  async function untilSo (isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      const end = await Promise.race([once(socket, 'data').then(() => 'data', () => 'end'), closed.then(() => 'end')])
      if (end === 'end' && !isSo()) throw new Error(`the connection ended (${error?.code}) after: ${received().toString('latin1').slice(0, 500)}`)
    }
  }
  return {
    socket,
    closed,
    text: () => received().toString('latin1'),
    until: text => untilSo(() => received().includes(text)),
    async response () {
      await untilSo(() => parse(received()) !== undefined)
      const wholeAt = parse(received())?.wholeAt ?? NaN
      await untilSo(() => size >= wholeAt)
      return parse(received()) as Response
    }
  }
}

/** The first final response received; undefined until its head is complete. */
export function parse (received: Buffer): Response | undefined {
  const start = received.indexOf('HTTP/1.1 100') === 0 ? received.indexOf('\r\n\r\n') + 4 : 0
  const end = received.indexOf('\r\n\r\n', start)
  if (end === -1) return undefined
  const [statusLine = '', ...lines] = received.toString('latin1', start, end).split('\r\n')
  const headers = Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
  return { status: Number(statusLine.split(' ')[1]), headers, body: received.subarray(end + 4), wholeAt: end + 4 + Number(headers['content-length']) }
}

export function head (method: string, path: string, headers: Record<string, string | number> = {}): string {
  return [`${method} ${path} HTTP/1.1`, 'Host: test', ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n')
}

/** The server of the file with these settings, and an account of its own for a test. */
export async function open (settings: Settings = {}) {
  // The tests try wrong passwords.
  const server = await sharedServer({ SIGN_IN_FAILURES: '1000', ...settings })
  const { token, user } = await signUp(server)
  return { server, token, user, authorization: `Bearer ${token}` }
}

/** The statuses of the responses received, in order. */
export function statuses (text: string): number[] {
  return Array.from(text.matchAll(/HTTP\/1\.1 (\d{3}) /g), ([, status]) => Number(status))
}
