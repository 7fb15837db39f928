import type { EventEmitter } from 'node:events'
import { constants, type Http2ServerRequest, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { LINGER_MILLISECONDS } from './http1-pipeline.ts'

/**
 * Bytes of one body that a client may send before they are read. With the default, 64 KiB, it waits for every
 * acknowledgement. Node acknowledges the connection as a whole at once, so each stream may buffer as much.
 */
export const HTTP2_WINDOW_BYTES = 1024 ** 2

/** How often destroyed sessions with an open socket are looked for. */
const CHECK_MILLISECONDS = 1000

export type Http2Sessions = ReturnType<typeof trackSessions>

interface TrackingOptions {
  readonly idleMilliseconds: number
  /** The socket of the session that the server is about to announce. */
  readonly newestSocket: () => Socket
  /** Whether a response is in progress on a socket. */
  readonly isBusy: (socket: Socket) => boolean
  /** Cuts the responses of a session whose client has stopped reading. */
  readonly cutResponses: (session: ServerHttp2Session) => void
}

/** The open HTTP/2 sessions of a server. */
export function trackSessions (
  server: EventEmitter, { idleMilliseconds, newestSocket, isBusy, cutResponses }: TrackingOptions
) {
  const sessions = new Map<ServerHttp2Session, Socket>()
  let isStopping = false
  let checking: NodeJS.Timeout | undefined

  server.on('session', (session: ServerHttp2Session) => {
    const socket = newestSocket()
    sessions.set(session, socket)
    session.setLocalWindowSize(HTTP2_WINDOW_BYTES)
    session.setTimeout(idleMilliseconds)
    session.on('timeout', () => {
      cutResponses(session)
      end(session, socket)
    })
    checking ??= setInterval(destroyLeftSockets, CHECK_MILLISECONDS).unref()
    socket.once('close', () => {
      sessions.delete(session)
      if (sessions.size > 0) return
      clearInterval(checking)
      checking = undefined
    })
    if (isStopping) end(session, socket)
  })

  /** After a connection error Node destroys the session, but sometimes neither closes its socket nor emits an event. */
  function destroyLeftSockets (): void {
    for (const [session, socket] of sessions) if (session.destroyed) socket.destroy()
  }

  /** Accepts no more streams, completes those in progress, then closes the connection, even if the client does not. */
  function end (session: ServerHttp2Session, socket: Socket): void {
    session.close()
    if (isBusy(socket)) return
    const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS)
    socket.once('close', () => clearTimeout(timer))
  }

  return {
    /** The sockets that carry them. */
    sockets: () => new Set(sessions.values()),

    /** Prepares the stream of a request. Returns it with its session and socket. */
    begin (request: Http2ServerRequest) {
      const { stream } = request
      const session = stream.session as ServerHttp2Session
      stream.once('finish', () => {
        if (request.complete) return
        // RFC 9113 section 8.1: after a complete response, the client may be asked to stop sending, without an error.
        stream.close(constants.NGHTTP2_NO_ERROR)
        // Node keeps a stream until everything that arrived has been read.
        request.resume()
      })
      return { session, socket: sessions.get(session) as Socket, stream }
    },
    end,

    /** Ends all sessions, and each new one at once; from then on with this idle time-out. */
    stop (idleMilliseconds: number): void {
      isStopping = true
      for (const [session, socket] of sessions) {
        session.setTimeout(idleMilliseconds)
        end(session, socket)
      }
    }
  }
}

/** Ends a transfer that is idle. Closing alone would wait for a client that no longer reads. */
export function cutStream (stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL)
  stream.destroy()
}
