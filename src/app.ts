import { METHODS, type Server } from 'node:http'
import jwt, { type JWT } from '@fastify/jwt'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyHttpOptions, type FastifyInstance } from 'fastify'
import { createSecurityLog } from './accounts/events.ts'
import { accountRoutes, passwordRoutes, userRoutes } from './accounts/routes.ts'
import { Account, AccountEvent, AccountEventList, NewPassword, NewUser, User } from './accounts/schemas.ts'
import { prepareCaller } from './caller.ts'
import { HTTP2_WINDOW_BYTES, tendConnections, type Connections } from './http/connections.ts'
import { docsRoutes } from './http/docs-page.ts'
import { documentOptions, documentRoutes } from './http/document.ts'
import { handleError, handleNotFound, Problem, ProblemDetails } from './errors.ts'
import { createCursors } from './files/cursor.ts'
import { changeFileRoutes, readFileRoutes } from './files/routes.ts'
import { File, FileList, Rename } from './files/schemas.ts'
import { acceptJson } from './http/json-body.ts'
import { createLinks } from './http/links.ts'
import { protect, setSafeHeaders } from './http/protection.ts'
import { createRequestIds } from './http/request-id.ts'
import { RequestLog } from './http/request-log.ts'
import { createSerializers, createValidators } from './http/schema-compilers.ts'
import type { MagicStore } from './magicstore.ts'
import { createHealth } from './monitoring/health.ts'
import { createLog, type LogOutput } from './monitoring/log.ts'
import type { Metrics } from './monitoring/metrics.ts'
import type { MetricsServer } from './monitoring/metrics-server.ts'
import { healthRoutes } from './monitoring/routes.ts'
import { authenticate } from './tokens/authenticate.ts'
import { createAccessTokenCodec, jwtOptions } from './tokens/jwt.ts'
import { personalTokenRoutes, resourceRoutes, revocationRoutes, signInRoutes } from './tokens/routes.ts'
import { AccessToken, Greeting, NewToken, PersonalToken, Token, TokenList } from './tokens/schemas.ts'
import { createTokens } from './tokens/tokens.ts'
import { formUploadRoutes, rawUploadRoutes } from './uploads/routes.ts'

/** Longest path parameter, in characters: a name of 255 bytes, each percent-encoded, fits. */
const MAX_PARAM_LENGTH = 1024

/** A request head has so long to arrive. */
const HEAD_MILLISECONDS = 60_000

/** A TLS handshake has so long, which bounds what a stop waits for. */
const HANDSHAKE_MILLISECONDS = 15_000

/** Requests at a time over one HTTP/2 connection; Node's default is no limit, and each may hold a window of bytes. */
const MAX_STREAMS = 100

/** Formats that name a rule of ours: the rule refuses what breaks it, with a code of its own, so that validation passes them over. */
const ruledFormats = { username: true, 'file-name': true, 'file-name-prefix': true } as const

/** How requests are held against their schemas: as they are, and with all that is wrong. */
const validation = { coerceTypes: false, removeAdditional: false, allErrors: true, formats: ruledFormats, validateSchema: false } as const

/** A certificate chain and its key (PEM). */
export interface TlsContext { readonly cert: Buffer, readonly key: Buffer }

export interface App {
  readonly http: FastifyInstance
  readonly connections: Connections
  /** What answers Prometheus, where the settings ask for it; not yet listening. */
  readonly metrics: MetricsServer | undefined
  /** Writes what the log still holds; to be called when the process ends. */
  flushLog (): void
}

/** The HTTP face of a store, ready to listen; over TLS where `tls` is given. The log goes to `output`, else to standard output. */
export async function buildApp (store: MagicStore, tls?: TlsContext, output?: LogOutput): Promise<App> {
  const { config, accounts, files, metadata, blobs, reserve } = store
  const log = output && createLog(output)
  const requestLog = new RequestLog()
  const metrics = await openMetrics(store)
  const options: FastifyHttpOptions<Server> = {
    logger: { level: config.logLevel, ...(log && { stream: log }) },
    logController: requestLog,
    trustProxy: config.trustProxy ?? false,
    genReqId: createRequestIds(config.trustProxy),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // A transfer is cut for idleness, never for its length; only the head has a time of its own.
    requestTimeout: 0,
    // Node's own refusal of a request without Host has no body.
    http: { headersTimeout: HEAD_MILLISECONDS, requireHostHeader: false },
    // Idle connections are ended by `connections`, which knows HTTP/2 as well.
    forceCloseConnections: false,
    return503OnClosing: false,
    // For a scope that adds schemas of its own: Fastify makes anew what validates there.
    ajv: { customOptions: validation },
    schemaController: { compilersFactory: { buildSerializer: createSerializers() } },
    frameworkErrors (error, request, reply) {
      setSafeHeaders(request, reply)
      // Such a request reaches no hook, so that nobody else logs or counts it.
      reply.raw.once('close', () => {
        requestLog.requestCompleted(error, request, reply)
        metrics?.requests.countUnrouted(error, request, reply)
      })
      void handleError(error, request, reply)
    },
    clientErrorHandler: (error, socket) => connections.refuse(error, socket)
  }
  const app = Fastify(tls === undefined ? options : { ...options, ...http2Options(tls) }).withTypeProvider<TypeBoxTypeProvider>()
  metrics?.requests.watch(app, { isTls: tls !== undefined })
  // Ahead of all that may refuse a request.
  app.addHook('onRequest', async (request, reply) => { setSafeHeaders(request, reply) })
  const connections = tendConnections(app, { idleSeconds: config.idleSeconds, isTls: tls !== undefined })
  const refuseOtherMethods = answerOtherMethods(app)
  app.setValidatorCompiler(createValidators(app, validation))
  app.setErrorHandler(handleError)
  prepareCaller(app)
  await protect(app, config)
  app.setNotFoundHandler(handleNotFound)
  acceptJson(app)

  await app.register(swagger, documentOptions())
  for (const schema of [ProblemDetails, NewUser, User, Account, NewPassword, AccountEvent, AccountEventList, AccessToken, Greeting, Token, TokenList, NewToken, PersonalToken, File, FileList, Rename]) app.addSchema(schema)
  for (const key of store.signingKeys) await app.register(jwt, jwtOptions(key, metadata.installationId))
  const codec = createAccessTokenCodec(app.jwt as unknown as Record<string, JWT>, store.signingKeys)
  const tokens = createTokens({ metadata, reserve, codec, tokenSeconds: config.tokenSeconds })
  const links = createLinks(config.publicUrl)
  const securityLog = createSecurityLog(metadata, event => app.log.info({ security: event }, event.kind))
  const guard = { signIn: store.signIn, tokens, securityLog, transport: config }
  const fileOptions = { files, cursors: createCursors(store.signingKeys.map(({ secret }) => secret).join()), links, maxFileBytes: config.maxFileBytes }
  const accountOptions = { accounts, files, securityLog }
  const tokenOptions = { tokens, securityLog }

  await app.register(userRoutes, { accounts, links, securityLog, transport: config })
  await app.register(async scope => {
    authenticate(scope, guard, { proof: 'password or personal token' })
    await scope.register(signInRoutes, tokenOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { proof: 'any' })
    await scope.register(resourceRoutes, tokenOptions)
    await scope.register(accountRoutes, accountOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { proof: 'any', scope: 'files:write' })
    await scope.register(formUploadRoutes, fileOptions)
    await scope.register(rawUploadRoutes, fileOptions)
    await scope.register(changeFileRoutes, fileOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { proof: 'any', scope: 'files:read' })
    await scope.register(readFileRoutes, fileOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { proof: 'any', scope: 'account' })
    await scope.register(revocationRoutes, tokenOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { proof: 'password' })
    await scope.register(passwordRoutes, accountOptions)
    await scope.register(personalTokenRoutes, tokenOptions)
  })
  await app.register(documentRoutes, { links })
  await app.register(docsRoutes)
  await app.register(healthRoutes, { health: createHealth({ metadata, blobs, log: app.log }) })
  refuseOtherMethods()
  await app.ready()
  return { http: app, connections, metrics: metrics?.serve(app.log), flushLog: () => log?.flushSync() }
}

/** Loaded only where they are asked for: they cost 50 ms of the start, and 10 MB. */
async function openMetrics ({ config, metadata, blobs, passwords }: MagicStore): Promise<Metrics | undefined> {
  if (config.metricsPort === undefined) return undefined
  const { createMetrics } = await import('./monitoring/metrics.ts')
  return createMetrics({ metadata, blobs, passwords, quota: { bytes: config.quotaBytes, files: config.quotaFiles } })
}

/** HTTP/2 with HTTP/1.1 beside it; typed as the application is, which speaks to both alike. */
function http2Options ({ cert, key }: TlsContext): object {
  return { http2: true, https: { cert, key, allowHTTP1: true, handshakeTimeout: HANDSHAKE_MILLISECONDS, headersTimeout: HEAD_MILLISECONDS, requireHostHeader: false, settings: { initialWindowSize: HTTP2_WINDOW_BYTES, maxConcurrentStreams: MAX_STREAMS } } }
}

/**
 * Makes a known path with another method 405 with `Allow` (RFC 9110 section 15.5.6), whatever the method is. Call it
 * before the routes; the function it returns, behind them.
 */
function answerOtherMethods (app: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>()
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
  app.addHook('onRoute', ({ url, method }) => {
    // Where the CORS plugin answers preflights, whatever their address.
    if (url === '*') return
    const methods = known.get(url) ?? new Set()
    for (const name of [method].flat()) methods.add(name)
    known.set(url, methods)
  })
  return () => {
    for (const [url, methods] of Array.from(known)) {
      const allow = Array.from(methods).sort().join(', ')
      // Refused in a hook: a handler would first have its body parsed.
      const refuse = async () => { throw new Problem('method_not_allowed', { headers: { allow } }) }
      app.route({ url, method: app.supportedMethods.filter(name => !app.hasRoute({ url, method: name })), schema: { hide: true }, onRequest: refuse, handler: refuse })
    }
  }
}
