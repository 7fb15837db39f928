import { randomUUID } from 'node:crypto'
import { METHODS, type Server } from 'node:http'
import jwt, { type JWT } from '@fastify/jwt'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyHttpOptions, type FastifyInstance, type FastifyRequest } from 'fastify'
import { createSecurityLog } from './accounts/events.ts'
import { accountRoutes, passwordRoutes, userRoutes } from './accounts/routes.ts'
import { Account, AccountEvent, AccountEventList, NewPassword, NewUser, User } from './accounts/schemas.ts'
import { HTTP2_WINDOW_BYTES, tendConnections, type Connections } from './http/connections.ts'
import { docsRoutes, documentOptions, documentRoutes } from './http/document.ts'
import { handleError, handleNotFound, Problem, ProblemDetails } from './errors.ts'
import { createCursors } from './files/cursor.ts'
import { changeFileRoutes, readFileRoutes } from './files/routes.ts'
import { File, FileList, Rename } from './files/schemas.ts'
import { acceptJson } from './http/json-body.ts'
import { createLinks } from './http/links.ts'
import { protect, setSafeHeaders } from './http/protection.ts'
import { createSerializers } from './http/serializers.ts'
import type { MagicStore } from './magicstore.ts'
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

/** A certificate chain and its key (PEM). */
export interface TlsContext { readonly cert: Buffer, readonly key: Buffer }

export interface App { readonly http: FastifyInstance, readonly connections: Connections }

/** The HTTP face of a store, ready to listen; over TLS where `tls` is given. */
export async function buildApp (store: MagicStore, tls?: TlsContext): Promise<App> {
  const { config, accounts, files, metadata, reserve } = store
  const options: FastifyHttpOptions<Server> = {
    logger: { level: config.logLevel, serializers: { req: logRequest } },
    trustProxy: config.trustProxy ?? false,
    // Ids that count from 1 would come again after a restart, and people see them in their events.
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // A transfer is cut for idleness, never for its length; only the head has a time of its own.
    requestTimeout: 0,
    // Node's own refusal of a request without Host has no body.
    http: { headersTimeout: HEAD_MILLISECONDS, requireHostHeader: false },
    // Idle connections are ended by `connections`, which knows HTTP/2 as well.
    forceCloseConnections: false,
    return503OnClosing: false,
    schemaController: { compilersFactory: { buildSerializer: createSerializers() } },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: true } },
    frameworkErrors (error, request, reply) {
      setSafeHeaders(request, reply)
      void handleError(error, request, reply)
    },
    clientErrorHandler: (error, socket) => connections.refuse(error, socket)
  }
  const app = Fastify(tls === undefined ? options : { ...options, ...http2Options(tls) }).withTypeProvider<TypeBoxTypeProvider>()
  const connections = tendConnections(app, { idleSeconds: config.idleSeconds, isTls: tls !== undefined })
  const refuseOtherMethods = answerOtherMethods(app)
  app.setErrorHandler(handleError)
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
  refuseOtherMethods()
  await app.ready()
  return { http: app, connections }
}

/** What the log tells of a request: Fastify's own fields, but of the address the path alone. A client may have put its token behind the question mark. */
function logRequest ({ method, url, host, ip, socket }: FastifyRequest) {
  return { method, url: url.replace(/\?.*/, ''), host, remoteAddress: ip, remotePort: Number(socket.remotePort) }
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
