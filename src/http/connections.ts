import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2ServerRequest, type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../problems.ts'
import { clientErrorResponse } from './error-handler.ts'
import { createPipelines } from './pipeline.ts'
import { createTurn } from './turn.ts'

/**
 * How much of a refused body is read and dropped, and for how long, so that the answer is not lost in a reset. Behind nginx
 * and Caddy, which send on what they have before they look for an answer, one of 25 was lost with 4 MiB and none with 16.
 */
const LINGER_BYTES = 16 * 1024 ** 2
const LINGER_MILLISECONDS = 2000

/** A connection without a byte for so long is cut once the server is stopping. */
const STOPPING_IDLE_MILLISECONDS = 15_000

/** How often HTTP/2 sessions that ended without a word are looked for. */
const LOOK_MILLISECONDS = 1000

/**
 * Bytes that an HTTP/2 client may send of one body before they are read; 64 KiB, the default, makes it wait for every
 * acknowledgement. Node acknowledges for the connection at once, so that each of its streams may hold as many.
 */
export const HTTP2_WINDOW_BYTES = 1024 ** 2

export interface Connections {
  /** Refuses new requests from now on and cuts stalled transfers sooner; transfers that move are left alone. */
  stop (): void
  /** Answers bytes that are no HTTP, and ends the connection. */
  refuse (error: NodeJS.ErrnoException, socket: Socket): void
  /** How many requests are not answered yet. */
  countInProgress (): number
  /** Calls `act` when a response is over or its connection closes; at once if it is over already. For responses to requests that reached a route. */
  onceOver (response: ServerResponse, act: () => void): void
}

/** An answer that is not over: what it goes over, and what has the time-out of its request. */
interface Answering {
  readonly socket: Socket
  readonly session?: ServerHttp2Session
  readonly transfer: { setTimeout (milliseconds: number): void }
  /** Whether the answer is known, so that nobody reads more of the body. */
  isKnown: boolean
}

/** Time-outs by idleness, `Expect: 100-continue`, and refusals that reach a client which is still sending; HTTP/1.1 and HTTP/2. */
export function trackConnections (app: FastifyInstance, { idleSeconds, isTls }: { idleSeconds: number, isTls: boolean }): Connections {
  let idleMilliseconds = idleSeconds * 1000
  let isStopping = false
  // With each connection how much had come over it when it last had nothing to do.
  const sockets = new Map<Socket, number>()
  const sessions = new Map<ServerHttp2Session, Socket>()
  const underWay = new Map<ServerResponse, Answering>()
  // The connection ends behind them.
  const last = new WeakSet<ServerResponse>()
  // Typed for HTTP/1.1 as the application is; an HTTP/2 server has the same events, and one more.
  const server: EventEmitter = app.server
  const endOfTurn = createTurn()
  const pipelines = createPipelines()
  let opening: Socket
  let looking: NodeJS.Timeout | undefined

  // Before Node's own listener, which tells of a session while it is told of its socket.
  server.prependListener(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    opening = socket
    sockets.set(socket, socket.bytesRead)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('session', (session: ServerHttp2Session) => {
    const socket = opening
    sessions.set(session, socket)
    session.setLocalWindowSize(HTTP2_WINDOW_BYTES)
    session.setTimeout(idleMilliseconds, () => endSession(session, socket))
    looking ??= setInterval(destroyLeftSockets, LOOK_MILLISECONDS).unref()
    socket.once('close', () => {
      sessions.delete(session)
      if (sessions.size > 0) return
      clearInterval(looking)
      looking = undefined
    })
    if (isStopping) endSession(session, socket)
  })
  app.server.setTimeout(idleMilliseconds)
  // Between two requests as well: Fastify's default is 72 s.
  app.server.keepAliveTimeout = idleMilliseconds
  // Who closes their half behind a whole request waits for the answer (Node's own switch, which its types do not know).
  Object.assign(app.server, { httpAllowHalfOpen: true })
  // HTTP/2 over TLS brings back Node's limit of five minutes for a whole request.
  app.server.requestTimeout = 0
  server.on('timeout', (idle: Socket | ServerHttp2Session) => { if (!('goaway' in idle)) idle.destroy() })
  function enqueue (request: IncomingMessage, response: ServerResponse): void {
    if (isHttp2(request)) return
    pipelines.add(request, response)
    // No protocol is changed to here, but Node loses what came with such a request: a next one is to be sent anew.
    if (request.headers.upgrade !== undefined) last.add(response)
  }
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.prependListener(event, enqueue)
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueWhenRead(request, response, () => underWay.get(response)?.isKnown === false)
    app.routing(request, response)
  })
  // An expectation that is not known may be passed over (RFC 9110 section 10.1.1); Node would answer 417 on its own.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => app.routing(request, response))

  function isBusy (socket: Socket): boolean {
    return Array.from(underWay.values()).some(answering => answering.socket === socket)
  }

  /** Node destroys a session at a connection error, but at times neither closes its socket nor tells of its end. */
  function destroyLeftSockets (): void {
    for (const [session, socket] of sessions) if (session.destroyed) socket.destroy()
  }

  /** Takes no more streams, lets those under way end, and then the connection, though the client may keep its half. */
  function endSession (session: ServerHttp2Session, socket: Socket): void {
    session.close()
    if (isBusy(socket)) return
    const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS)
    socket.once('close', () => clearTimeout(timer))
  }

  /** An HTTP/2 connection carries many streams, each with a time-out of its own. */
  function answeringOn (request: Http2ServerRequest): Answering {
    const { stream } = request
    const session = stream.session as ServerHttp2Session
    stream.once('finish', () => {
      if (request.complete) return
      // RFC 9113 section 8.1: whoever is still sending when the answer is whole may stop, without an error.
      stream.close(constants.NGHTTP2_NO_ERROR)
      // Node keeps a stream until all that came has been read.
      request.resume()
    })
    // Closing alone would wait for a client that reads nothing more.
    stream.once('timeout', () => { stream.close(constants.NGHTTP2_CANCEL); stream.destroy() })
    return { session, socket: sessions.get(session) as Socket, transfer: stream, isKnown: false }
  }

  app.addHook('onRequest', async ({ raw }, reply) => {
    if (!isHttp2(raw) && !await pipelines.isItsTurn(raw, reply.raw)) return reply.hijack()
    const answering: Answering = isHttp2(raw) ? answeringOn(raw) : { socket: raw.socket, transfer: raw.socket, isKnown: false }
    answering.transfer.setTimeout(idleMilliseconds)
    underWay.set(reply.raw, answering)
    reply.raw.once('close', () => {
      underWay.delete(reply.raw)
      if (answering.session?.closed === true) endSession(answering.session, answering.socket)
    })
    if (isStopping) throw new Problem('stopping', { headers: { 'retry-after': '5' } })
    // While the server hashes or syncs it is not the client that is idle.
    raw.once('end', () => { if (!answering.isKnown) answering.transfer.setTimeout(0) })
  })

  app.addHook('onSend', async ({ raw }, reply, payload) => {
    const answering = underWay.get(reply.raw)
    if (answering !== undefined) answering.isKnown = true
    answering?.transfer.setTimeout(idleMilliseconds)
    if (isHttp2(raw)) {
      // Fastify asks for it with some refusals; RFC 9113 section 8.2.2 knows no such field.
      reply.removeHeader('connection')
      // Nobody reads the rest of the body, and the response may wait for as long as the client likes.
      raw.resume()
      await endOfTurn()
      return payload
    }
    // A request without a body is complete with its head.
    const isUnread = !raw.complete
    if (isUnread || isStopping || last.has(reply.raw)) reply.header('connection', 'close')
    if (isUnread && (typeof payload === 'string' || Buffer.isBuffer(payload))) {
      reply.header('content-length', Buffer.byteLength(payload))
      return Readable.from(linger(payload, raw))
    }
    await endOfTurn()
    return payload
  })

  app.addHook('onResponse', async ({ raw }, reply) => {
    if (isHttp2(raw)) return
    // Whoever was promised more requests on this connection would keep the server waiting for them.
    if (isStopping || last.has(reply.raw)) raw.socket.destroySoon()
    else if (sockets.has(raw.socket)) sockets.set(raw.socket, raw.socket.bytesRead)
  })

  return {
    stop () {
      isStopping = true
      idleMilliseconds = Math.min(idleMilliseconds, STOPPING_IDLE_MILLISECONDS)
      app.server.setTimeout(idleMilliseconds)
      for (const { transfer } of underWay.values()) transfer.setTimeout(idleMilliseconds)
      for (const [session, socket] of sessions) endSession(session, socket)
      const ofSessions = new Set(sessions.values())
      // Kept open for a next request, or by a browser that may never send one; a head that has begun to arrive is answered.
      for (const [socket, bytesRead] of sockets) {
        if (ofSessions.has(socket) || isBusy(socket)) continue
        if (socket.bytesRead === bytesRead) socket.destroy()
        else socket.setTimeout(idleMilliseconds)
      }
    },
    refuse (error, socket) {
      const answer = pipelines.newestOn(socket)
      const isAnswering = answer !== undefined && !answer.writableFinished
      // Among the bytes of an answer that is under way the refusal would pass for some of them; and before a TLS
      // connection stands nothing can be said.
      if (!sockets.has(socket) || (isAnswering && answer.headersSent)) socket.destroy()
      // A request that is whole gets its answer, whatever comes behind it.
      else if (isAnswering && answer.req.complete && socket.writable) last.add(answer)
      else socket.end(clientErrorResponse(error))
    },
    countInProgress: () => underWay.size,
    onceOver (response, act) {
      if (underWay.has(response)) response.once('close', act)
      else act()
    }
  }
}

/** By what it came over: a request line of HTTP/1.1 may call itself 2.0. */
function isHttp2 (request: IncomingMessage | Http2ServerRequest): request is Http2ServerRequest {
  return 'stream' in request
}

/** Sends `100 Continue` at the first read of the body, so that a request refused by its head is never asked for its body. */
function continueWhenRead (request: IncomingMessage, response: ServerResponse, isWanted: () => boolean): void {
  const read = request._read
  request._read = function (size) {
    request._read = read
    if (isWanted()) response.writeContinue()
    read.call(request, size)
  }
}

/** The whole answer first, then its end held back while what still arrives is dropped. */
async function * linger (payload: string | Buffer, request: IncomingMessage): AsyncGenerator<string | Buffer> {
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
