import { subscribe } from 'node:diagnostics_channel'
import { openSync, writeSync } from 'node:fs'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'

// Plain JavaScript, because it is loaded into the bin:
// `EXCHANGES=file node --import ./test/kit/recorder.js dist/main.js`.

/** Documented bodies; the bytes of files are not recorded. */
const DESCRIBED = /^application\/(?:problem\+)?json\b/

/**
 * @typedef {object} Recorded A request and its response.
 * @property {string} method
 * @property {string} path With the query.
 * @property {number} status
 * @property {Record<string, unknown>} headers
 * @property {string} body Empty unless it is JSON.
 * @property {string} [given] The body that the handler returned, as JSON: a serialiser silently drops properties
 * missing from its schema.
 */

/** The bodies that handlers sent, by response. */
const given = new WeakMap()

subscribe('tracing:fastify.request.handler:start', message => {
  const { reply } = /** @type {{ reply: import('fastify').FastifyReply }} */ (message)
  const { send } = reply
  reply.send = (/** @type {unknown} */ payload) => {
    const isJson = payload !== null &&
      [Object.prototype, Array.prototype].includes(Object.getPrototypeOf(Object(payload)))
    if (isJson) given.set(reply.raw, JSON.stringify(payload))
    return send.call(reply, payload)
  }
})

/**
 * Reports an exchange when its whole response was passed to the connection; never if it was cut before.
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 * @param {(recorded: Recorded) => void} report
 */
export function record (request, response, report) {
  const path = String(request.url)
  /** @type {Buffer[]} */
  const chunks = []
  /** @type {Record<string, unknown> | undefined} */
  let headers
  /** @param {unknown} chunk */
  const keep = chunk => {
    // The first bytes of a stream come before the head is written.
    const type = String(headers?.['content-type'] ?? response.getHeader('content-type'))
    if ((typeof chunk === 'string' || chunk instanceof Uint8Array) && DESCRIBED.test(type)) chunks.push(Buffer.from(chunk))
  }
  const { writeHead, write, end } = response
  Object.assign(response, {
    /** @param {unknown[]} args */
    writeHead (...args) {
      const last = args.at(-1)
      const all = { ...response.getHeaders(), ...(typeof last === 'object' ? last : {}) }
      headers = Object.fromEntries(Object.entries(all).map(([name, value]) => [name.toLowerCase(), value]))
      return Reflect.apply(writeHead, response, args)
    },
    /** @param {unknown[]} args */
    write (...args) { keep(args[0]); return Reflect.apply(write, response, args) },
    /** @param {unknown[]} args */
    end (...args) {
      keep(args[0])
      // HTTP/2 ends by calling this method.
      if (args[0] !== undefined) response.write = write
      return Reflect.apply(end, response, args)
    }
  })
  response.once('finish', () => {
    // HTTP/2 also emits this for a stream that was reset.
    if (headers === undefined) return
    // Node does not send the body of a response to HEAD.
    const body = request.method === 'HEAD' ? '' : decode(Buffer.concat(chunks), headers['content-encoding']).toString()
    report({
      method: String(request.method), path, status: response.statusCode, headers, body, given: given.get(response)
    })
  })
}

/**
 * @param {Buffer} bytes
 * @param {unknown} coding
 */
function decode (bytes, coding) {
  if (bytes.length === 0) return bytes
  return coding === 'br' ? brotliDecompressSync(bytes) : coding === 'gzip' ? gunzipSync(bytes) : bytes
}

if (process.env.EXCHANGES !== undefined) {
  const file = openSync(process.env.EXCHANGES, 'a')
  subscribe('http.server.request.start', message => {
    /** @type {{ request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse }} */
    const { request, response } = /** @type {any} */ (message)
    record(request, response, recorded => writeSync(file, `${JSON.stringify(recorded)}\n`))
  })
}
