import type { SwaggerOptions } from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import { readVersion } from '../config.ts'
import { createTextSender } from '../http/compression.ts'
import type { Routes } from '../http/services.ts'
import { tags } from './operation.ts'
import { contentCoding, problemExamples } from './responses.ts'
import { Text } from '../http/wire-values.ts'
import { transformDocument } from './transform.ts'

/** The server in the committed document. A running server replaces it with its own address. */
const DEFAULT_ORIGIN = 'http://127.0.0.1:5000'

const introduction = `Private file storage: register, upload files, download them. Nobody else can access your files or learn that they exist.

**Get started with curl**, against a server with no users yet:

\`\`\`sh
echo "the first report" > report.pdf
curl -f -H "Content-Type: application/json" -d '{"username":"test_user","password":"pwd"}' ${DEFAULT_ORIGIN}/api/users
curl -f -u test_user:pwd -F file=@report.pdf ${DEFAULT_ORIGIN}/
curl -f -u test_user:pwd -o copy.pdf ${DEFAULT_ORIGIN}/uploads/report.pdf
cmp report.pdf copy.pdf
\`\`\`

**Get started on the page \`/docs\`**:

1. Open **Register a user**, enter a username and a password in the body, and press **Execute**.
2. Press **Authorize** at the top, enter both under \`basic\`, press **Authorize** there, and close the dialog.
3. Open **Upload a file**, choose a file, and press **Execute**.
4. Open **Download a file**, enter its name, press **Execute**, then **Download file** below the response.

Programs use an access token, valid for ten minutes by default (\`GET /api/token\`), or a personal access token with only the scopes it needs (\`POST /api/tokens\`). Each operation names the scope that it requires.

**Open the store as a drive** with a program that speaks WebDAV, such as rclone, Finder or Explorer: the address is \`${DEFAULT_ORIGIN}/dav/\`, the username yours, the password a personal access token. The drive is RFC 4918, classes 1, 2 and 3, with \`PROPFIND\`, \`PROPPATCH\`, \`MKCOL\`, \`COPY\`, \`MOVE\`, \`LOCK\` and \`UNLOCK\`, for which this document has no operations. A lock taken there also refuses writes here, with 423 \`file_locked\`.

\`\`\`sh
token=$(curl -s -f -u test_user:pwd -H "Content-Type: application/json" -d '{"name":"drive","scopes":["files:read","files:write"]}' ${DEFAULT_ORIGIN}/api/tokens | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
curl -f -u "test_user:$token" -X PROPFIND -H "Depth: 1" ${DEFAULT_ORIGIN}/dav/
curl -f -u "test_user:$token" -X COPY -H "Destination: ${DEFAULT_ORIGIN}/dav/second%20report.pdf" ${DEFAULT_ORIGIN}/dav/report.pdf
\`\`\`

Lists of files, folders, versions, the trash and changes, and this document, are compressed for clients that accept it (\`Accept-Encoding\`).

Every error is \`application/problem+json\` (RFC 9457) with a stable \`code\`. Each operation lists the codes it can return. Any request can also return one of these:`

/** The parts of the OpenAPI document that do not come from routes. */
export function documentOptions (): SwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'MagicStore',
        version: readVersion(),
        description: introduction,
        contact: { name: 'The operator of this server' },
        license: { name: 'MIT', identifier: 'MIT' }
      },
      // The OWASP rules require `x-internal` and the kind of environment; Fastify's types have no extensions.
      servers: [{
        url: DEFAULT_ORIGIN,
        description: 'The server that serves this document: local, staging or production.',
        ...{ 'x-internal': false }
      }],
      tags: Object.entries(tags).map(([name, { description }]) => ({ name, description })),
      components: {
        examples: problemExamples(),
        securitySchemes: {
          basic: {
            type: 'http',
            scheme: 'basic',
            description: '**For trying things out**: your username and password. A token as the username, with any ' +
              'password, works too.'
          },
          oneTimeCode: {
            type: 'apiKey',
            in: 'header',
            name: 'One-Time-Code',
            description: '**Beside `basic`, for an account with a second factor**: the six digits of an ' +
              'authenticator app, a recovery code, or the code of `confirmPasskey`. Each works once.'
          },
          bearer: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: '**For programs**: an access token or a personal access token. Access tokens are JWTs that ' +
              'follow RFC8725.'
          },
          token: {
            type: 'apiKey',
            in: 'header',
            name: 'Authorization',
            description: '**For clients that send `Authorization: Token`**: enter the word `Token`, a space and the ' +
              'token. Other clients use `bearer`.'
          },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'magicstore_session',
            description: '**For pages in a browser**: the cookie that `createSession` sets, which the browser sends ' +
              'by itself. Over TLS its name is `__Host-magicstore_session`.'
          },
          sessionKey: {
            type: 'apiKey',
            in: 'header',
            name: 'Session-Key',
            description: '**For pages in a browser**: the key that `createSession` returned, beside the cookie.'
          }
        }
      }
    },
    // The id of a shared schema is its name in generated clients.
    refResolver: { buildLocalReference: json => String(json.$id) },
    transformObject (described) {
      // A deep copy: objects used twice would become anchors in YAML.
      const { openapiObject } = described as { openapiObject: unknown }
      const document = JSON.parse(JSON.stringify(openapiObject))
      transformDocument(document)
      return document
    }
  }
}

/** The outline of the document, which is sent as text. */
const OpenapiDocument = Type.Unsafe<string>(Type.Object({
  openapi: Text('Version of the OpenAPI Specification.', '3.1.0', { maxLength: 16, pattern: '^3\\.1\\.' }),
  info: Type.Object({}, { additionalProperties: true, description: 'Title, version and introduction.' }),
  paths: Type.Object({}, { additionalProperties: true, description: 'The operations, by path and method.' }),
  components: Type.Object({}, {
    additionalProperties: true,
    description: 'Shared schemas, error responses, headers, examples and security schemes.'
  })
}, { additionalProperties: true, description: 'An OpenAPI 3.1 document.' }))

const YamlDocument = Type.String({
  maxLength: 16 * 1024 ** 2, pattern: '^openapi: 3', description: 'An OpenAPI 3.1 document.'
})

/** The address in `servers`, which has no path, unlike those in the examples. */
const SERVER_URL = /http:\/\/127\.0\.0\.1:5000(?!\/)/g

/**
 * Puts the address of this server into the document, in 0.2 ms. If it is not known, `servers` has a path, and the
 * examples stay unchanged.
 */
function withOrigin (text: string, origin: string): string {
  return origin === '' ? text.replace(SERVER_URL, '/') : text.replaceAll(DEFAULT_ORIGIN, () => origin)
}

/** The OpenAPI document. */
export const documentRoutes: Routes = async (app, { links }) => {
  const sendText = createTextSender()
  let json: string | undefined

  app.get('/openapi.json', {
    schema: {
      operationId: 'getOpenapiJson',
      summary: 'Get the OpenAPI document as JSON',
      description: 'For client generators. `servers` and the examples contain the address of this server.',
      curl: 'curl -f -o openapi.json http://127.0.0.1:5000/openapi.json',
      response: {
        200: {
          description: 'The OpenAPI 3.1 document.',
          content: { 'application/json': { schema: OpenapiDocument } },
          headers: contentCoding
        }
      }
    }
  }, async (request, reply) => {
    json ??= JSON.stringify(app.swagger())
    return sendText(request, reply.type('application/json'), withOrigin(json, links.to(request.raw, '')))
  })

  app.get('/openapi.yaml', {
    schema: {
      operationId: 'getOpenapiYaml',
      summary: 'Get the OpenAPI document as YAML',
      description: 'Returns the same document in YAML.',
      curl: 'curl -f -o openapi.yaml http://127.0.0.1:5000/openapi.yaml',
      response: {
        200: {
          description: 'The OpenAPI 3.1 document.',
          content: { 'application/yaml': { schema: YamlDocument } },
          headers: contentCoding
        }
      }
    }
  }, async (request, reply) => {
    const text = withOrigin(app.swagger({ yaml: true }), links.to(request.raw, ''))
    return sendText(request, reply.type('application/yaml'), text)
  })
}
