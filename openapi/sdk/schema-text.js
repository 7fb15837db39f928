import { readFileSync } from 'node:fs'
import openapiTypeScript, { astToString } from 'openapi-typescript'
import ts from 'typescript'

/**
 * @typedef {import('openapi-typescript').OpenAPI3 & { paths: Record<string, Record<string, { security?: Record<string,
 * string[]>[] }>> }} Document
 */

/**
 * The text of the client's schema.ts: the types of an OpenAPI document, and which operations need which credentials.
 * @param {string} file of the document
 */
export async function schemaText (file) {
  /** @type {Document} */
  const document = JSON.parse(readFileSync(file, 'utf8'))
  // In the client, a binary body is a Blob, which fetch accepts and returns, and not a string as in JSON Schema.
  const blob = ts.factory.createTypeReferenceNode('Blob')
  const types = await openapiTypeScript(document, {
    silent: true, transform: ({ format }) => format === 'binary' ? blob : undefined
  })
  const { publicOperations, passwordOperations } = credentialsOf(document)
  return `/** Operations that need no credentials. */
export const publicOperations: readonly string[] = ${JSON.stringify(publicOperations)}

/** Operations that need the password instead of an access token. */
export const passwordOperations: readonly string[] = ${JSON.stringify(passwordOperations)}

${astToString(types)}`
}

/** @param {Document} document */
function credentialsOf ({ paths }) {
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { security = [{}] }]) => ({
      name: `${method.toUpperCase()} ${path}`, schemes: security.map(scheme => Object.keys(scheme))
    })))
  /** @type {(operation: { schemes: string[][] }) => boolean} */
  const isPublic = ({ schemes }) => schemes.some(scheme => scheme.length === 0)
  /** @type {(operation: { schemes: string[][] }) => boolean} */
  const takesPassword = ({ schemes }) => schemes.every(scheme => scheme.includes('basic'))
  return {
    // Also those for which a cookie is optional: they have no use for a token.
    publicOperations: operations.filter(isPublic).map(({ name }) => name),
    // GET /api/token also accepts a personal access token, but no access token, so an access token can't extend its own
    // lifetime.
    passwordOperations: ['GET /api/token', ...operations.filter(takesPassword).map(({ name }) => name)]
  }
}
