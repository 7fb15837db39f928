import type { FastifyRequest } from 'fastify'
import { isLoopback } from '../config.ts'
import { Problem } from '../errors.ts'

/** What the settings say about how passwords may travel. */
export interface Transport { readonly passwordPolicy: 'open' | 'strict' }

/**
 * Refuses a password that crossed a network in the clear: over plain HTTP, from a client that is not on this machine,
 * where no trusted proxy says that the client spoke TLS with it.
 * @throws tls_required.
 */
export function refuseInsecurePassword (request: FastifyRequest, { passwordPolicy }: Transport): void {
  if (passwordPolicy === 'open' || request.protocol === 'https' || isLoopback(request.ip)) return
  throw new Problem('tls_required')
}
