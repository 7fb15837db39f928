import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { OpenLink } from '../metadata/link-records.ts'

/** What a visitor sees by a link. `isUnlocked`: it has no password, or the request has shown it. */
export interface Visit extends OpenLink { readonly isUnlocked: boolean }

/** Declares the visit on requests. */
export function prepareVisit (app: FastifyInstance): void {
  app.decorateRequest('visit')
}

/** Called only by `links/admission.ts`. */
export function setVisit (request: FastifyRequest, visit: Visit): void {
  request.setDecorator('visit', visit)
}

/** The visit; undefined outside a scope that admits visitors, or if there is no such link. */
export function findVisit (request: FastifyRequest): Visit | undefined {
  return request.getDecorator('visit')
}

/** The visit. @throws outside a scope that admits visitors: a route in the wrong scope fails at its first call. */
export function visitOf (request: FastifyRequest): Visit {
  const visit = findVisit(request)
  if (visit === undefined) throw new Error('this route is not in a scope of visitors')
  return visit
}
