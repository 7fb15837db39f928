import { Type } from '@sinclair/typebox'
import { readVersion } from '../config.ts'
import { Html, prefersHtml, prepareHtml, sendHtml } from '../http/html.ts'
import type { Routes } from '../http/services.ts'
import { Always, Int32, NullableText, OneOf, SharedObject, Text } from '../http/wire-values.ts'
import { noContent } from './responses.ts'

const ADDRESS = { format: 'uri-reference', maxLength: 4096 }

export const ServiceFacts = SharedObject('ServiceFacts', 'Service information.', {
  name: Always('MagicStore', 'Name of the service.'),
  version: Text(
    'Version of the server (Semantic Versioning 2.0.0).',
    '1.0.0',
    { maxLength: 64, pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+' }
  ),
  openapi: Text('Address of the OpenAPI document.', 'http://127.0.0.1:5000/openapi.json', ADDRESS),
  docs: Text('Address of the documentation page.', 'http://127.0.0.1:5000/docs', ADDRESS),
  passkeyHost: NullableText({
    maxLength: 253,
    pattern: '^[^\\s/:]+$',
    description: 'The host that passkeys belong to: only its pages can use them. Null if the server can\'t have ' +
      'passkeys.',
    examples: ['localhost']
  }),
  secondFactor: OneOf(['optional', 'required'], {
    description: 'Whether every account needs a second factor.', examples: ['optional']
  }),
  links: OneOf(['on', 'off'], {
    description: 'Whether owners can share files and folders by links.', examples: ['off']
  }),
  oidc: NullableText({
    maxLength: 128,
    pattern: '^[^"&<>$]+$',
    description: 'Name of the identity provider that accounts can sign in with; null if there is none.',
    examples: [null]
  }),
  linkMaxDays: Int32(
    'Longest lifetime of a link in days, and the default; 0 for no limit.',
    30,
    { minimum: 0, maximum: 36_500 }
  )
})

/** `/`: the page for browsers, service information for programs. */
export const serviceRoutes: Routes = async (app, { config, links, page, passkeys }) => {
  const { secondFactor, linkMaxDays } = config
  await prepareHtml(app)

  app.get('/', {
    schema: {
      operationId: 'getService',
      summary: 'Get service information',
      description: 'Returns name, version and the address of the OpenAPI document. Browsers get a page: `Accept` ' +
        'decides between JSON and HTML (RFC 9110 section 12.5.1); without a preference the response is JSON. With ' +
        '`WEB_PAGE=off`, browsers are redirected to `/docs`.',
      curl: 'curl -f http://127.0.0.1:5000/',
      tags: ['Document'],
      response: {
        200: {
          description: 'Service information, or the page.',
          content: { 'application/json': { schema: Type.Ref(ServiceFacts) }, 'text/html': { schema: Html } }
        },
        302: {
          ...noContent('For browsers, if the server has no page.'),
          headers: { Location: { type: 'string', enum: ['/docs'], description: 'Path of the documentation page.' } }
        }
      }
    }
  }, async (request, reply) => {
    reply.header('vary', 'Accept')
    if (!prefersHtml(request)) {
      return {
        name: 'MagicStore' as const,
        version: readVersion(),
        openapi: links.to(request.raw, '/openapi.json'),
        docs: links.to(request.raw, '/docs'),
        passkeyHost: passkeys.host ?? null,
        secondFactor,
        links: config.hasLinks ? 'on' as const : 'off' as const,
        oidc: config.identityProvider?.name ?? null,
        linkMaxDays
      }
    }
    if (page === undefined) return reply.redirect('/docs')
    return sendHtml(reply.header('cache-control', 'no-cache'), page.html)
  })
}
