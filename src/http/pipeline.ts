import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Requests that wait on one connection before no more are read from it. */
const MAX_WAITING = 16

interface Queue { last: ServerResponse | undefined, lastUnsafe: ServerResponse | undefined, waiting: number }

/**
 * Lets a request that changes something wait for those ahead of it on an HTTP/1.1 connection, and those behind it wait for
 * it, where Node hands all of them out at once; behind an answer that closes the connection nothing is changed any more
 * (RFC 9112 sections 9.3.2 and 9.6). The function it returns is to be called as a request comes; it resolves when its turn
 * has come, with false where its connection is over by then.
 */
export function createPipelines (): (request: IncomingMessage, response: ServerResponse) => Promise<boolean> {
  const queues = new WeakMap<Socket, Queue>()

  return async ({ socket, method }, response) => {
    const queue = queues.get(socket) ?? { last: undefined, lastUnsafe: undefined, waiting: 0 }
    queues.set(socket, queue)
    const isSafe = SAFE_METHODS.has(String(method))
    const before = isSafe ? queue.lastUnsafe : queue.last
    queue.last = response
    if (!isSafe) queue.lastUnsafe = response
    if (before?.writableFinished === false && socket.writable) await waitFor(before, queue, socket)
    if (socket.writable) return true
    // Node tells of the end of the answer that the connection was at alone; whoever waits for this one has to hear it as well.
    response.emit('close')
    return false
  }
}

async function waitFor (response: ServerResponse, queue: Queue, socket: Socket): Promise<void> {
  if (++queue.waiting > MAX_WAITING) socket.pause()
  await new Promise(resolve => { response.once('close', resolve) })
  if (--queue.waiting === MAX_WAITING) socket.resume()
}
