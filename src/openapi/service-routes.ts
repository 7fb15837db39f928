import type { FastifyHelmetOptions } from '@fastify/helmet'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import Negotiator from 'negotiator'
import { readVersion } from '../config.ts'
import type { Links } from '../http/links.ts'
import type { Page } from '../http/page.ts'
import { helmet } from '../http/plugins.ts'
import { NullableText } from '../http/wire-values.ts'
import { codeSamples, noCredential } from './operation.ts'

export const ServiceFacts = Type.Object({
  name: Type.Literal('MagicStore', { description: 'Name of the service.', examples: ['MagicStore'] }),
  version: Type.String({ maxLength: 64, pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+', description: 'Version of the server (Semantic Versioning 2.0.0).', examples: ['1.0.0'] }),
  openapi: Type.String({ format: 'uri-reference', maxLength: 4096, description: 'Address of the OpenAPI document.', examples: ['http://127.0.0.1:5000/openapi.json'] }),
  docs: Type.String({ format: 'uri-reference', maxLength: 4096, description: 'Address of the documentation page.', examples: ['http://127.0.0.1:5000/docs'] }),
  passkeyHost: NullableText({ maxLength: 253, pattern: '^[^\\s/:]+$', description: 'The host that passkeys belong to: only its pages can use them. Null if the server can\'t have passkeys.', examples: ['localhost'] }),
  secondFactor: Type.Unsafe<'optional' | 'required'>({ type: 'string', enum: ['optional', 'required'], description: 'Whether every account needs a second factor.', examples: ['optional'] })
}, { $id: 'ServiceFacts', additionalProperties: false, description: 'Service information.' })

const Html = Type.String({ maxLength: 64 * 1024, pattern: '^<!(?:doctype|DOCTYPE) html>', description: 'The page, for browsers.' })

/**
 * The page loads everything from this server, runs no inline script, and shows media of the user from `blob:`
 * addresses.
 */
const directives = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'blob:', 'data:'],
  mediaSrc: ["'self'", 'blob:'],
  frameSrc: ["'self'"],
  connectSrc: ["'self'"],
  workerSrc: ["'self'"],
  manifestSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
  requireTrustedTypesFor: ["'script'"],
  trustedTypes: ['magicstore']
}

const security: FastifyHelmetOptions = {
  contentSecurityPolicy: { useDefaults: false, directives },
  crossOriginOpenerPolicy: { policy: 'same-origin' },
  referrerPolicy: { policy: 'no-referrer' },
  frameguard: { action: 'deny' },
  strictTransportSecurity: false
}

/** `facts` are those that depend on the settings. */
interface ServiceRoutesOptions {
  links: Links
  page: Page | undefined
  facts: Pick<Static<typeof ServiceFacts>, 'passkeyHost' | 'secondFactor'>
}

/** `/`: the page for browsers, service information for programs. */
export const serviceRoutes: FastifyPluginAsyncTypebox<ServiceRoutesOptions> = async (
  app, { links, page, facts }
) => {
  await app.register(helmet, { ...security, global: false })

  app.get('/', {
    schema: {
      operationId: 'getService',
      summary: 'Get service information',
      description: 'Returns name, version and the address of the OpenAPI document. Browsers get a page: `Accept` decides between JSON and HTML (RFC 9110 section 12.5.1); without a preference the response is JSON. With `WEB_PAGE=off`, browsers are redirected to `/docs`.',
      ...codeSamples('curl -f http://127.0.0.1:5000/'),
      tags: ['Document'],
      security: noCredential,
      response: {
        200: {
          description: 'Service information, or the page.',
          content: { 'application/json': { schema: Type.Ref(ServiceFacts) }, 'text/html': { schema: Html } }
        },
        302: {
          description: 'For browsers, if the server has no page.',
          type: 'null',
          headers: { Location: { type: 'string', enum: ['/docs'], description: 'Path of the documentation page.' } }
        }
      }
    }
  }, async (request, reply) => {
    reply.header('vary', 'Accept')
    const [preferred] = new Negotiator(request.raw).mediaTypes(['application/json', 'text/html'])
    if (preferred !== 'text/html') {
      const [openapi, docs] = [links.to(request.raw, '/openapi.json'), links.to(request.raw, '/docs')]
      return { name: 'MagicStore' as const, version: readVersion(), openapi, docs, ...facts }
    }
    if (page === undefined) return reply.redirect('/docs')
    await reply.helmet()
    return reply
      .header('cache-control', 'no-cache').header('permissions-policy', 'camera=(), geolocation=(), microphone=()')
      .type('text/html; charset=utf-8').send(page.html)
  })
}
