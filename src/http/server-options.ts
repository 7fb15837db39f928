import { createServer, type Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyHttpOptions } from 'fastify'
import { HTTP2_WINDOW_BYTES } from './http2-sessions.ts'
import { createRequestIds, type RequestLog } from './request-log.ts'
import { routablePath } from './routing.ts'
import { lazyCompilers } from './schema-compilers.ts'
import { MAX_FIELD_LENGTH } from './wire-values.ts'

/** Time limit for a request head. */
const HEAD_MILLISECONDS = 60_000

/** Time limit for a TLS handshake; stopping waits for those in progress. */
const HANDSHAKE_MILLISECONDS = 15_000

/**
 * Maximum number of concurrent streams of an HTTP/2 connection: each may buffer a window of bytes, and Node has no
 * limit by default.
 */
const MAX_STREAMS = 100

/**
 * The cipher suites of TLS 1.3, then those of TLS 1.2 with forward secrecy and authenticated encryption, strongest
 * first. Node's default list also allows CBC, CCM with 64-bit tags, and key exchange without forward secrecy.
 */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'
].join(':')

/** A certificate chain and its key (PEM). */
export interface TlsContext { readonly cert: Buffer, readonly key: Buffer }

interface ServerOptions {
  readonly logger: NonNullable<FastifyHttpOptions<Server>['logger']>
  readonly requestLog: RequestLog
  readonly trustProxy: string[] | undefined
  readonly tls: TlsContext | undefined
  /** Answers bytes that are not HTTP. */
  readonly onClientError: (error: NodeJS.ErrnoException, socket: Socket) => void
}

/** Fastify's options. `connections.ts` listens for requests. */
export function serverOptions (given: ServerOptions): FastifyHttpOptions<Server> {
  const { logger, requestLog, trustProxy, tls, onClientError } = given
  return {
    serverFactory: () => createHttpServer(tls),
    logger,
    logController: requestLog,
    trustProxy: trustProxy ?? false,
    genReqId: createRequestIds(trustProxy),
    routerOptions: { maxParamLength: MAX_FIELD_LENGTH },
    rewriteUrl: routablePath,
    // connections.ts closes idle connections, those of HTTP/2 too.
    forceCloseConnections: false,
    return503OnClosing: false,
    schemaController: { compilersFactory: lazyCompilers },
    clientErrorHandler: onClientError
  }
}

/** The TLS options for a certificate, at the start and after a renewal. */
export function tlsOptions ({ cert, key }: TlsContext) {
  return { cert, key, ciphers: CIPHERS, minVersion: 'TLSv1.2' } as const
}

/** HTTP/1.1, with TLS also HTTP/2, under one type because the application treats both alike. */
function createHttpServer (tls: TlsContext | undefined): Server {
  // The application refuses a request without Host; Node's refusal has no body.
  const heads = { headersTimeout: HEAD_MILLISECONDS, requireHostHeader: false }
  if (tls === undefined) return createServer(heads)
  const settings = { initialWindowSize: HTTP2_WINDOW_BYTES, maxConcurrentStreams: MAX_STREAMS }
  const handshake = { ...tlsOptions(tls), allowHTTP1: true, handshakeTimeout: HANDSHAKE_MILLISECONDS }
  return createSecureServer({ ...handshake, ...heads, settings }) as unknown as Server
}
