import type { Server as TlsServer } from 'node:tls'
import jwt from '@fastify/jwt'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify, type FastifyInstance } from 'fastify'
import { accountRoutes, claimRoutes, passwordRoutes, removalRoutes, userRoutes } from './accounts/routes.ts'
import { accountSchemas } from './accounts/schemas.ts'
import { allowConnectionRoutes, connectionRoutes, programRoutes } from './connections/routes.ts'
import { connectionSchemas } from './connections/schemas.ts'
import {
  changePasskeyRoutes, claimPasskeyRoutes, confirmPasskeyRoutes, passkeySignInRoutes, setUpPasskeyRoutes
} from './factors/passkey-routes.ts'
import { passkeySchemas } from './factors/passkey-schemas.ts'
import { changeFactorRoutes, readFactorRoutes, setUpFactorRoutes } from './factors/routes.ts'
import { factorSchemas } from './factors/schemas.ts'
import { bulkRoutes } from './files/bulk-routes.ts'
import { BulkOutcome, PlacedItems, TrashItems, TrashOutcome } from './files/bulk-schemas.ts'
import { changeRoutes } from './files/change-routes.ts'
import { Change, ChangeList } from './files/change-schemas.ts'
import { changeFolderRoutes, readFolderRoutes } from './files/folder-routes.ts'
import { Folder, FolderList, FolderMove, FolderUsage } from './files/folder-schemas.ts'
import { changeFileRoutes, readFileRoutes } from './files/routes.ts'
import { TakenAt } from './files/thumbnail-schemas.ts'
import { changeTrashRoutes, readTrashRoutes } from './files/trash-routes.ts'
import {
  DeletedFile, DeletedFileList, Deletion, DeletionContent, DeletionList, DeletionRestore, FileRestore, RestoredFiles,
  Version, VersionList
} from './files/trash-schemas.ts'
import { FileCopy, FileList, Rename, StoredFile, Timeline } from './files/schemas.ts'
import { zipRoutes } from './files/zip-routes.ts'
import { ZipNames } from './files/zip-schemas.ts'
import { prepareCallers } from './http/caller.ts'
import { compressLists } from './http/compression.ts'
import { Connections } from './http/connections.ts'
import { sendProblem, refuseUnknownPath } from './http/error-handler.ts'
import { acceptJson } from './http/json-bodies.ts'
import { createLinks } from './http/links.ts'
import { pageRoutes } from './http/page-routes.ts'
import { findPage } from './http/page.ts'
import { ProblemDetails } from './http/problem-details.ts'
import { protect, setSafeHeaders } from './http/protection.ts'
import { isOfLink, RequestLog } from './http/request-log.ts'
import { addNestedNames, refuseOtherMethods } from './http/routing.ts'
import { refuseForeignParameters } from './http/schema-compilers.ts'
import type { Routes } from './http/services.ts'
import { serverOptions, tlsOptions, type TlsContext } from './http/server-options.ts'
import { createTransferLimits } from './http/transfer-limits.ts'
import {
  callbackRoutes, changeIdentityRoutes, confirmIdentityRoutes, identitySignInRoutes, readIdentityRoutes
} from './identities/routes.ts'
import { identitySchemas } from './identities/schemas.ts'
import { linkRoutes } from './links/routes.ts'
import { linkSchemas } from './links/schemas.ts'
import { linkUploadRoutes } from './links/upload-routes.ts'
import { linkUploadSchemas } from './links/upload-schemas.ts'
import { visitorRoutes } from './links/visitor-routes.ts'
import { visitorSchemas } from './links/visitor-schemas.ts'
import { openEventLog } from './monitoring/event-log.ts'
import { openLog, type LogOutput } from './monitoring/log.ts'
import type { MetricsServer } from './monitoring/metrics-server.ts'
import type { Metrics } from './monitoring/metrics.ts'
import { type Outages, watchFailures } from './monitoring/outages.ts'
import { healthRoutes } from './monitoring/routes.ts'
import { Liveness, Readiness } from './monitoring/schemas.ts'
import { docsRoutes } from './openapi/docs-page.ts'
import { documentOptions, documentRoutes } from './openapi/document.ts'
import { describeOperations } from './openapi/operation.ts'
import { ServiceFacts, serviceRoutes } from './openapi/service-routes.ts'
import type { AppServices } from './services.ts'
import { authenticate, type AuthRequirement } from './tokens/authenticate.ts'
import { personalTokenRoutes, resourceRoutes, revocationRoutes, signInRoutes } from './tokens/routes.ts'
import { tokenSchemas } from './tokens/schemas.ts'
import { sessionRoutes, sessionSignInRoutes } from './tokens/session-routes.ts'
import {
  formUploadRoutes, rawUploadRoutes, resumableUploadRoutes, uploadDiscoveryRoutes
} from './uploads/routes.ts'
import { Upload, UploadList } from './uploads/schemas.ts'
import { thumbnailUploadRoutes } from './uploads/thumbnail-routes.ts'
import { davChangeRoutes, davDiscoveryRoutes, davReadRoutes } from './webdav/routes.ts'

/** The shared schemas of the document, in its order. */
const schemas = [
  ProblemDetails, ...accountSchemas, ...tokenSchemas, ...connectionSchemas, ...factorSchemas, ...passkeySchemas,
  ...identitySchemas,
  StoredFile, FileList, Timeline, TakenAt, Rename, FileCopy, Change, ChangeList, Folder, FolderList, FolderUsage,
  FolderMove, ZipNames,
  PlacedItems, BulkOutcome, Version, VersionList, DeletedFile, DeletedFileList, FileRestore, TrashItems, TrashOutcome,
  Deletion, DeletionList, DeletionContent, DeletionRestore, RestoredFiles, Upload, UploadList,
  ...linkSchemas, ...visitorSchemas, ...linkUploadSchemas, ServiceFacts, Liveness, Readiness
]

/** The application and what its process must do with it: listen, renew TLS, flush the log. */
export interface App {
  readonly http: FastifyInstance
  readonly connections: Connections
  /** The server for Prometheus, if configured; not listening yet. */
  readonly metrics: MetricsServer | undefined
  /** Replaces the certificate for new connections. Only for a server with TLS. */
  readonly renewTls: (tls: TlsContext) => void
  /** Writes the buffered log lines; call it when the process exits. */
  readonly flushLog: () => void
}

/**
 * The HTTP application of a store, ready to listen; with `tls`, over HTTPS. Logs to `output`, else to standard output.
 */
export async function buildApp (store: AppServices, tls?: TlsContext, output?: LogOutput): Promise<App> {
  const { config } = store
  const isTls = tls !== undefined
  const log = output && await openLog(output)
  const metrics = await loadMetrics(store)
  const requestLog = new RequestLog()
  const app = fastify(serverOptions({
    logger: { level: config.logLevel, ...(log && { stream: log }) },
    requestLog,
    trustProxy: config.trustProxy,
    tls,
    onClientError: (error, socket) => connections.refuse(error, socket)
  })).withTypeProvider<TypeBoxTypeProvider>()
  metrics?.watchRequests(app, { isTls })

  // The order matters: each hook runs before those of the lines below it.
  app.addHook('onRequest', setSafeHeaders)
  requestLog.watch(app)
  const connections = new Connections(app, { idleSeconds: config.idleSeconds, isTls })
  addNestedNames(app)
  app.setErrorHandler(sendProblem)
  const outages = watchFailures(app, store.failures, requestLog)
  metrics?.watchOutages(outages)
  prepareCallers(app)
  acceptJson(app)
  await compressLists(app)
  describeOperations(app)
  await protect(app, config, () => connections.countInProgress() - store.changes.countWaiting())
  refuseOtherMethods(app, requestLog, url => !config.hasLinks && isOfLink(url))
  app.setNotFoundHandler(refuseUnknownPath)
  await app.register(swagger, documentOptions())
  for (const schema of schemas) app.addSchema(schema)
  await registerRoutes(app, store, { connections, outages })
  await app.ready()

  const renewTls = (context: TlsContext) => (app.server as unknown as TlsServer).setSecureContext(tlsOptions(context))
  return { http: app, connections, metrics: metrics?.serve(app.log), renewTls, flushLog: () => log?.flushSync() }
}

/** Every scope, the credential that it requires, and its routes. */
async function registerRoutes (
  app: FastifyInstance, store: AppServices, { connections, outages }: { connections: Connections, outages: Outages }
) {
  const { accessTokens, config, eventLogs, failures } = store
  eventLogs.push(event => app.log.info({ security: event }, event.kind))
  if (config.eventLog !== undefined) eventLogs.push(openEventLog(config.eventLog, failures.of('EVENT_LOG')))
  await app.register(jwt, accessTokens.pluginOptions)
  accessTokens.use(app.jwt)
  const page = await findPage({ ...config, passkeyHost: store.passkeys.host }, app.log)
  const links = createLinks(config.publicUrl)
  const services = { ...store, ...createTransferLimits(connections), connections, links, page }

  const open = async (...routes: Routes[]) => {
    for (const each of routes) await app.register(each, services)
  }
  const guard = async (requirement: AuthRequirement, ...routes: Routes[]) => app.register(async scope => {
    authenticate(scope, services, requirement)
    for (const each of routes) await scope.register(each, services)
  })

  app.addHook('preValidation', refuseForeignParameters)
  await open(userRoutes, claimRoutes, claimPasskeyRoutes, programRoutes)
  await guard({ credential: 'password or personal token' }, signInRoutes)
  await guard({ credential: 'any' }, resourceRoutes, accountRoutes, readFactorRoutes, readIdentityRoutes)
  await guard(
    { credential: 'any', scope: 'files:write' },
    formUploadRoutes, rawUploadRoutes, resumableUploadRoutes, thumbnailUploadRoutes, changeFileRoutes,
    changeFolderRoutes, changeTrashRoutes, bulkRoutes
  )
  await guard(
    { credential: 'any', scope: 'files:read' },
    readFileRoutes, readFolderRoutes, changeRoutes, readTrashRoutes, zipRoutes
  )
  await guard({ credential: 'any', scope: 'account' }, revocationRoutes, confirmIdentityRoutes, connectionRoutes)
  await guard({ credential: 'password', factor: 'setup' }, setUpFactorRoutes, setUpPasskeyRoutes)
  await guard({ credential: 'password', factor: 'first step' }, confirmPasskeyRoutes)
  await guard(
    { credential: 'password' },
    changeFactorRoutes, changePasskeyRoutes, changeIdentityRoutes, passwordRoutes, sessionSignInRoutes
  )
  await guard(
    { credential: 'password', factor: 'identity or password' },
    personalTokenRoutes, allowConnectionRoutes, removalRoutes
  )
  await guard({ credential: 'any', scope: 'links' }, linkRoutes)
  await open(visitorRoutes, linkUploadRoutes, davDiscoveryRoutes)
  await guard({ credential: 'token', scope: 'files:read' }, davReadRoutes)
  await guard({ credential: 'token', scope: 'files:write' }, davChangeRoutes)
  await open(
    sessionRoutes, passkeySignInRoutes, identitySignInRoutes, callbackRoutes, uploadDiscoveryRoutes, serviceRoutes,
    pageRoutes, documentRoutes, docsRoutes
  )
  await app.register(healthRoutes, { ...store, outages })
}

/** Loaded only if configured: they take 50 ms of the start, and 10 MB. */
async function loadMetrics (store: AppServices): Promise<Metrics | undefined> {
  if (store.config.metricsPort === undefined) return undefined
  const { createMetrics } = await import('./monitoring/metrics.ts')
  return createMetrics(store)
}
