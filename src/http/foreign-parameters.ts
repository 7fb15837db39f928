import type { FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { isOfLink } from './link-paths.ts'

/** Query parameters of some file operations. If others ignored them, they would use the wrong content. */
const PARAMETERS = ['version', 'permanent', 'folder', 'recursive', 'all', 'id', 'folderId']

/** The same for operations of links, which are attachments always. */
const LINK_PARAMETERS = [...PARAMETERS, 'disposition']

/** Refuses such a parameter on an operation that does not have it. @throws validation_failed. */
export async function refuseForeignParameters ({ method, query, routeOptions }: FastifyRequest): Promise<void> {
  const { properties = {} } = (routeOptions.schema?.querystring ?? {}) as { properties?: Record<string, unknown> }
  const parameters = isOfLink(String(routeOptions.url)) ? LINK_PARAMETERS : PARAMETERS
  const field = parameters.find(name => Object.hasOwn(query as object, name) && !Object.hasOwn(properties, name))
  if (field !== undefined) throw new Problem('validation_failed', { errors: [{ field, message: `is not a parameter of ${method}` }] })
}
