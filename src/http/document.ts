import type { SwaggerOptions } from '@fastify/swagger'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import Negotiator from 'negotiator'
import { readVersion } from '../config.ts'
import { arrange } from './arrangement.ts'
import type { Links } from './links.ts'
import { noCredential } from './no-credential.ts'
import { problemExamples } from './problem-responses.ts'
import { shell } from './shell.ts'

const introduction = `Files that nobody but their owner can reach: register, upload a file, download it.

**With curl**, against a server that was just started:${shell(
  'echo "the first report" > report.pdf',
  'curl -f -H "Content-Type: application/json" -d \'{"username":"test_user","password":"pwd"}\' http://127.0.0.1:5000/api/users',
  'curl -f -u test_user:pwd -F file=@report.pdf http://127.0.0.1:5000/',
  'curl -f -u test_user:pwd -o copy.pdf http://127.0.0.1:5000/uploads/report.pdf',
  'cmp report.pdf copy.pdf'
)}

**On this page**, in the same order:

1. Open **Register**, write a username and a password into the body, and press **Execute**.
2. Press **Authorize** at the top, enter both under \`basic\`, and close the box.
3. Open **Upload a file**, choose one, and press **Execute**.
4. Open **Download a file**, enter its name, press **Execute**, and then **Download file** below the answer.

A program trades the password for a token that holds ten minutes (\`GET /api/token\`), or is given a personal token of its own (\`POST /api/tokens\`), whose scopes say what it may do; each operation names the scope that it needs.

Every error is \`application/problem+json\` (RFC 9457) with a stable \`code\`; each operation lists those that it answers with. Whatever a request asks for, it can also be answered with:`

/** What the OpenAPI document says that no route does. */
export function documentOptions (): SwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'MagicStore', version: readVersion(), description: introduction, contact: { name: 'Whoever runs this server' }, license: { name: 'MIT', identifier: 'MIT' } },
      // The rules of OWASP want to hear that it is no internal one, and Fastify's types know no extensions.
      servers: [{ url: '/', description: 'The server that this document came from, be it local, for staging or in production.', ...{ 'x-internal': false } }],
      tags: [
        { name: 'Start here', description: 'From nothing to a downloaded file.' },
        { name: 'Files', description: 'Everything else a person does with their files.' },
        { name: 'Tokens', description: 'Credentials for programs, and their end.' },
        { name: 'People', description: 'The own account, and what others see of a person.' },
        { name: 'Document', description: 'This description of the server.' },
        { name: 'Health', description: 'For whoever watches over the server: whether it lives, and whether it can do its work.' }
      ],
      components: {
        examples: problemExamples(),
        securitySchemes: {
          basic: { type: 'http', scheme: 'basic', description: 'Username and password; or a token as the username, with anything as the password.' },
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token, issued and verified by the rules of RFC8725 (one algorithm, an explicit type, this installation as the audience), or a personal access token.' },
          token: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'The word `Token`, a space, and either kind of token, typed together as one value.' }
        }
      }
    },
    // Every shared schema has an id, which is then its name in generated clients.
    refResolver: { buildLocalReference: json => String(json.$id) },
    transformObject (described) {
      // A copy in which nothing is shared: YAML would have anchors for that.
      const { openapiObject } = described as { openapiObject: unknown }
      const document = JSON.parse(JSON.stringify(openapiObject))
      arrange(document)
      return document
    }
  }
}

export const ServiceFacts = Type.Object({
  name: Type.Literal('MagicStore', { description: 'What this is.', examples: ['MagicStore'] }),
  version: Type.String({ maxLength: 64, pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+', description: 'Version of the server (Semantic Versioning 2.0.0).', examples: ['1.0.0'] }),
  openapi: Type.String({ format: 'uri-reference', maxLength: 4096, description: 'Where the OpenAPI document is.', examples: ['http://127.0.0.1:5000/openapi.json'] }),
  docs: Type.String({ format: 'uri-reference', maxLength: 4096, description: 'Where a person can browse it.', examples: ['http://127.0.0.1:5000/docs'] })
}, { $id: 'ServiceFacts', additionalProperties: false, description: 'What the server is and where it is described.' })

/** The document as far as it vouches for its own form; it is sent as text. */
const OpenapiDocument = Type.Unsafe<string>(Type.Object({
  openapi: Type.String({ maxLength: 16, pattern: '^3\\.1\\.', description: 'Version of the OpenAPI Specification.', examples: ['3.1.0'] }),
  info: Type.Object({}, { additionalProperties: true, description: 'Title, version and introduction.' }),
  paths: Type.Object({}, { additionalProperties: true, description: 'The operations, by path and method.' }),
  components: Type.Object({}, { additionalProperties: true, description: 'What the operations refer to.' })
}, { additionalProperties: true, description: 'An OpenAPI 3.1 document.' }))

/** The way in, and the OpenAPI document itself. */
export const documentRoutes: FastifyPluginAsyncTypebox<{ links: Links }> = async (app, { links }) => {
  app.get('/', {
    schema: {
      operationId: 'getService',
      summary: 'See what this server is',
      description: `Tells a program the name, the version and where the document is; sends a browser to \`/docs\`. It goes by which of HTML and JSON \`Accept\` prefers (RFC 9110 section 12.5.1); without a preference it is JSON.${shell('curl -f http://127.0.0.1:5000/')}`,
      tags: ['Document'],
      security: noCredential,
      response: {
        200: { ...Type.Ref(ServiceFacts), description: 'For a program.' },
        302: { description: 'For a browser: an `Accept` that prefers HTML.', type: 'null', headers: { Location: { type: 'string', enum: ['/docs'], description: 'Path of the page.' } } }
      }
    }
  }, async (request, reply) => {
    reply.header('vary', 'Accept')
    const [preferred] = new Negotiator(request.raw).mediaTypes(['application/json', 'text/html'])
    if (preferred === 'text/html') return reply.redirect('/docs')
    return { name: 'MagicStore' as const, version: readVersion(), openapi: links.to(request.raw, '/openapi.json'), docs: links.to(request.raw, '/docs') }
  })

  app.get('/openapi.json', {
    schema: {
      operationId: 'getOpenapiJson',
      summary: 'Read this document as JSON',
      description: `The description of the server that clients are generated from.${shell('curl -f -o openapi.json http://127.0.0.1:5000/openapi.json')}`,
      tags: ['Document'],
      security: noCredential,
      response: { 200: { description: 'The OpenAPI 3.1 document.', content: { 'application/json': { schema: OpenapiDocument } } } }
    }
  }, async (_request, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())))

  app.get('/openapi.yaml', {
    schema: {
      operationId: 'getOpenapiYaml',
      summary: 'Read this document as YAML',
      description: `The same description in the form that people read.${shell('curl -f -o openapi.yaml http://127.0.0.1:5000/openapi.yaml')}`,
      tags: ['Document'],
      security: noCredential,
      response: { 200: { description: 'The OpenAPI 3.1 document.', content: { 'application/yaml': { schema: Type.String({ maxLength: 16 * 1024 ** 2, pattern: '^openapi: 3', description: 'An OpenAPI 3.1 document.' }) } } } }
    }
  }, async (_request, reply) => reply.type('application/yaml').send(app.swagger({ yaml: true })))
}
