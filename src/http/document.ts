import helmet from '@fastify/helmet'
import type { SwaggerOptions } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import { readVersion } from '../config.ts'
import type { Links } from './links.ts'
import { problemExamples } from './problem-responses.ts'

const introduction = `Files that nobody but their owner can reach.

1. **Register**: \`POST /api/users\` with a username and a password.
2. **Authorize**: press the button of that name and enter both under \`basic\`; or trade them for a token at \`GET /api/token\` and enter it under \`bearer\`.
3. **Upload** a file at \`POST /\`, and **download** it at \`GET /uploads/{name}\`.

Every error is \`application/problem+json\` (RFC 9457) with a stable \`code\`.`

/** What the OpenAPI document says that no route does. */
export function documentOptions (): SwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'MagicStore', version: readVersion(), description: introduction, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/', description: 'This server' }],
      tags: [
        { name: 'Start here', description: 'From nothing to a downloaded file.' },
        { name: 'Files', description: 'Everything else a person does with their files.' },
        { name: 'People', description: 'Accounts and their tokens.' },
        { name: 'Document', description: 'This description of the server.' }
      ],
      components: {
        examples: problemExamples(),
        securitySchemes: {
          basic: { type: 'http', scheme: 'basic', description: 'Username and password; or a token as the username, with anything as the password.' },
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token or a personal access token.' },
          token: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'The word `Token`, a space, and either kind of token, typed together as one value.' }
        }
      }
    },
    // Every shared schema has an id, which is then its name in generated clients.
    refResolver: { buildLocalReference: json => String(json.$id) }
  }
}

const ServiceFacts = Type.Object({
  name: Type.String({ description: 'What this is.', examples: ['MagicStore'] }),
  version: Type.String({ description: 'Version of the server.', examples: ['1.0.0'] }),
  openapi: Type.String({ format: 'uri-reference', description: 'Where the OpenAPI document is.', examples: ['http://127.0.0.1:5000/openapi.json'] }),
  docs: Type.String({ format: 'uri-reference', description: 'Where a person can browse it.', examples: ['http://127.0.0.1:5000/docs'] })
}, { $id: 'ServiceFacts', additionalProperties: false, description: 'What the server is and where it is described.' })

const security: { [scheme: string]: string[] }[] = [{}]

/** The way in, and the OpenAPI document itself. */
export const documentRoutes: FastifyPluginAsyncTypebox<{ links: Links }> = async (app, { links }) => {
  app.addSchema(ServiceFacts)

  app.get('/', {
    schema: {
      operationId: 'getService',
      summary: 'See what this server is',
      description: 'Tells a program the name, the version and where the document is; sends a browser to `/docs`.',
      tags: ['Document'],
      security,
      response: {
        200: { ...Type.Ref(ServiceFacts), description: 'For a program.' },
        302: { description: 'For a browser: an `Accept` that asks for HTML.', type: 'null', headers: { Location: { type: 'string', description: 'Path of the page.' } } }
      }
    }
  }, async (request, reply) => {
    reply.header('vary', 'Accept')
    if (/\btext\/html\b/i.test(request.headers.accept ?? '')) return reply.redirect('/docs')
    return { name: 'MagicStore', version: readVersion(), openapi: links.to(request.raw, '/openapi.json'), docs: links.to(request.raw, '/docs') }
  })

  app.get('/openapi.json', {
    schema: {
      operationId: 'getOpenapiJson',
      summary: 'Read this document as JSON',
      tags: ['Document'],
      security,
      response: { 200: { description: 'The OpenAPI 3.1 document.', content: { 'application/json': { schema: Type.Object({}, { additionalProperties: true }) } } } }
    }
  }, async (_request, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())))

  app.get('/openapi.yaml', {
    schema: {
      operationId: 'getOpenapiYaml',
      summary: 'Read this document as YAML',
      tags: ['Document'],
      security,
      response: { 200: { description: 'The OpenAPI 3.1 document.', content: { 'application/yaml': { schema: Type.String() } } } }
    }
  }, async (_request, reply) => reply.type('application/yaml').send(app.swagger({ yaml: true })))
}

/** With one server and no OpenAPI links, what would show them takes room on a phone and says nothing; its buttons must fit there, too. */
const pageStyle = `
.swagger-ui .servers-title, .swagger-ui .servers, .swagger-ui .response-col_links { display: none }
@media (max-width: 640px) {
  .swagger-ui .opblock .opblock-section-header .btn { min-width: 0; padding: 5px 12px; margin: 0 0 0 8px }
  .swagger-ui .responses-table { table-layout: fixed }
  .swagger-ui .responses-table .response-col_status { width: 56px }
  .swagger-ui .response-controls { flex-wrap: wrap }
  .swagger-ui .response-controls select { max-width: 100% }
  .swagger-ui .headers-wrapper { overflow-x: auto }
}
`

/** Swagger UI's page lacks it, and a phone would lay the page out for a desk and shrink it. */
const pageScript = `document.head.insertAdjacentHTML('beforeend', '<meta name="viewport" content="width=device-width, initial-scale=1">')
`

/** Swagger UI, from files that come with the server. */
export const docsRoutes: FastifyPluginAsync = async app => {
  await app.register(helmet, {
    // The page may be served without TLS, where `upgrade-insecure-requests` would break its own requests.
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
    strictTransportSecurity: false
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: {
      // Without the bar in which another server's document could be opened.
      layout: 'BaseLayout',
      deepLinking: true,
      docExpansion: 'list',
      defaultModelsExpandDepth: 0,
      tryItOutEnabled: true,
      persistAuthorization: false,
      displayRequestDuration: true
    },
    theme: {
      title: 'MagicStore',
      css: [{ filename: 'page.css', content: pageStyle }],
      js: [{ filename: 'page.js', content: pageScript }]
    }
  })
}
