import { METHODS } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../errors.ts'

/**
 * Makes a known path with another method 405 with `Allow` (RFC 9110 section 15.5.6), whatever the method is. Call it
 * before the routes; the function it returns, behind them.
 */
export function answerOtherMethods (app: FastifyInstance): () => void {
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
