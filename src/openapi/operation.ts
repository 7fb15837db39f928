/** The `security` of an operation without authentication. */
export const noCredential: { [scheme: string]: string[] }[] = [{}]

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

interface CodeSamples { 'x-codeSamples': { lang: string, label: string, source: string }[] }

/**
 * Example commands of an operation: `x-codeSamples`, which Redoc and other tools show. A test runs the commands of all
 * operations in one shell, in the order of the document.
 */
export function codeSamples (...lines: string[]): CodeSamples {
  return { 'x-codeSamples': [{ lang: 'Shell', label: 'curl', source: lines.join('\n') }] }
}
