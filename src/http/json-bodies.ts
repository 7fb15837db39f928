import { isUtf8 } from 'node:buffer'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest, onRequestHookHandler, RouteOptions } from 'fastify'
import { Problem } from '../problems.ts'
import { announcedLength, SAFE_METHODS } from './wire-values.ts'

/** Largest JSON body, in bytes. */
const MAX_JSON_BYTES = 64 * 1024

/** Whether a body has no meaning for an operation. */
function ignoresBody ({ method, schema }: Pick<RouteOptions, 'method' | 'schema'>): boolean {
  return schema?.operationId !== undefined && schema.body === undefined && !SAFE_METHODS.has(String(method))
}

/**
 * Accepts only JSON bodies, and empty ones of any type as no body: `curl -d ''` and axios declare a form. Refuses
 * bodies that are not UTF-8, and the keys `__proto__` and `constructor`. Operations without a body ignore any.
 */
export function acceptJson (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addHook('onRoute', route => {
    if (!ignoresBody(route)) return
    // The parser for `*` takes it then. Fastify would refuse a malformed Content-Type.
    const dropType: onRequestHookHandler = ({ headers }, _reply, done) => {
      delete headers['content-type']
      done()
    }
    route.onRequest = [dropType, route.onRequest ?? []].flat()
  })
  // The body of a DELETE has no meaning (RFC 9110 section 9.3.5), so it is ignored.
  app.addHttpMethod('DELETE', { hasBody: false, overrideExisting: true })
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', {
    parseAs: 'buffer', bodyLimit: MAX_JSON_BYTES
  }, (request, body, done) => {
    if (body.length === 0) return done(null)
    if (!isUtf8(body as Buffer)) return done(new Problem('malformed_json', { detail: 'The body is not UTF-8.' }))
    void parse(request, body.toString(), done)
  })
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    if (ignoresBody(request.routeOptions as RouteOptions) || await isEmpty(request.raw)) return
    throw new Problem('unsupported_media_type')
  })
}

/**
 * Whether a body has no bytes. If its length is not announced, the first one is waited for, but of a client that waits
 * to be told to send it: that has some (RFC 9110 section 10.1.1).
 */
async function isEmpty (raw: IncomingMessage): Promise<boolean> {
  const length = announcedLength(raw)
  if (length !== undefined) return length === 0
  if (raw.headers.expect !== undefined) return false
  // Of an empty one that has arrived already, Node emits no `readable`.
  const begun = [once(raw, 'readable'), once(raw, 'end')].map(event => event.then(() => true))
  const isThere = await Promise.race([...begun, once(raw, 'close').then(() => false)])
  return isThere && raw.read(1) === null
}
