import type { FastifyInstance } from 'fastify'
import { Problem } from '../errors.ts'

/** Largest JSON body, in bytes. */
const MAX_JSON_BYTES = 64 * 1024

/** Makes JSON, and nothing else, a body that routes of `app` take; refuses what is not UTF-8 and keys that reach for prototypes. */
export function acceptJson (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  // What the body of a DELETE says means nothing (RFC 9110 section 9.3.5): whatever it is, it is not looked at.
  app.addHttpMethod('DELETE', { hasBody: false, overrideExisting: true })
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_JSON_BYTES }, (request, body, done) => {
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer)
    } catch (cause) {
      done(new Problem('malformed_json', { detail: 'The body is not UTF-8.', cause }))
      return
    }
    void parse(request, text, done)
  })
}
