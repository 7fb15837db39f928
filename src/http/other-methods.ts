import { METHODS, type IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../problems.ts'

/** Stands for every word that is no method Node knows: HTTP/2 takes any, and the router none. No route has it. */
const UNKNOWN_METHOD = 'UNLINK'

/**
 * Makes a known path with another method 405 with `Allow` (RFC 9110 section 15.5.6), whatever the method is. Call it
 * before the routes; the function it returns, behind them.
 */
export function answerOtherMethods (app: FastifyInstance): () => void {
  const urls = new Set<string>()
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
  const known = new Set<string | undefined>(METHODS)
  app.server.prependListener('request', (request: IncomingMessage) => { if (!known.has(request.method)) request.method = UNKNOWN_METHOD })
  // Where it is `*` the CORS plugin answers preflights, whatever their address.
  app.addHook('onRoute', ({ url }) => { if (url !== '*') urls.add(url) })
  return () => {
    for (const url of Array.from(urls)) {
      const others = app.supportedMethods.filter(method => !app.hasRoute({ url, method }))
      const allow = app.supportedMethods.filter(method => !others.includes(method)).sort().join(', ')
      // Refused in a hook: a handler would first have its body parsed.
      const refuse = async () => { throw new Problem('method_not_allowed', { headers: { allow } }) }
      app.route({ url, method: others, schema: { hide: true }, onRequest: refuse, handler: refuse })
    }
  }
}
