import type { Server as TlsServer } from 'node:tls'
import jwt, { type JWT } from '@fastify/jwt'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { createSecurityLog } from './accounts/events.ts'
import { accountRoutes, passwordRoutes, userRoutes } from './accounts/routes.ts'
import { Account, AccountEvent, AccountEventList, NewPassword, NewUser, User } from './accounts/schemas.ts'
import { createSignIn } from './accounts/sign-in.ts'
import { createCursors } from './files/cursor.ts'
import { changeFileRoutes, readFileRoutes } from './files/routes.ts'
import { FileList, Rename, StoredFile } from './files/schemas.ts'
import { prepareCaller } from './http/caller.ts'
import { trackConnections, type Connections } from './http/connections.ts'
import { handleError, handleNotFound } from './http/error-handler.ts'
import { createLinks } from './http/links.ts'
import { answerOtherMethods } from './http/other-methods.ts'
import { protect, setSafeHeaders } from './http/protection.ts'
import { RequestLog } from './http/request-log.ts'
import { acceptJson, createValidators } from './http/schema-compilers.ts'
import { serverOptions, strictValidation, tlsOptions, type TlsContext } from './http/server-options.ts'
import { createTransferLimits } from './http/transfer-limits.ts'
import { createHealth } from './monitoring/health.ts'
import { openLog, type LogOutput } from './monitoring/log.ts'
import type { MetricsServer } from './monitoring/metrics-server.ts'
import type { Metrics } from './monitoring/metrics.ts'
import { healthRoutes } from './monitoring/routes.ts'
import { Liveness, Readiness } from './monitoring/schemas.ts'
import { docsRoutes } from './openapi/docs-page.ts'
import { documentOptions, documentRoutes, ServiceFacts } from './openapi/document.ts'
import { ProblemDetails } from './problems.ts'
import type { Store } from './store.ts'
import { authenticate } from './tokens/authenticate.ts'
import { createAccessTokenCodec, jwtOptions } from './tokens/jwt.ts'
import { personalTokenRoutes, resourceRoutes, revocationRoutes, signInRoutes } from './tokens/routes.ts'
import { AccessToken, Greeting, NewToken, PersonalToken, Token, TokenList } from './tokens/schemas.ts'
import { createTokens } from './tokens/tokens.ts'
import { formUploadRoutes, rawUploadRoutes } from './uploads/routes.ts'

export interface App {
  readonly http: FastifyInstance
  readonly connections: Connections
  /** What answers Prometheus, where the settings ask for it; not yet listening. */
  readonly metrics: MetricsServer | undefined
  /** New connections get this certificate, those under way keep theirs. Only for a server that speaks TLS. */
  renewTls (tls: TlsContext): void
  /** Writes what the log still holds; to be called when the process ends. */
  flushLog (): void
}

/** The HTTP face of a store, ready to listen; over TLS where `tls` is given. The log goes to `output`, else to standard output. */
export async function buildApp (store: Store, tls?: TlsContext, output?: LogOutput): Promise<App> {
  const { config, accounts, passwords, attemptLimiter, files, metadata, blobs, reserve } = store
  const log = output && await openLog(output)
  const requestLog = new RequestLog()
  const metrics = await loadMetrics(store)
  const options = serverOptions({
    logger: { level: config.logLevel, ...(log && { stream: log }) },
    requestLog,
    trustProxy: config.trustProxy,
    tls,
    onUnrouted: metrics?.requests.countUnrouted,
    onClientError: (error, socket) => connections.refuse(error, socket)
  })
  const app = Fastify(options).withTypeProvider<TypeBoxTypeProvider>()
  metrics?.requests.watch(app, { isTls: tls !== undefined })
  // Ahead of all that may refuse a request.
  app.addHook('onRequest', async (request, reply) => { setSafeHeaders(request, reply) })
  const connections = trackConnections(app, { idleSeconds: config.idleSeconds, isTls: tls !== undefined })
  const refuseOtherMethods = answerOtherMethods(app)
  app.setValidatorCompiler(createValidators(app, strictValidation))
  app.setErrorHandler(handleError)
  prepareCaller(app)
  await protect(app, { ...config, countInProgress: connections.countInProgress })
  app.setNotFoundHandler(handleNotFound)
  acceptJson(app)

  await app.register(swagger, documentOptions())
  for (const schema of [ProblemDetails, NewUser, User, Account, NewPassword, AccountEvent, AccountEventList, AccessToken, Greeting, Token, TokenList, NewToken, PersonalToken, StoredFile, FileList, Rename, ServiceFacts, Liveness, Readiness]) app.addSchema(schema)
  for (const key of store.signingKeys) await app.register(jwt, jwtOptions(key, metadata.installationId))
  const codec = createAccessTokenCodec(app.jwt as unknown as Record<string, JWT>, store.signingKeys)
  const tokens = createTokens({ metadata, reserve, codec, tokenSeconds: config.tokenSeconds })
  const links = createLinks(config.publicUrl)
  const securityLog = createSecurityLog(metadata, event => app.log.info({ security: event }, event.kind))
  const signIn = createSignIn({ metadata, passwords, attemptLimiter, securityLog, maxFailures: config.signInFailures })
  const guard = { signIn, tokens, transport: config }
  const fileOptions = { files, cursors: createCursors(store.signingKeys.map(({ secret }) => secret).join()), links, maxFileBytes: config.maxFileBytes, limitTransfers: createTransferLimits(connections) }
  const accountOptions = { accounts, files, securityLog }
  const tokenOptions = { tokens, securityLog }

  await app.register(userRoutes, { accounts, links, securityLog, transport: config })
  await app.register(async scope => {
    authenticate(scope, guard, { credential: 'password or personal token' })
    await scope.register(signInRoutes, tokenOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { credential: 'any' })
    await scope.register(resourceRoutes, tokenOptions)
    await scope.register(accountRoutes, accountOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { credential: 'any', scope: 'files:write' })
    await scope.register(formUploadRoutes, fileOptions)
    await scope.register(rawUploadRoutes, fileOptions)
    await scope.register(changeFileRoutes, fileOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { credential: 'any', scope: 'files:read' })
    await scope.register(readFileRoutes, fileOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { credential: 'any', scope: 'account' })
    await scope.register(revocationRoutes, tokenOptions)
  })
  await app.register(async scope => {
    authenticate(scope, guard, { credential: 'password' })
    await scope.register(passwordRoutes, accountOptions)
    await scope.register(personalTokenRoutes, tokenOptions)
  })
  await app.register(documentRoutes, { links })
  await app.register(docsRoutes)
  await app.register(healthRoutes, { health: createHealth({ metadata, blobs, log: app.log }) })
  refuseOtherMethods()
  await app.ready()
  const renewTls = (context: TlsContext) => (app.server as unknown as TlsServer).setSecureContext(tlsOptions(context))
  return { http: app, connections, metrics: metrics?.serve(app.log), renewTls, flushLog: () => log?.flushSync() }
}

/** Loaded only where they are asked for: they cost 50 ms of the start, and 10 MB. */
async function loadMetrics ({ config, metadata, blobs, passwords }: Store): Promise<Metrics | undefined> {
  if (config.metricsPort === undefined) return undefined
  const { createMetrics } = await import('./monitoring/metrics.ts')
  return createMetrics({ metadata, blobs, passwords, quota: { bytes: config.quotaBytes, files: config.quotaFiles } })
}
