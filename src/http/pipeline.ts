import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Methods that change nothing (RFC 9110 section 9.2.1). */
export const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Requests that wait on one connection before no more are read from it. */
const MAX_WAITING = 16

interface Queue {
  /** Responses that are not over, oldest first. */
  readonly open: Set<ServerResponse>
  last: ServerResponse | undefined
  lastUnsafe: ServerResponse | undefined
  waiting: number
}

/** The requests of each HTTP/1.1 connection, which Node hands out all at once. */
export interface Pipelines {
  /** To be called for each request before anything else sees it. From then on its response emits `close`, whatever happens. */
  add (request: IncomingMessage, response: ServerResponse): void
  /**
   * Lets a request that changes something wait for those ahead of it, and those behind it wait for it; behind a response
   * that closes the connection nothing is changed any more (RFC 9112 sections 9.3.2 and 9.6). Resolves when it is the
   * request's turn, with false if its connection is over by then.
   */
  isItsTurn (request: IncomingMessage, response: ServerResponse): Promise<boolean>
  /** The response to the newest request on a connection, unless it is over. */
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
    async isItsTurn ({ socket, method }, response) {
      const queue = queues.get(socket) as Queue
      const isSafe = SAFE_METHODS.has(String(method))
      const before = isSafe ? queue.lastUnsafe : queue.last
      queue.last = response
      if (!isSafe) queue.lastUnsafe = response
      if (before?.writableFinished === false && socket.writable) await waitFor(before, queue, socket)
      return socket.writable
    },
    newestOn: socket => Array.from(queues.get(socket)?.open ?? []).at(-1)
  }
}

/**
 * When a connection closes, Node emits `close` only on the response that is being sent. The others would be kept for
 * good by everything that waits for their end, with the files that they send.
 */
function closeWaiting (responses: Set<ServerResponse>): void {
  for (const response of responses) {
    if (response.socket !== null) continue
    response.destroy()
    response.emit('close')
  }
}

async function waitFor (response: ServerResponse, queue: Queue, socket: Socket): Promise<void> {
  if (++queue.waiting > MAX_WAITING) socket.pause()
  await new Promise(resolve => { response.once('close', resolve) })
  if (--queue.waiting === MAX_WAITING) socket.resume()
}
