import { lookup } from 'node:dns/promises'
import type { AddressInfo } from 'node:net'
import { ConfigError } from '../problems.ts'

/** Errors that the operator can fix, in words. */
const REASONS: Record<string, string> = {
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE'
}

interface Place {
  readonly setting: 'HOST' | 'METRICS_HOST'
  readonly host: string
  readonly port: number
}

/**
 * Makes a server listen where the settings say, on one address: for a name with several addresses Fastify would create
 * more servers, without our time-outs and shutdown.
 * @throws {ConfigError} if the name has no address or the address can't be used; EADDRINUSE if the port is in use.
 */
export async function listenAt<T> (
  { setting, host, port }: Place,
  listen: (address: { host: string, port: number }) => Promise<T>
): Promise<T> {
  const { address } = await lookup(host, { verbatim: false }).catch((cause: Error) => {
    throw new ConfigError(`${setting}: ${JSON.stringify(host)} has no address`, { cause })
  })
  return listen({ host: address, port }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EADDRINUSE') throw cause
    throw new ConfigError(`${setting}: can't listen on ${host}, port ${port}: ${REASONS[String(cause.code)] ?? cause.message}`, { cause })
  })
}

/** A browser can't open the wildcard addresses: use the loopback address of the same family. */
const LOOPBACKS: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Whether a server listens on every address of the machine. */
export function isWildcard ({ address }: AddressInfo): boolean {
  return address in LOOPBACKS
}

/** The host and port for a URL of the server that works at least on this machine. */
export function authority ({ address, port, family }: AddressInfo): string {
  const host = LOOPBACKS[address] ?? address
  return `${family === 'IPv6' ? `[${host}]` : host}:${port}`
}
