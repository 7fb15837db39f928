import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { EventKind, SecurityLog } from '../accounts/events.ts'
import { originOf } from '../accounts/network.ts'
import type { SignedIn } from '../accounts/sign-in.ts'
import type { OpenLink } from '../metadata/link-records.ts'
import type { AccountRecord, TokenRecord } from '../metadata/records.ts'

/**
 * The authenticated account of a request; `token` is undefined if it used a password. `factors` are those of the
 * request, or those with which its token was made.
 */
export interface Caller extends SignedIn { readonly token: TokenRecord | undefined }

/** Declares the caller and the visit on requests. */
export function prepareCallers (app: FastifyInstance): void {
  app.decorateRequest('caller')
  app.decorateRequest('visit')
}

/** Called only by `tokens/authenticate.ts`. */
export function setCaller (request: FastifyRequest, caller: Caller): void {
  request.setDecorator('caller', caller)
}

/** The caller, or undefined before authentication and in routes without it. */
export function findCaller (request: FastifyRequest): Caller | undefined {
  return request.getDecorator('caller')
}

/** The caller. @throws outside an authenticated scope, so that a route in the wrong scope fails at its first call. */
export function callerOf (request: FastifyRequest): Caller {
  const caller = findCaller(request)
  if (caller === undefined) throw new Error('this route is not in an authenticated scope')
  return caller
}

/** Records an event of the caller's account. */
export function recordEvent (securityLog: SecurityLog, request: FastifyRequest, kind: EventKind): void {
  securityLog.record({ kind, account: callerOf(request).account, ...originOf(request) })
}

/** What a visitor sees by a link. `isUnlocked`: it has no password, or the request has shown it. */
export interface Visit extends OpenLink { readonly isUnlocked: boolean }

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

/** For whom a request uploads: its caller, or by a link the owner of that. */
export function uploaderOf (
  request: FastifyRequest
): { owner: AccountRecord, linkId: number | null, onlyName: string | null } {
  const visit = findVisit(request)
  return visit === undefined
    ? { owner: callerOf(request).account, linkId: null, onlyName: null }
    : { owner: visit.account, linkId: visit.link.id, onlyName: visit.link.fileName }
}

/**
 * The one-time code, recovery code or confirmation code that a request has beside its password, without spaces, which
 * apps show in it. An empty field is none. Several are joined, and so no code.
 */
export function oneTimeCodeOf ({ headers }: FastifyRequest): string | undefined {
  const code = headers['one-time-code']?.toString().replaceAll(' ', '')
  return code === '' ? undefined : code
}

/** The number of lines of a header field. Node keeps only the first line of some fields, and joins those of others. */
export function countFieldLines ({ rawHeaders }: IncomingMessage, field: string): number {
  return rawHeaders.filter((name, index) =>
    index % 2 === 0 && name.length === field.length && name.toLowerCase() === field).length
}
