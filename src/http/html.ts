import helmet, { type FastifyHelmetOptions } from '@fastify/helmet'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'

/** The HTML of a page. */
export const Html = Type.String({
  maxLength: 64 * 1024, pattern: '^<!(?:doctype|DOCTYPE) html>', description: 'The page, for browsers.'
})

/**
 * A page loads everything from this server, runs no inline script, and shows media of the user from `blob:`
 * addresses.
 */
const directives = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'", 'blob:', 'data:'],
  mediaSrc: ["'self'", 'blob:'],
  frameSrc: ["'self'"],
  connectSrc: ["'self'"],
  workerSrc: ["'self'"],
  manifestSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
  requireTrustedTypesFor: ["'script'"],
  trustedTypes: ['magicstore']
}

const security: FastifyHelmetOptions = {
  crossOriginOpenerPolicy: { policy: 'same-origin' },
  referrerPolicy: { policy: 'no-referrer' },
  frameguard: { action: 'deny' },
  strictTransportSecurity: false
}

/** Prepares a Fastify scope for {@link sendHtml}. By default, a page sends no forms without a script. */
export async function prepareHtml (scope: FastifyInstance, { formAction = directives.formAction } = {}): Promise<void> {
  const contentSecurityPolicy = { useDefaults: false, directives: { ...directives, formAction } }
  await scope.register(helmet, { ...security, contentSecurityPolicy, global: false })
}

/** Whether a client prefers HTML to JSON (RFC 9110 section 12.5.1). A response that depends on it needs `Vary`. */
export function prefersHtml ({ raw }: FastifyRequest): boolean {
  const [preferred] = new Negotiator(raw).mediaTypes(['application/json', 'text/html'])
  return preferred === 'text/html'
}

/** Answers with a page, for a route to return. */
export async function sendHtml (reply: FastifyReply, html: string): Promise<FastifyReply> {
  await reply.helmet()
  return reply
    .header('permissions-policy', 'camera=(), geolocation=(), microphone=()')
    .type('text/html; charset=utf-8').send(html)
}
