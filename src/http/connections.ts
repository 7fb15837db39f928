import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { finished, Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Problem } from '../problems.ts'
import { clientErrorResponse } from './error-handler.ts'
import { createPipelines, linger } from './http1-pipeline.ts'
import { cutStream, type Http2Sessions, trackSessions } from './http2-sessions.ts'
import { isHttp2 } from './wire-values.ts'

/**
 * The idle time-out once the server is stopping. Node first notices that a write has stopped when the time-out expires
 * a second time, so a stalled download is cut after up to twice that.
 */
const STOPPING_IDLE_MILLISECONDS = 7500

/** A response in progress. */
interface ActiveRequest {
  readonly session?: ServerHttp2Session
  readonly socket: Socket
  /** What the idle time-out applies to: the socket, or over HTTP/2 the stream. */
  readonly transfer: Socket | ServerHttp2Stream
}

/**
 * The client connections of the server, and the requests in progress on them: idle time-outs, `Expect: 100-continue`,
 * graceful stop, and refusals that reach a client while it is sending.
 */
export class Connections {
  readonly #app: FastifyInstance
  // Each open socket, and how many bytes it had received when it was last idle.
  readonly #sockets = new Map<Socket, number>()
  readonly #sessions: Http2Sessions
  readonly #pipelines = createPipelines()
  // Not a Map of responses: until a full collection, V8 keeps its outgrown tables with the responses in them.
  readonly #inProgress = new Set<ActiveRequest>()
  readonly #begun = new WeakSet<ServerResponse>()
  // Responses after which the connection closes.
  readonly #last = new WeakSet<ServerResponse>()
  readonly #stopping = new AbortController()
  #idleMilliseconds: number

  constructor (app: FastifyInstance, { idleSeconds, isTls }: { idleSeconds: number, isTls: boolean }) {
    this.#app = app
    this.#idleMilliseconds = idleSeconds * 1000
    // Typed for HTTP/1.1, as the application is; an HTTP/2 server also emits `session`.
    const server: EventEmitter = app.server
    let newestSocket: Socket
    // Ahead of Node's own listener, which emits `session` while it handles the socket.
    server.prependListener(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
      newestSocket = socket
      this.#sockets.set(socket, socket.bytesRead)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#sessions = trackSessions(server, {
      idleMilliseconds: this.#idleMilliseconds,
      newestSocket: () => newestSocket,
      isBusy: socket => this.#isBusy(socket),
      cutResponses: session => this.#cutResponses(session)
    })
    this.#setTimeouts()
    this.#listenForRequests(server)
    this.#addHooks()
  }

  /** Aborted when the server stops, with what requests that wait are then refused with. */
  get stopping (): AbortSignal {
    return this.#stopping.signal
  }

  /** Refuses new requests, closes idle connections and shortens the idle time-out; active transfers complete. */
  stop (): void {
    this.#stopping.abort(new Problem('stopping', { retrySeconds: 5 }))
    this.#idleMilliseconds = Math.min(this.#idleMilliseconds, STOPPING_IDLE_MILLISECONDS)
    this.#app.server.setTimeout(this.#idleMilliseconds)
    for (const { transfer } of this.#inProgress) transfer.setTimeout(this.#idleMilliseconds)
    this.#sessions.stop(this.#idleMilliseconds)
    this.#closeIdle()
  }

  /** Answers bytes that are not HTTP, and closes the connection. */
  refuse (error: NodeJS.ErrnoException, socket: Socket): void {
    const newest = this.#pipelines.newestOn(socket)
    const isAnswering = newest !== undefined && !newest.writableFinished
    // Inside a response the refusal would be read as part of it; before the end of the TLS handshake nothing can be
    // sent.
    if (!this.#sockets.has(socket) || (isAnswering && newest.headersSent)) socket.destroy()
    // A complete request gets its response, whatever follows it.
    else if (isAnswering && newest.req.complete && socket.writable) this.#last.add(newest)
    else socket.end(clientErrorResponse(error))
  }

  /** The number of requests in progress. */
  countInProgress (): number {
    return this.#inProgress.size
  }

  /**
   * Calls `onOver` when the response of a routed request ends or its connection closes; immediately if already closed.
   */
  onceOver (response: ServerResponse, onOver: () => void): void {
    if (this.#begun.has(response)) response.once('close', onOver)
    else onOver()
  }

  /**
   * The same, also when the client closes its side of an HTTP/1.1 connection: it may be gone, or still read a response.
   * Over HTTP/2 a client that is gone resets the stream.
   */
  onceLeft (request: IncomingMessage, response: ServerResponse, onLeft: () => void): void {
    this.onceOver(response, onLeft)
    if (!isHttp2(request)) response.once('close', finished(request.socket, { writable: false }, onLeft))
  }

  /**
   * Aborted when the client leaves, as by {@link Connections.onceLeft}. Its connection is then cut, unless it has the
   * beginning of a response.
   */
  signalOf (request: IncomingMessage, response: ServerResponse): AbortSignal {
    const controller = new AbortController()
    this.onceLeft(request, response, () => {
      controller.abort(new Problem('upload_incomplete', { detail: 'The client is gone.' }))
      if (!response.headersSent) response.destroy()
    })
    return controller.signal
  }

  #setTimeouts (): void {
    const { server } = this.#app
    server.setTimeout(this.#idleMilliseconds)
    // Between two requests as well: Fastify's default is 72 s.
    server.keepAliveTimeout = this.#idleMilliseconds
    // A client that closes its side after the request still gets its response, but where `signalOf` looks for it.
    // Node's types lack this option.
    Object.assign(server, { httpAllowHalfOpen: true })
    // HTTP/2 over TLS restores Node's limit of five minutes for a whole request.
    server.requestTimeout = 0
    // Node drops the header fields after the thousandth, preconditions among them; the length of the head has a limit.
    server.maxHeadersCount = 0
    server.on('timeout', (idle: Socket | ServerHttp2Session) => {
      if ('goaway' in idle) return
      const current = this.#pipelines.oldestOn(idle)
      // A client that waits for the server, which hashes or syncs, is not idle: its time begins again.
      if (current?.req.complete === true && !current.headersSent) idle.setTimeout(this.#idleMilliseconds)
      else idle.destroy()
    })
  }

  #listenForRequests (server: EventEmitter): void {
    const route = (request: IncomingMessage, response: ServerResponse) => this.#route(request, response)
    server.on('request', route)
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      continueWhenRead(request, response)
      route(request, response)
    })
    // An unknown expectation may be ignored (RFC 9110 section 10.1.1); Node itself would answer 417.
    server.on('checkExpectation', route)
  }

  #route (request: IncomingMessage, response: ServerResponse): void {
    const start = () => this.#app.routing(request, response)
    if (isHttp2(request)) return start()
    // Upgrades are ignored, but Node drops what follows such a request: the connection closes after it.
    if (request.headers.upgrade !== undefined) this.#last.add(response)
    this.#pipelines.onTurn(request, response, start)
  }

  #addHooks (): void {
    this.#app.addHook('onRequest', ({ raw }, reply, done) => {
      this.#begin(raw, reply.raw)
      done(this.stopping.aborted ? this.stopping.reason as Problem : undefined)
    })

    const endOfTurn = createTurn()
    this.#app.addHook('onSend', ({ raw }, reply, payload) => {
      if (!isHttp2(raw)) return this.#closeHttp1(raw, reply, payload) ?? endOfTurn()
      // Fastify sets it on some refusals; HTTP/2 has no such field (RFC 9113 section 8.2.2).
      reply.removeHeader('connection')
      // Drops the rest of the body: the client may leave the response unread for as long as it likes.
      raw.resume()
      return endOfTurn()
    })
  }

  #begin (request: IncomingMessage, response: ServerResponse): void {
    const active = this.#activeRequestOf(request)
    this.#begun.add(response)
    this.#inProgress.add(active)
    // All that waits for the end of a response adds a listener: together more than the ten that Node expects.
    response.setMaxListeners(20)
    response.once('close', () => {
      this.#begun.delete(response)
      this.#inProgress.delete(active)
      const { session, socket } = active
      if (session === undefined) this.#noteIdle(socket, response)
      else if (session.closed) this.#sessions.end(session, socket)
    })
  }

  #activeRequestOf (request: IncomingMessage): ActiveRequest {
    if (!isHttp2(request)) return { socket: request.socket, transfer: request.socket }
    const { session, socket, stream } = this.#sessions.begin(request)
    stream.setTimeout(this.#idleMilliseconds)
    stream.on('timeout', () => {
      // What is being sent is cut when the whole session stops: Node does not know which of its streams move.
      if (stream.writableLength > 0) return
      if (stream.state.remoteClose === 1 && !stream.headersSent) stream.setTimeout(this.#idleMilliseconds)
      else cutStream(stream)
    })
    return { session, socket, transfer: stream }
  }

  /** Sends `Connection: close` if the connection ends here; the refusal of an unread body then lingers. */
  #closeHttp1 (request: IncomingMessage, reply: FastifyReply, payload: unknown): Promise<Readable> | undefined {
    // A request without a body is complete with its head.
    const isUnread = !request.complete
    if (isUnread || this.stopping.aborted || this.#last.has(reply.raw)) reply.header('connection', 'close')
    if (!isUnread || !(typeof payload === 'string' || Buffer.isBuffer(payload))) return undefined
    reply.header('content-length', Buffer.byteLength(payload))
    return Promise.resolve(Readable.from(linger(payload, request, { isResumable: reply.hasHeader('upload-offset') })))
  }

  #isBusy (socket: Socket): boolean {
    return Array.from(this.#inProgress).some(active => active.socket === socket)
  }

  #cutResponses (of: ServerHttp2Session): void {
    for (const { session, transfer } of this.#inProgress) {
      if (session === of && transfer.writableLength > 0) cutStream(transfer as ServerHttp2Stream)
    }
  }

  #noteIdle (socket: Socket, response: ServerResponse): void {
    // A client that expects to send more requests would keep the connection open.
    if (this.stopping.aborted || this.#last.has(response)) socket.destroySoon()
    else if (this.#sockets.has(socket)) this.#sockets.set(socket, socket.bytesRead)
  }

  #closeIdle (): void {
    const ofSessions = this.#sessions.sockets()
    for (const [socket, bytesRead] of this.#sockets) {
      if (ofSessions.has(socket) || this.#isBusy(socket)) continue
      // A request head that has begun to arrive is answered.
      if (socket.bytesRead === bytesRead) socket.destroy()
      else socket.setTimeout(this.#idleMilliseconds)
    }
  }
}

/** Sends `100 Continue` when the body is first read, so that a client whose head is refused never sends its body. */
function continueWhenRead (request: IncomingMessage, response: ServerResponse): void {
  request.on('newListener', function listen (event) {
    if (event !== 'data' && event !== 'readable') return
    request.off('newListener', listen)
    // A refused body is dropped behind the response, and a client may reset its stream before the body is read.
    const isWanted = isHttp2(request) ? !request.stream.closed : !response.headersSent
    if (isWanted) response.writeContinue()
  })
}

/**
 * Returns a promise of the end of the event loop's turn, when all responses of this turn are sent one after the other:
 * together they wake a reader in another process only once. On a quiet machine, GET /api/resource over 32 connections
 * takes half the CPU time of responses that are sent when they are ready.
 */
function createTurn (): () => Promise<void> {
  let end: Promise<void> | undefined
  return () => {
    end ??= new Promise(resolve => {
      setImmediate(() => {
        end = undefined
        resolve()
      })
    })
    return end
  }
}
