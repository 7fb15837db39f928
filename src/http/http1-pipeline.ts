import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Methods that change nothing (RFC 9110 section 9.2.1). */
export const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Maximum number of requests that wait on one connection before reading from it is paused. */
const MAX_WAITING = 16

/**
 * How long a refused body is read and dropped: closing at once could reset the connection before the client reads the response.
 * There is no limit in bytes, except where the client can continue: nginx, Caddy and Node's `fetch` send what they have before they
 * read a response, and of 40 clients that sent 20 MiB with `fetch`, 6 missed theirs when reading ended after 16 MiB.
 */
export const LINGER_MILLISECONDS = 2000

/**
 * Bytes of a refused body that are dropped where the response tells an offset. A client that misses it asks for the offset. Chromium
 * repeats a PATCH whose connection was lost, and reads the response only when it has sent all: 200 MiB for nothing within the time.
 */
const LINGER_BYTES = 1024 ** 2

interface Queue {
  /** Unfinished responses, oldest first. */
  readonly open: Set<ServerResponse>
  last: ServerResponse | undefined
  lastUnsafe: ServerResponse | undefined
  waiting: number
}

/** The pipelined requests of each HTTP/1.1 connection. Node starts them all at once. */
export interface Pipelines {
  /** Call this first for each request. From then on its response always emits `close`. */
  add (request: IncomingMessage, response: ServerResponse): void
  /**
   * Runs unsafe requests alone: they wait for the requests before them, and the requests after them wait (RFC 9112 section 9.3.2).
   * Calls `start` when it is the request's turn, or `drop` if the connection has been closed, so that nothing may change
   * (section 9.6).
   */
  onTurn (request: IncomingMessage, response: ServerResponse, turn: { start: () => void, drop: () => void }): void
  /** The response to the oldest unfinished request on a connection: the one that is being sent, or else the next. */
  oldestOn (socket: Socket): ServerResponse | undefined
  /** The response to the newest request on a connection, unless it is finished. */
  newestOn (socket: Socket): ServerResponse | undefined
}

export function createPipelines (): Pipelines {
  const queues = new WeakMap<Socket, Queue>()

  function openQueue (socket: Socket): Queue {
    const queue: Queue = { open: new Set(), last: undefined, lastUnsafe: undefined, waiting: 0 }
    queues.set(socket, queue)
    socket.once('close', () => closeWaiting(queue.open))
    return queue
  }

  return {
    add ({ socket }, response) {
      const { open } = queues.get(socket) ?? openQueue(socket)
      open.add(response)
      response.once('close', () => open.delete(response))
    },
    onTurn ({ socket, method }, response, { start, drop }) {
      const begin = () => socket.writable ? start() : drop()
      const queue = queues.get(socket) as Queue
      const isSafe = SAFE_METHODS.has(String(method))
      const before = isSafe ? queue.lastUnsafe : queue.last
      queue.last = response
      if (!isSafe) queue.lastUnsafe = response
      if (before?.writableFinished === false && socket.writable) void waitFor(before, queue, socket).then(begin)
      else begin()
    },
    oldestOn: socket => queues.get(socket)?.open.values().next().value,
    newestOn: socket => Array.from(queues.get(socket)?.open ?? []).at(-1)
  }
}

/** When a connection closes, Node emits `close` only on the response being sent. The others, and their files, would never be freed. */
function closeWaiting (responses: Set<ServerResponse>): void {
  for (const response of responses) {
    if (response.socket !== null) continue
    response.destroy()
    response.emit('close')
  }
}

async function waitFor (response: ServerResponse, queue: Queue, socket: Socket): Promise<void> {
  if (++queue.waiting > MAX_WAITING) socket.pause()
  // Node warns of a leak at eleven listeners.
  response.setMaxListeners(response.getMaxListeners() + 1)
  await new Promise(resolve => { response.once('close', resolve) })
  if (--queue.waiting === MAX_WAITING) socket.resume()
}

/** Sends `100 Continue` when the body is first read, so that a client whose head is refused never sends its body. */
export function continueWhenRead (request: IncomingMessage, response: ServerResponse, isWanted: () => boolean): void {
  const read = request._read
  request._read = function (size) {
    request._read = read
    if (isWanted()) response.writeContinue()
    read.call(request, size)
  }
}

/** Yields the whole payload, then delays the end while the rest of the request body is dropped, less of it if the client can continue. */
export async function * linger (payload: string | Buffer, request: IncomingMessage, { isResumable }: { isResumable: boolean }): AsyncGenerator<string | Buffer> {
  yield payload
  let leftBytes = isResumable ? LINGER_BYTES : Infinity
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, LINGER_MILLISECONDS)
    const done = () => { clearTimeout(timer); resolve() }
    for (const event of ['end', 'close', 'error']) request.once(event, done)
    // After a reader gave up, `resume` alone does not make the stream flow again.
    request.on('data', ({ length }: Buffer) => {
      leftBytes -= length
      if (leftBytes <= 0) done()
    }).resume()
  })
}
