import { lookup } from 'node:dns/promises'
import type { AddressInfo } from 'node:net'
import { ConfigError } from '../problems.ts'

/** What the operator can do something about, in words. */
const REASONS: Record<string, string> = {
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'this user may not listen there; ports below 1024 are for root, or for CAP_NET_BIND_SERVICE'
}

interface Place {
  readonly setting: 'HOST' | 'METRICS_HOST'
  readonly host: string
  readonly port: number
}

/**
 * Lets a server listen where the settings say, on one address: for a name with several Fastify would open servers that
 * know nothing of time-outs and of the stop.
 * @throws {ConfigError} where the name has no address or the address can't be had; a port in use fails as it is.
 */
export async function listenAt<T> ({ setting, host, port }: Place, listen: (address: { host: string, port: number }) => Promise<T>): Promise<T> {
  const { address } = await lookup(host, { verbatim: false }).catch((cause: Error) => {
    throw new ConfigError(`${setting}: no address is known for ${JSON.stringify(host)}`, { cause })
  })
  return listen({ host: address, port }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EADDRINUSE') throw cause
    throw new ConfigError(`${setting}: can't listen on ${host}, port ${port}: ${REASONS[String(cause.code)] ?? cause.message}`, { cause })
  })
}

/** What stands for every address of a machine can't be opened in a browser: the loopback address of the same family can. */
const LOOPBACKS: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Whether something listens on every address of the machine. */
export function isEverywhere ({ address }: AddressInfo): boolean {
  return address in LOOPBACKS
}

/** The host and port of a URL that leads to what listens, from this machine at least. */
export function authority ({ address, port, family }: AddressInfo): string {
  const host = LOOPBACKS[address] ?? address
  return `${family === 'IPv6' ? `[${host}]` : host}:${port}`
}
