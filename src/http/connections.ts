import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../errors.ts'

/** How much of a refused body is read and dropped, and for how long, so that the answer is not lost in a reset. */
const LINGER_BYTES = 1024 ** 2
const LINGER_MILLISECONDS = 2000

/** A connection without a byte for so long is cut once the server is stopping. */
const STOPPING_IDLE_MILLISECONDS = 15_000

export interface Connections {
  /** Refuses new requests from now on and cuts stalled transfers sooner; transfers that move are left alone. */
  stop (): void
}

/** Time-outs by idleness, `Expect: 100-continue`, and refusals that reach a client which is still sending. */
export function tendConnections (app: FastifyInstance, { idleSeconds }: { idleSeconds: number }): Connections {
  let idleMilliseconds = idleSeconds * 1000
  let isStopping = false
  const sockets = new Set<Socket>()

  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.server.setTimeout(idleMilliseconds)
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueWhenRead(request, response)
    app.routing(request, response)
  })
  // An expectation that is not known may be passed over (RFC 9110 section 10.1.1); Node would answer 417 on its own.
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => app.routing(request, response))

  app.addHook('onRequest', async ({ raw }, reply) => {
    if (isStopping) throw new Problem('stopping', { headers: { 'retry-after': '5', connection: 'close' } })
    // While the server hashes or syncs it is not the client that is idle.
    raw.once('end', () => { if (!reply.raw.headersSent) raw.socket.setTimeout(0) })
  })

  app.addHook('onSend', async ({ raw }, reply, payload) => {
    raw.socket.setTimeout(idleMilliseconds)
    if (!hasUnreadBody(raw)) return payload
    reply.header('connection', 'close')
    if (typeof payload !== 'string') return payload
    reply.header('content-length', Buffer.byteLength(payload))
    return Readable.from(linger(payload, raw))
  })

  return {
    stop () {
      isStopping = true
      idleMilliseconds = Math.min(idleMilliseconds, STOPPING_IDLE_MILLISECONDS)
      for (const socket of sockets) socket.setTimeout(idleMilliseconds)
    }
  }
}

/** Sends `100 Continue` at the first read of the body, so that a request refused by its head is never asked for its body. */
function continueWhenRead (request: IncomingMessage, response: ServerResponse): void {
  const read = request._read
  request._read = function (size) {
    request._read = read
    if (!response.headersSent) response.writeContinue()
    read.call(request, size)
  }
}

function hasUnreadBody ({ complete, headers }: IncomingMessage): boolean {
  return !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
}

/** The whole answer first, then its end held back while what still arrives is dropped. */
async function * linger (payload: string, request: IncomingMessage): AsyncGenerator<string> {
  yield payload
  await new Promise<void>(resolve => {
    let dropped = 0
    const timer = setTimeout(resolve, LINGER_MILLISECONDS)
    const done = () => { clearTimeout(timer); resolve() }
    request.on('data', (chunk: Buffer) => { if ((dropped += chunk.length) > LINGER_BYTES) done() })
    for (const event of ['end', 'close', 'error']) request.once(event, done)
    request.resume()
  })
}
