import type { FastifyInstance } from 'fastify'
import { Problem } from '../errors.ts'

/** Largest JSON body, in bytes. */
const MAX_JSON_BYTES = 64 * 1024

/** Makes JSON, and nothing else, a body that routes of `app` take; refuses what is not UTF-8 and keys that reach for prototypes. */
export function acceptJson (app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_JSON_BYTES }, (request, body, done) => {
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body as Buffer)
    } catch (cause) {
      done(new Problem('malformed_json', { detail: 'The body is not UTF-8.', cause }))
      return
    }
    // Clients that set the type on every request do so on one without a body, too.
    if (text === '' && request.method === 'DELETE') done(null)
    else void parse(request, text, done)
  })
}
