import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { ConfigError, OperatorError } from '../problems.ts'

/** Where a server listens, with the setting that says so. */
interface ListenAddress {
  readonly setting: keyof typeof PORTS
  readonly host: string
  readonly port: number
}

/** The settings of the ports. */
const PORTS = { HOST: 'PORT', METRICS_HOST: 'METRICS_PORT' } as const

/** Errors that the operator can fix: what is wrong, and what to do. */
const reasons: Record<string, (setting: ListenAddress['setting']) => [reason: string, remedy: string]> = {
  EADDRNOTAVAIL: setting => [
    'this machine does not have that address',
    `set ${setting} to one of this machine, or to 0.0.0.0 for all of them`
  ],
  EACCES: setting => [
    'permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE',
    `set ${PORTS[setting]} to a higher one, or add AmbientCapabilities=CAP_NET_BIND_SERVICE to the systemd unit`
  ]
}

/** Another program listens there. */
export class PortInUseError extends OperatorError {}

/**
 * Makes a server listen where the settings say, on one address: for a name with several addresses Fastify would create
 * more servers, without our time-outs and shutdown.
 * @throws {ConfigError} if the name has no address or the address can't be used; {PortInUseError}.
 */
export async function listenAt<T> (
  { setting, host, port }: ListenAddress,
  listen: (address: { host: string, port: number }) => Promise<T>
): Promise<T> {
  const { address } = await lookup(host, { verbatim: false }).catch((cause: Error) => {
    const reason = `${setting}: ${JSON.stringify(host)} has no address`
    throw new ConfigError(reason, { remedy: `set ${setting} to an address of this machine`, cause })
  })
  return listen({ host: address, port }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EADDRINUSE') {
      const remedy = `stop it, or set ${PORTS[setting]} to another port`
      throw new PortInUseError(`${PORTS[setting]}: ${address}:${port} is in use by another program`, { remedy, cause })
    }
    const [reason, remedy] = reasons[String(cause.code)]?.(setting) ??
      [cause.message, `set ${setting} to another address`]
    throw new ConfigError(`${setting}: can't listen on ${host}, port ${port}: ${reason}`, { remedy, cause })
  })
}

/** Listens for a moment. @throws as `listenAt`. */
export async function tryListening (at: ListenAddress): Promise<void> {
  await listenAt(at, async address => {
    const server = createServer().listen(address)
    await once(server, 'listening')
    server.close()
    await once(server, 'close')
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
