import type { FastifyInstance } from 'fastify'

const SEGMENT = '/uploads/:name'

/** The path for names with a plain `/`. The document does not list it: OpenAPI has no parameter of several segments. */
export const NESTED = '/uploads/*'

/**
 * Repeats each route of `/uploads/:name`, where a `/` in the name is `%2F`, at `/uploads/*`. Call it before the routes
 * are added, and before hooks that add something to a route: they see both.
 */
export function addNestedNames (app: FastifyInstance): void {
  app.addHook('onRoute', function (route) {
    if (route.url !== SEGMENT) return
    const { schema, preValidation = [] } = route
    this.route({
      ...route,
      url: NESTED,
      schema: { ...schema, hide: true },
      preValidation: [readName, preValidation].flat()
    })
  })
}

async function readName (request: { params: unknown }): Promise<void> {
  const { '*': name } = request.params as { '*': string }
  request.params = { name }
}
