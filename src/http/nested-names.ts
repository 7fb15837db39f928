import type { FastifyInstance } from 'fastify'

/**
 * Paths that end with a name, and those for names with a plain `/`. The document does not list these: OpenAPI has no
 * parameter of several segments.
 */
const NESTED = new Map([
  ['/uploads/:name', '/uploads/*'],
  ['/s/:secret/files/:name', '/s/:secret/files/*']
])

/**
 * Repeats each route whose path ends with a name, in which a `/` is `%2F`, at a path where it may be plain. Call it
 * before the routes are added, and before hooks that add something to a route: they see both.
 */
export function addNestedNames (app: FastifyInstance): void {
  app.addHook('onRoute', function (route) {
    const url = NESTED.get(route.url)
    if (url === undefined) return
    const { schema, preValidation = [] } = route
    this.route({
      ...route,
      url,
      schema: { ...schema, hide: true },
      preValidation: [readName, preValidation].flat()
    })
  })
}

async function readName (request: { params: unknown }): Promise<void> {
  const { '*': name, ...others } = request.params as { '*': string }
  request.params = { ...others, name }
}
