import { METHODS } from 'node:http'
import jwt, { type JWT } from '@fastify/jwt'
import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { userRoutes } from './accounts/routes.ts'
import { NewUser, User } from './accounts/schemas.ts'
import { tendConnections, type Connections } from './http/connections.ts'
import { docsRoutes, documentOptions, documentRoutes } from './http/document.ts'
import { clientErrorResponse, handleError, handleNotFound, Problem, ProblemDetails } from './errors.ts'
import { fileRoutes, formUploadRoutes, rawUploadRoutes } from './files/routes.ts'
import { File, FileList, Rename } from './files/schemas.ts'
import { acceptJson } from './http/json-body.ts'
import { createLinks } from './http/links.ts'
import type { MagicStore } from './magicstore.ts'
import { authenticate } from './tokens/authenticate.ts'
import { createAccessTokenCodec, jwtOptions } from './tokens/jwt.ts'
import { resourceRoutes, signInRoutes } from './tokens/routes.ts'
import { AccessToken, Greeting } from './tokens/schemas.ts'
import { createTokens } from './tokens/tokens.ts'

/** Longest path parameter, in characters: a name of 255 bytes, each percent-encoded, fits. */
const MAX_PARAM_LENGTH = 1024

/** A request head has so long to arrive. */
const HEAD_MILLISECONDS = 60_000

export interface App { readonly http: FastifyInstance, readonly connections: Connections }

/** The HTTP face of a store, ready to listen. */
export async function buildApp (store: MagicStore): Promise<App> {
  const { config, accounts, files } = store
  const app = Fastify({
    logger: { level: config.logLevel, redact: ['req.headers.authorization'] },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // A transfer is cut for idleness, never for its length; only the head has a time of its own.
    requestTimeout: 0,
    http: { headersTimeout: HEAD_MILLISECONDS },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allErrors: true } },
    frameworkErrors: (error, request, reply) => { void handleError(error, request, reply.header('x-content-type-options', 'nosniff')) },
    clientErrorHandler: (error, socket) => { socket.end(clientErrorResponse(error)) }
  }).withTypeProvider<TypeBoxTypeProvider>()
  const connections = tendConnections(app, config)
  const refuseOtherMethods = answerOtherMethods(app)
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(handleNotFound)
  app.addHook('onRequest', async (_request, reply) => { reply.header('x-content-type-options', 'nosniff') })
  app.addHook('onSend', async (_request, reply) => { if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store') })
  acceptJson(app)

  await app.register(swagger, documentOptions())
  for (const schema of [ProblemDetails, NewUser, User, AccessToken, Greeting, File, FileList, Rename]) app.addSchema(schema)
  for (const key of store.signingKeys) await app.register(jwt, jwtOptions(key, store.metadata.installationId))
  const codec = createAccessTokenCodec(app.jwt as unknown as Record<string, JWT>, store.signingKeys)
  const tokens = createTokens({ metadata: store.metadata, codec, tokenSeconds: config.tokenSeconds })
  const links = createLinks(config.publicUrl)
  const fileOptions = { files, links, maxFileBytes: config.maxFileBytes }

  await app.register(documentRoutes, { links })
  await app.register(docsRoutes)
  await app.register(userRoutes, { accounts, links })
  await app.register(async scope => {
    authenticate(scope, { accounts, tokens, proof: 'password' })
    await scope.register(signInRoutes, { tokens })
  })
  await app.register(async scope => {
    authenticate(scope, { accounts, tokens, proof: 'any' })
    await scope.register(resourceRoutes)
    await scope.register(formUploadRoutes, fileOptions)
    await scope.register(rawUploadRoutes, fileOptions)
    await scope.register(fileRoutes, fileOptions)
  })
  refuseOtherMethods()
  await app.ready()
  return { http: app, connections }
}

/**
 * Makes a known path with another method 405 with `Allow` (RFC 9110 section 15.5.6), whatever the method is. Call it
 * before the routes; the function it returns, behind them.
 */
function answerOtherMethods (app: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>()
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
  app.addHook('onRoute', ({ url, method }) => {
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
