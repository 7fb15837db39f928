import { createRequire } from 'node:module'

/*
 * Fastify and its larger plugins, with `require`. To import a CommonJS package, Node.js 20 and 22 search all of its
 * source for the names of exports: that took a sixth of the start-up time.
 */
const load = createRequire(import.meta.url)

export const { fastify, LogController } = load('fastify') as typeof import('fastify')
export const { fastifyHelmet: helmet } = load('@fastify/helmet') as typeof import('@fastify/helmet')
export const { fastifyJwt: jwt } = load('@fastify/jwt') as typeof import('@fastify/jwt')
export const { fastifyMultipart: multipart } = load('@fastify/multipart') as typeof import('@fastify/multipart')
/** The compilers of schemas. */
export const loadValidators = () => load('@fastify/ajv-compiler') as typeof import('@fastify/ajv-compiler')
export const loadSerializers = () =>
  load('@fastify/fast-json-stringify-compiler') as typeof import('@fastify/fast-json-stringify-compiler')

export const { default: proxyAddr } = load('@fastify/proxy-addr') as typeof import('@fastify/proxy-addr')
export const { fastifyRateLimit: rateLimit } = load('@fastify/rate-limit') as typeof import('@fastify/rate-limit')
export const { fastifyStatic } = load('@fastify/static') as typeof import('@fastify/static')
export const { fastifyCookie: cookie } = load('@fastify/cookie') as typeof import('@fastify/cookie')
