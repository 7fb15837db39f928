import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { execute } from '../kit/programs.ts'
import { MIB } from '../kit/sizes.ts'

/** A server's port and path, and the request headers. */
export interface Target { port: number, path: string, headers?: Record<string, string> }

export interface Load { count: number, perSecond: number, p99Milliseconds: number }

/** Whether wrk is installed; it uses less CPU than our own loop. */
export const hasWrk = await execute('wrk', ['-v']).then(() => true, (error: { code?: unknown }) => error.code !== 'ENOENT')

/** Sends GETs over persistent connections. @throws if a response is not 2xx. */
export async function getRepeatedly (
  target: Target, { connections, seconds }: { connections: number, seconds: number }
): Promise<Load> {
  return hasWrk ? getByWrk(target, { connections, seconds }) : repeat(connections, seconds, async () => openRequester({ method: 'GET', ...target, next: () => target }))
}

async function getByWrk (
  { port, path, headers = {} }: Target, { connections, seconds }: { connections: number, seconds: number }
): Promise<Load> {
  const lines = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const { stdout } = await execute('wrk', ['-t1', `-c${connections}`, `-d${Math.max(1, Math.round(seconds))}s`, '--latency', '--timeout', '10s', ...lines, `http://127.0.0.1:${port}${path}`])
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`wrk met failures: ${stdout}`)
  const [, value = '', unit = ''] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? []
  return { count: Number(/(\d+) requests in/.exec(stdout)?.[1]), perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]), p99Milliseconds: Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? NaN) }
}

export interface Requester { send (): Promise<void>, close (): void }

/** Each requester sends its next request after the response to the previous one. */
export async function repeat (
  connections: number, seconds: number, open: (index: number) => Promise<Requester>
): Promise<Load> {
  const requesters = await Promise.all(Array.from({ length: connections }, (_, index) => open(index)))
  const latencies: number[] = []
  const began = performance.now()
  const end = began + seconds * 1000
  await Promise.all(requesters.map(async ({ send }) => {
    for (let sent = performance.now(); sent < end; sent = performance.now()) {
      await send()
      latencies.push(performance.now() - sent)
    }
  }))
  const elapsed = performance.now() - began
  for (const { close } of requesters) close()
  latencies.sort((a, b) => a - b)
  return {
    count: latencies.length,
    perSecond: latencies.length / elapsed * 1000,
    p99Milliseconds: latencies[Math.floor(latencies.length * 0.99)] ?? NaN
  }
}

export interface RequestTarget extends Omit<Target, 'path'> {
  method: string
  /** The path and the body of the next request. */
  next: () => { path: string, body?: Buffer }
  /** That of the responses, instead of any 2xx. */
  status?: number
}

/**
 * A persistent connection with one request at a time; responses need a Content-Length, unless they are 204.
 * @throws if one has another status than is expected.
 */
export async function openRequester ({ port, method, headers = {}, next, status }: RequestTarget): Promise<Requester> {
  const socket = await dial(port)
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return {
    async send () {
      const answered = readAnswer(socket, status)
      const { path, body } = next()
      const head = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${lines}${body === undefined ? '' : `Content-Length: ${body.length}\r\n`}\r\n`)
      socket.write(body === undefined ? head : Buffer.concat([head, body]))
      await answered
    },
    close: () => { socket.destroy() }
  }
}

/** Uploads over a new connection, from one buffer. `before` and `after` enclose the bytes, as in a form. */
export async function upload ({ port, method, path, headers = {} }: Target & { method: string }, bytes: number, { before = '', after = '' } = {}): Promise<void> {
  const chunk = Buffer.alloc(MIB, 'MagicStore ')
  const socket = await dial(port)
  const answered = readAnswer(socket)
  const length = bytes + Buffer.byteLength(before) + Buffer.byteLength(after)
  const lines = Object.entries({ ...headers, 'Content-Length': length }).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${lines}\r\n${before}`)
  for (let sent = 0; sent < bytes; sent += MIB) {
    if (!socket.write(chunk.subarray(0, Math.min(MIB, bytes - sent)))) await Promise.race([once(socket, 'drain'), answered])
  }
  if (after !== '') socket.write(after)
  await answered
  socket.destroy()
}

/** Downloads over a new connection and checks the length; returns the milliseconds to the first byte. */
export async function download ({ port, path, headers = {} }: Target, bytes: number): Promise<number> {
  const socket = await dial(port)
  const answered = readAnswer(socket)
  const began = performance.now()
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${lines}\r\n`)
  const [length, firstByte] = await Promise.all([answered, once(socket, 'data').then(() => performance.now() - began)])
  if (length !== bytes) throw new Error(`${length} bytes received, not ${bytes}`)
  socket.destroy()
  return firstByte
}

async function dial (port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** Waits for one response, discards its body and returns the length. */
function readAnswer (socket: Socket, status?: number): Promise<number> {
  const expected = new RegExp(`^HTTP/1\\.1 ${status ?? '2\\d\\d'} `)
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0)
    let length = -1
    let left = -1
    const fail = (error: Error) => settle(() => reject(error))
    const onClose = () => fail(new Error('the connection ended before the answer'))
    function settle (finish: () => void): void {
      socket.off('data', read).off('error', fail).off('close', onClose)
      finish()
    }
    function read (chunk: Buffer): void {
      if (length === -1) {
        head = Buffer.concat([head, chunk])
        const end = head.indexOf('\r\n\r\n')
        if (end === -1) return
        const text = head.toString('latin1', 0, end)
        if (!expected.test(text)) return fail(new Error(`answered ${head.toString('latin1', 0, 600)}`))
        length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0)
        left = length - (head.length - end - 4)
      } else left -= chunk.length
      if (left <= 0) settle(() => resolve(length))
    }
    socket.on('data', read).on('error', fail).on('close', onClose)
  })
}
