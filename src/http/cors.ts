import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Response headers that a page of another origin may read. */
const EXPOSED_HEADERS = [
  'ETag', 'Location', 'Link', 'Content-Range', 'Content-Disposition', 'Repr-Digest', 'Retry-After',
  'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'X-Request-Id',
  'Upload-Offset', 'Upload-Length', 'Upload-Defer-Length', 'Upload-Complete', 'Upload-Limit',
  'Upload-Expires', 'Upload-Metadata', 'Accept-Patch',
  'Tus-Resumable', 'Tus-Version', 'Tus-Extension', 'Tus-Max-Size'
]

/** The header with the key of a session. Pages of other origins can't send it. */
export const SESSION_KEY = 'session-key'

const CORS_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Lets pages of these origins use the API. Preflights are left to `answerPreflights`. */
export async function allowOrigins (app: FastifyInstance, corsOrigins: string[]): Promise<void> {
  app.addHook('onSend', async (_request, reply) => varyByOrigin(reply))
  const { default: cors } = await import('@fastify/cors')
  await app.register(cors, () =>
    async (request: FastifyRequest) => ({
      methods: CORS_METHODS,
      credentials: false,
      exposedHeaders: EXPOSED_HEADERS,
      maxAge: 600,
      preflightContinue: true,
      ...allowedHeaders(request),
      origin: isOfDrive(request) ? false : corsOrigins,
      preflight: isPreflight(request)
    }))
}

/** Answers preflights, alike for all paths. The plugin has added the headers. */
export function answerPreflights (app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (isPreflight(request)) void reply.code(204).send()
    else done()
  })
}

/** Whether a request is for the drive, which no page of another origin may use. */
function isOfDrive ({ routeOptions, url }: FastifyRequest): boolean {
  return /^\/dav(?:[/?]|$)/.test(routeOptions.url ?? url)
}

/**
 * A preflight asks for permission (Fetch Standard, CORS protocol). Any other OPTIONS request is one for the path, also
 * with an empty field, which the plugin would refuse with plain text.
 */
function isPreflight (request: FastifyRequest): boolean {
  const { method, headers } = request
  return method === 'OPTIONS' && !isOfDrive(request) && isGiven(headers.origin) &&
    isGiven(headers['access-control-request-method'])
}

function isGiven (field: string | undefined): boolean {
  return field !== undefined && field !== ''
}

/** A page of another origin may send all headers except the key of a session, which only pages of the server have. */
function allowedHeaders ({ headers }: FastifyRequest): { allowedHeaders?: string[] } {
  const requested = headers['access-control-request-headers']?.split(',').map(name => name.trim())
  return requested === undefined ? {} : { allowedHeaders: requested.filter(name => name.toLowerCase() !== SESSION_KEY) }
}

/** Adds Origin to the Vary header that a route may have set. */
function varyByOrigin (reply: FastifyReply): void {
  const vary = String(reply.getHeader('vary') ?? '')
  if (!/\borigin\b/i.test(vary)) reply.header('vary', vary === '' ? 'Origin' : `${vary}, Origin`)
}
