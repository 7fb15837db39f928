import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { AccountRecord, TokenRecord } from '../metadata/records.ts'

/** Who made a request, and by what they proved it: `token` is undefined where it was a password. */
export interface Caller { readonly account: AccountRecord, readonly token: TokenRecord | undefined }

/** Makes room for the caller on every request. */
export function prepareCaller (app: FastifyInstance): void {
  app.decorateRequest('caller')
}

/** Remembers who made the request; only `tokens/authenticate.ts` knows. */
export function setCaller (request: FastifyRequest, caller: Caller): void {
  request.setDecorator('caller', caller)
}

/** Who made this request; undefined where it is not known, or not yet. */
export function findCaller (request: FastifyRequest): Caller | undefined {
  // A request whose address can't be read has no decorations.
  return 'caller' in request ? request.getDecorator<Caller | undefined>('caller') : undefined
}

/** Who made this request. @throws outside an authenticated scope, so that a route in the wrong scope fails at its first call. */
export function callerOf (request: FastifyRequest): Caller {
  const caller = findCaller(request)
  if (caller === undefined) throw new Error('this route stands outside the authenticated scopes')
  return caller
}

/** How many lines of a field a request has: Node keeps the first of some fields, joins others, and says nothing of either. */
export function countFieldLines ({ rawHeaders }: IncomingMessage, field: string): number {
  return rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === field).length
}
