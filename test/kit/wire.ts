import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** A response parsed from raw bytes. */
export interface WireAnswer { status: number, headers: Record<string, string>, body: Buffer }

/** Maximum time without data before an exchange fails. */
const TIMEOUT_MILLISECONDS = 30_000

interface Sent {
  bytes: Uint8Array
  method: string
  /** Whether to half-close the connection after the bytes. */
  isCut: boolean
  /** Whether the bytes are exactly one request, so the response must be complete. */
  isExact?: boolean
}

/**
 * Sends bytes that may be invalid HTTP, and reads every complete response until the server closes the connection. The
 * client half-closes it after the first complete response.
 * @throws if the response is not HTTP, or if nothing arrives and the connection stays open.
 */
export async function exchange (port: number, { bytes, method, isCut, isExact = true }: Sent): Promise<WireAnswer[]> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  let isComplete = false
  socket.on('data', chunk => {
    chunks.push(chunk)
    if (isComplete || firstEnd(Buffer.concat(chunks), method) === undefined) return
    isComplete = true
    socket.end()
  })
  const stalled = new Promise<never>((_resolve, reject) => socket.setTimeout(TIMEOUT_MILLISECONDS, () => { socket.destroy(); reject(new Error('no response, and the connection stays open')) }))
  // A server that refuses may stop reading and reset the connection.
  const closed = new Promise<void>(resolve => socket.on('error', () => {}).once('close', () => resolve()))
  socket.write(bytes)
  if (isCut) socket.end()
  await Promise.race([closed, stalled])
  return answersIn(Buffer.concat(chunks), { method, isExact })
}

/** Sends raw bytes, and reads until the server closes the connection. */
export async function sendRaw (port: number, bytes: string | Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  return Buffer.concat(await socket.toArray()).toString()
}

interface Head { status: number, headers: Record<string, string>, end: number }

function headIn (bytes: Buffer): Head | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine) ?? []
  if (status === undefined) throw new Error(`a response begins with ${JSON.stringify(statusLine.slice(0, 200))}`)
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    const value = line.slice(line.indexOf(':') + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return { status: Number(status), headers, end: end + 4 }
}

interface Part { answer: WireAnswer, end: number }

/** The first final response; undefined until it is complete (RFC 9112 section 6.3). */
function firstAnswer (bytes: Buffer, method: string): Part | undefined {
  const head = headIn(bytes)
  if (head === undefined) return undefined
  const { status, headers, end } = head
  const rest = bytes.subarray(end)
  if (status < 200) return shifted(firstAnswer(rest, method), end)
  // The refusal of invalid HTTP has a body even for HEAD; only this response has no Date.
  const isBodiless = (method === 'HEAD' && headers.date !== undefined) || status === 204 || status === 304
  if (isBodiless) return { answer: { status, headers, body: Buffer.alloc(0) }, end }
  const body = headers['transfer-encoding'] === 'chunked' ? unchunk(rest) : sized(rest, Number(headers['content-length']))
  return body && { answer: { status, headers, body: body.bytes }, end: end + body.end }
}

function shifted (part: Part | undefined, by: number): Part | undefined {
  return part && { answer: part.answer, end: part.end + by }
}

function firstEnd (bytes: Buffer, method: string): number | undefined {
  return firstAnswer(bytes, method)?.end
}

function sized (bytes: Buffer, length: number): { bytes: Buffer, end: number } | undefined {
  if (!Number.isInteger(length)) throw new Error('a response has no Content-Length')
  return bytes.length < length ? undefined : { bytes: bytes.subarray(0, length), end: length }
}

function unchunk (bytes: Buffer): { bytes: Buffer, end: number } | undefined {
  const chunks: Buffer[] = []
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const start = lineEnd + 2
    if (bytes.length < start + size + 2) return undefined
    if (size === 0) return { bytes: Buffer.concat(chunks), end: start + 2 }
    chunks.push(bytes.subarray(start, start + size))
    at = start + size + 2
  }
}

/** All complete responses; those after the first answer bytes that the server read as further requests. */
function answersIn (bytes: Buffer, { method, isExact }: { method: string, isExact: boolean }): WireAnswer[] {
  if (bytes.length === 0) return []
  const part = firstAnswer(bytes, method)
  if (part !== undefined) return [part.answer, ...answersIn(bytes.subarray(part.end), { method: 'GET', isExact })]
  if (isExact) throw new Error(`a response was truncated: ${bytes.toString('latin1').slice(0, 500)}`)
  return []
}

/** Below the ports that Linux gives to whoever asks for any (`ip_local_port_range`, 32768 and more). */
const [FIRST_PORT, LAST_PORT] = [20_000, 32_767]

/** How many ports a process has for itself. */
const RANGE = 128

/** The last port that this process has given out. */
let lastPort: Promise<number> | undefined

/** Listens at a port until the process ends. */
async function holdPort (port: number): Promise<boolean> {
  const server = createServer().unref()
  return new Promise<boolean>(resolve => {
    server.once('error', () => resolve(false)).listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true))
  })
}

/** The first port of a range that no other process of the tests has: each listens at the first port of its range. */
async function holdRange (): Promise<number> {
  for (let first = FIRST_PORT; first + RANGE <= LAST_PORT + 1; first += RANGE) if (await holdPort(first)) return first
  throw new Error('all ports of the tests are taken')
}

async function isFree (port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

/** A port of this machine that is free, and that no other test gets: a server can be started at it again and again. */
export function freePort (): Promise<number> {
  lastPort = (lastPort ?? holdRange()).then(async last => {
    let port = last + 1
    while (!await isFree(port)) port++
    if (port % RANGE === FIRST_PORT % RANGE) throw new Error('this process has used all its ports')
    return port
  })
  return lastPort
}
