import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyHttpOptions, FastifyReply, FastifyRequest } from 'fastify'
import { HTTP2_WINDOW_BYTES } from './http2-sessions.ts'
import { handleError } from './error-handler.ts'
import { setSafeHeaders } from './protection.ts'
import { createRequestIds, type RequestLog } from './request-log.ts'
import { createSerializers } from './schema-compilers.ts'

/** Longest path parameter, in characters: a name of 255 bytes, each percent-encoded, fits. */
const MAX_PARAM_LENGTH = 1024

/** A request head has so long to arrive. */
const HEAD_MILLISECONDS = 60_000

/** A TLS handshake has so long, which bounds what a stop waits for. */
const HANDSHAKE_MILLISECONDS = 15_000

/** Requests at a time over one HTTP/2 connection; Node's default is no limit, and each may hold a window of bytes. */
const MAX_STREAMS = 100

/**
 * The cipher suites of TLS 1.3, then those of TLS 1.2 with forward secrecy and authenticated encryption, the strongest first.
 * Node's own list also has CBC, CCM with a tag of 64 bits, and key exchange without forward secrecy.
 */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'
].join(':')

/** Formats that name a rule of ours: the rule refuses what breaks it, with a code of its own, so that validation passes them over. */
const ruledFormats = { username: true, 'file-name': true, 'file-name-prefix': true } as const

/** How requests are held against their schemas: as they are, and with all that is wrong. */
export const strictValidation = { coerceTypes: false, removeAdditional: false, allErrors: true, formats: ruledFormats, validateSchema: false } as const

/** A certificate chain and its key (PEM). */
export interface TlsContext { readonly cert: Buffer, readonly key: Buffer }

interface ServerOptions {
  readonly logger: NonNullable<FastifyHttpOptions<Server>['logger']>
  readonly requestLog: RequestLog
  readonly trustProxy: string[] | undefined
  readonly tls: TlsContext | undefined
  /** Hears of requests that Fastify refuses before any hook. */
  readonly onFrameworkError: ((error: FastifyError, request: FastifyRequest, reply: FastifyReply) => void) | undefined
  /** Answers bytes that are no HTTP. */
  readonly onClientError: (error: NodeJS.ErrnoException, socket: Socket) => void
}

/** Fastify's options: HTTP/1.1, or over TLS HTTP/2 with HTTP/1.1 beside it, typed alike for the application speaks to both alike. */
export function serverOptions ({ logger, requestLog, trustProxy, tls, onFrameworkError, onClientError }: ServerOptions): FastifyHttpOptions<Server> {
  // Node's own refusal of a request without Host has no body.
  const heads = { headersTimeout: HEAD_MILLISECONDS, requireHostHeader: false }
  return {
    logger,
    logController: requestLog,
    trustProxy: trustProxy ?? false,
    genReqId: createRequestIds(trustProxy),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // A transfer is cut for idleness, never for its length; only the head has a time of its own.
    requestTimeout: 0,
    ...(tls === undefined ? { http: heads } : http2Options(tls, heads)),
    // Idle connections are ended by `connections`, which knows HTTP/2 as well.
    forceCloseConnections: false,
    return503OnClosing: false,
    schemaController: { compilersFactory: { buildSerializer: createSerializers() } },
    frameworkErrors (error, request, reply) {
      setSafeHeaders(request, reply)
      // Such a request reaches no hook, so that nobody else logs or counts it.
      reply.raw.once('close', () => {
        requestLog.requestCompleted(error, request, reply)
        onFrameworkError?.(error, request, reply)
      })
      void handleError(error, request, reply)
      // Over HTTP/2 the body would be kept until the client takes the answer.
      request.raw.resume()
    },
    clientErrorHandler: onClientError
  }
}

/** How TLS is spoken with a certificate: the same when the server starts and when it gets another one. */
export function tlsOptions ({ cert, key }: TlsContext) {
  return { cert, key, ciphers: CIPHERS, minVersion: 'TLSv1.2' } as const
}

function http2Options (tls: TlsContext, heads: object): object {
  return { http2: true, https: { ...tlsOptions(tls), allowHTTP1: true, handshakeTimeout: HANDSHAKE_MILLISECONDS, ...heads, settings: { initialWindowSize: HTTP2_WINDOW_BYTES, maxConcurrentStreams: MAX_STREAMS } } }
}
