import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Maximum number of requests on one connection before reading from it is paused: one in progress, and 16 that wait. */
const MAX_OPEN = 1 + 16

/**
 * How long a refused body is read and dropped: closing at once could reset the connection before the client reads the
 * response. There is no limit in bytes, except where the client can continue: nginx, Caddy and Node's `fetch` send what
 * they have before they read a response, and of 40 clients that sent 20 MiB with `fetch`, 6 missed theirs when reading
 * ended after 16 MiB.
 */
export const LINGER_MILLISECONDS = 2000

/**
 * Bytes of a refused body that are dropped where the response tells an offset. A client that misses it asks for the
 * offset. Chromium repeats a PATCH whose connection was lost, and reads the response only when it has sent all: 200 MiB
 * for nothing within the time.
 */
const LINGER_BYTES = 1024 ** 2

interface Queue {
  /** Unfinished responses, oldest first. */
  readonly open: Set<ServerResponse>
  newest: ServerResponse | undefined
}

/** The pipelined requests of each HTTP/1.1 connection. Node would start them all at once. */
export function createPipelines () {
  const queues = new WeakMap<Socket, Queue>()

  function openQueue (socket: Socket): Queue {
    const queue: Queue = { open: new Set(), newest: undefined }
    queues.set(socket, queue)
    // Node resumes reading at the end of each request, and for each body.
    socket.on('resume', () => holdBack(socket, queue))
    return queue
  }

  return {
    /**
     * Calls `start` when the response to the request before it is over; never if the connection has been closed by
     * then, so that nothing may change (RFC 9112 section 9.6).
     */
    onTurn ({ socket }: IncomingMessage, response: ServerResponse, start: () => void): void {
      const queue = queues.get(socket) ?? openQueue(socket)
      const { open, newest: before } = queue
      open.add(response)
      queue.newest = response
      response.once('close', () => {
        open.delete(response)
        if (open.size === MAX_OPEN) socket.resume()
      })
      holdBack(socket, queue)
      const begin = () => { if (socket.writable) start() }
      // After all other listeners: they may close the connection.
      if (before !== undefined && open.has(before)) before.once('close', () => queueMicrotask(begin))
      else begin()
    },
    /** The response to the oldest unfinished request on a connection. */
    oldestOn: (socket: Socket) => queues.get(socket)?.open.values().next().value,
    /** The response to the newest request on a connection. */
    newestOn: (socket: Socket) => queues.get(socket)?.newest
  }
}

function holdBack (socket: Socket, { open }: Queue): void {
  if (open.size > MAX_OPEN) socket.pause()
}

/**
 * Yields the whole payload, then delays the end while the rest of the request body is dropped, less of it if the client
 * can continue.
 */
export async function * linger (
  payload: string | Buffer, request: IncomingMessage, { isResumable }: { isResumable: boolean }
): AsyncGenerator<string | Buffer> {
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
