import type { FastifyInstance, RouteOptions } from 'fastify'
import { isEssential } from '../http/protection.ts'
import { SAFE_METHODS } from '../http/wire-values.ts'
import type { FailureCode } from '../problems.ts'
import { addFailures, addHeaders, contentCoding, sharedHeaders } from './responses.ts'

declare module 'fastify' {
  interface FastifySchema {
    /** Example commands. A test runs those of all operations in one shell, in the order of the document. */
    curl?: string | readonly string[]
  }
}

/** The tags of the document in its order, with the paths of each: what a new user needs first comes first. */
export const tags = {
  Users: {
    description: 'Registration and public profiles.',
    paths: ['/api/users', '/api/users/{id}']
  },
  Tokens: {
    description: 'Access tokens, personal access tokens for scripts, and sessions of pages in a browser.',
    paths: [
      '/api/token', '/api/resource', '/api/tokens', '/api/tokens/{id}', '/api/session', '/api/session/passkey/options',
      '/api/session/passkey', '/api/session/oidc/options', '/api/session/oidc', '/api/session/oidc/registration'
    ]
  },
  Connections: {
    description: 'Programs without a credential: a person types a code and allows them a token.',
    paths: [
      '/api/connections', '/api/connections/find', '/api/connections/{id}/allow', '/api/connections/{id}/token',
      '/api/connections/{id}'
    ]
  },
  'Second factors': {
    description: 'One-time codes, passkeys and recovery codes beside the password.',
    paths: [
      '/api/second-factor', '/api/second-factor/totp', '/api/second-factor/recovery-codes', '/api/passkeys/options',
      '/api/passkeys', '/api/passkeys/confirm/options', '/api/passkeys/confirm', '/api/passkeys/{id}'
    ]
  },
  Identities: {
    description: 'Identities at the provider of OIDC_ISSUER that sign in without a password.',
    paths: [
      '/api/identities', '/api/identities/options', '/api/identities/confirm/options', '/api/identities/confirm',
      '/api/identities/{id}'
    ]
  },
  Files: {
    description: 'Upload, list, download, rename, move and delete files.',
    paths: [
      '/', '/api/files', '/uploads/{name}', '/api/files/{name}', '/api/files/{name}/copy', '/api/files/{name}/lock',
      '/api/files/{name}/thumbnail', '/api/files/{name}/taken', '/api/timeline', '/api/changes', '/api/zip',
      '/api/moves', '/api/copies'
    ]
  },
  Folders: {
    description: 'List, create, move and delete folders.',
    paths: ['/api/folders', '/api/folders/{name}', '/api/folders/{name}/usage', '/api/folders/{name}/lock']
  },
  'Versions and trash': {
    description: 'Former contents of files, and deleted files: list, restore, delete for good.',
    paths: [
      '/api/files/{name}/versions', '/api/files/{name}/versions/{id}/restore', '/api/files/{name}/versions/{id}',
      '/api/trash', '/api/trash/deletions', '/api/trash/restore', '/api/trash/deletions/{id}',
      '/api/trash/{id}/restore', '/api/trash/{id}'
    ]
  },
  Uploads: {
    description: 'Uploads that continue after a lost connection, with [tus](https://tus.io) or, experimentally, ' +
      'draft-ietf-httpbis-resumable-upload.',
    paths: ['/api/uploads', '/api/uploads/{id}']
  },
  Links: {
    description: 'Files and folders that owners share for a time, and what visitors without an account do with a ' +
      'link. Only with `LINKS=on`.',
    paths: [
      '/api/links', '/api/links/{id}', '/api/links/{id}/secret', '/s/{secret}', '/s/{secret}/unlock',
      '/s/{secret}/list', '/s/{secret}/zip', '/s/{secret}/thumbnails/{name}', '/s/{secret}/files/{name}',
      '/s/{secret}/files', '/s/{secret}/uploads', '/s/{secret}/uploads/{id}'
    ]
  },
  Account: {
    description: 'Your account: usage, events, password, deletion.',
    paths: [
      '/api/account', '/api/account/events', '/api/account/password', '/api/account/claim/check',
      '/api/account/claim', '/api/account/claim/confirm/options', '/api/account/claim/confirm'
    ]
  },
  Document: {
    description: 'Service information and this OpenAPI document.',
    paths: ['/openapi.json', '/openapi.yaml']
  },
  Health: {
    description: 'Checks for load balancers and monitoring.',
    paths: ['/health/live', '/health/ready']
  }
}

/**
 * A route of `HEAD`. With the operation id in the schema, @fastify/swagger would copy the schema before its security is
 * set.
 */
export function headRoute<Schema extends object> (operationId: string, schema: Schema) {
  const swaggerTransform = ({ schema, url }: { schema: object, url: string }) =>
    ({ schema: { ...schema, operationId }, url })
  return { schema, config: { swagger: { exposeHeadRoute: true }, swaggerTransform } }
}

/** Operations that can follow a response (OpenAPI links): what each does, by its id, and their parameters. */
export function operationLinks (parameters: Record<string, string>, operations: Record<string, string>) {
  return Object.fromEntries(Object.entries(operations).map(([operationId, description]) =>
    [operationId, { operationId, parameters, description }]))
}

/**
 * Completes each operation with what follows from its path, method and body, and with what all share. Call it before
 * the routes are added. A scope that requires credentials adds its own.
 */
export function describeOperations (app: FastifyInstance): void {
  app.addHook('onRoute', route => {
    const { schema, url } = route
    if (schema === undefined || 'hide' in schema) return
    addFailures(route, failuresOf(route))
    const { isCompressed = false } = route.config ?? {}
    addHeaders(route, status => ({ ...isCompressed && status === 200 && contentCoding, ...sharedHeaders }))
    const path = url.replaceAll(/:(\w+)/g, '{$1}')
    Object.assign(schema, {
      tags: schema.tags ?? Object.keys(tags).filter(tag => tags[tag as keyof typeof tags].paths.includes(path)),
      // Without authentication.
      security: schema.security ?? [{}],
      'x-codeSamples': [{ lang: 'Shell', label: 'curl', source: [schema.curl].flat().join('\n') }]
    })
  })
}

function failuresOf (route: RouteOptions): FailureCode[] {
  const { schema, method, url, config } = route
  return [
    'malformed_request', 'validation_failed', 'stopping', 'too_many_requests',
    // Only path parameters are percent-decoded.
    ...(url.includes(':') ? ['malformed_url'] as const : []),
    ...(schema?.body === undefined || schema.consumes !== undefined
      ? []
      : ['malformed_json', 'body_too_large', 'unsupported_media_type'] as const),
    ...(isEssential(route) ? [] : ['overloaded'] as const),
    ...(SAFE_METHODS.has(String(method)) && config?.isCompressed !== true ? [] : ['cross_site_request'] as const),
    ...(usesStore(route) ? ['unavailable'] as const : [])
  ]
}

/** False for operations without accounts and files: the document, the health checks and the service information. */
function usesStore ({ method, url }: RouteOptions): boolean {
  return !/^\/(?:health\/|openapi\.)/.test(url) && !(method === 'GET' && url === '/')
}
