import { access, constants, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { mistypedSettings, type Config } from '../config.ts'
import { isLoopback } from '../config/loopback.ts'
import { dataFolderLayout } from '../data-folder/data-folder.ts'
import { findKeys } from '../data-folder/key-file.ts'
import { OperatorError } from '../problems.ts'
import { fault, faultOf, good, warning, type Diagnosis, type Environment } from './diagnosis.ts'

const { O_APPEND, O_NONBLOCK, O_WRONLY, W_OK, X_OK } = constants

/** The oldest Node.js that is supported, as in `engines` of package.json. */
const OLDEST_NODE = [20, 19] as const

/** A shorter prefix is no private network: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193) are the largest. */
const MIN_PROXY_PREFIX = 7

export function checkNode ({ nodeVersion: version }: Environment): Diagnosis {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number)
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
  return isOld
    ? fault(`Node.js ${version} is too old`, `install Node.js ${OLDEST_NODE.join('.')} or newer`)
    : good(`Node.js ${version} is supported`)
}

/** Variables of the environment that look like settings, but are none. */
export function checkNames (): Diagnosis {
  const mistyped = mistypedSettings()
  if (mistyped.length === 0) return good('no variable of the environment is a setting with a typing error')
  const names = mistyped.map(({ name }) => name).join(', ')
  return warning(
    mistyped.map(({ name, meant }) => `${name} is not a setting; did you mean ${meant}?`).join(' '),
    `set ${mistyped.map(({ meant }) => meant).join(', ')} instead, or unset ${names}`
  )
}

/** Whether passwords cross the network encrypted. */
export function checkTransport ({ host, tls, trustProxy, passwordPolicy }: Config): Diagnosis {
  if (tls !== undefined) return good('the server uses TLS')
  if (isLoopback(host)) return good(`plain HTTP on ${host}, which only this machine can reach`)
  if (trustProxy !== undefined) return good('plain HTTP behind a proxy that terminates TLS')
  const outcome = passwordPolicy === 'open'
    ? 'passwords cross the network unencrypted'
    : 'passwords are refused with tls_required, so nobody can sign in from there'
  return fault(
    `other machines reach the server on ${host} over plain HTTP: ${outcome}`,
    'set TLS_CERT and TLS_KEY, or use a proxy that terminates TLS and name it in TRUST_PROXY'
  )
}

export function checkPasswordPolicy (config: Config): Diagnosis {
  const { passwordPolicy, passwordPolicyReason } = config
  if (passwordPolicy === 'strict' || !isReachable(config)) return good(`${passwordPolicy}: ${passwordPolicyReason}`)
  return warning(
    'other machines can reach the server, and any password is accepted, even a single letter',
    'set PASSWORD_POLICY=strict'
  )
}

export function checkProxy ({ host, port, tls, trustProxy, publicUrl }: Config): Diagnosis {
  if (trustProxy === undefined) {
    const isProxied = tls === undefined && publicUrl?.startsWith('https:') === true
    if (!isProxied) return good('TRUST_PROXY is not set: forwarding headers are ignored')
    const reason = 'PUBLIC_URL is https, but the server has no certificate and no TRUST_PROXY'
    return warning(
      `${reason}: all clients of a proxy share one address and rate limit`,
      'set TRUST_PROXY to the address of the proxy'
    )
  }
  if (trustProxy.some(range => Number(range.split('/')[1] ?? 32) < MIN_PROXY_PREFIX)) {
    return fault(
      'TRUST_PROXY covers much of the Internet: clients there can forge their address with X-Forwarded-For',
      'set TRUST_PROXY to the addresses of the proxies only'
    )
  }
  if (['0.0.0.0', '::'].includes(host)) {
    return warning(
      `a client that has an address in TRUST_PROXY and reaches port ${port} without the proxy can forge its address`,
      'set HOST to the address that the proxy uses, or let a firewall admit only the proxy'
    )
  }
  return good(`forwarding headers are accepted from ${trustProxy.join(', ')}`)
}

export function checkPublicUrl ({ publicUrl, tls, trustProxy }: Config): Diagnosis {
  if (publicUrl === undefined) {
    const unset = 'PUBLIC_URL is not set'
    if (trustProxy === undefined) {
      return good(`${unset}: links are absolute if the request names the address that the server listens on`)
    }
    return warning(
      `${unset}: behind a proxy links have no scheme and host`, 'set PUBLIC_URL to the address that users see'
    )
  }
  const isSecure = tls !== undefined || trustProxy !== undefined
  if (isSecure && publicUrl.startsWith('http:')) {
    return warning(`links start with PUBLIC_URL, ${publicUrl}, and bypass TLS`, 'use https in PUBLIC_URL')
  }
  return good(`links start with ${publicUrl}`)
}

/** Keys in the environment, or their file in DATA_DIR. */
export async function checkSigningKeys ({ signingKeys, databaseUrl, dataDir }: Config): Promise<Diagnosis> {
  if (signingKeys === undefined && databaseUrl !== undefined) return good('they are in the database')
  if (signingKeys === undefined) {
    // The check of the folder reports a file that can't be read.
    const problem = await findKeys(dataDir, dataFolderLayout.signingKeys).then(() => undefined, (error: Error) => error)
    return problem instanceof OperatorError ? faultOf(problem) : good('they are in DATA_DIR')
  }
  return warning(
    'SIGNING_KEYS is in the environment: every process of this user can read it, and backups do not include it',
    'protect the file that sets it and keep a copy; or unset it, and the server creates a key beside the database'
  )
}

export function checkMetrics ({ metricsPort, metricsHost }: Config): Diagnosis {
  if (metricsPort === undefined) return good('METRICS_PORT is not set: metrics are off')
  if (isLoopback(metricsHost)) return good(`they are served on ${metricsHost}, which only this machine can reach`)
  return warning(
    `they need no credentials, and other machines may reach ${metricsHost}:${metricsPort}`,
    'set METRICS_HOST=127.0.0.1, or let a firewall admit only Prometheus'
  )
}

export function checkRateLimit (config: Config): Diagnosis {
  const { rateLimitPerMinute } = config
  if (rateLimitPerMinute > 0) return good(`${rateLimitPerMinute} requests per minute and address`)
  if (!isReachable(config)) return good('off, but only this machine can reach the server')
  return warning('off: a single client can overload the server', 'unset RATE_LIMIT_PER_MINUTE, or set it above 0')
}

/** Whether other machines reach the server, directly or through a proxy. */
function isReachable ({ host, trustProxy, publicUrl }: Config): boolean {
  return !isLoopback(host) || trustProxy !== undefined || (publicUrl !== undefined && !isThisMachine(publicUrl))
}

function isThisMachine (url: string): boolean {
  return isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''))
}

/** Whether the file of EVENT_LOG can be appended to, or created. */
export async function checkEventLog ({ eventLog }: Config): Promise<Diagnosis> {
  if (eventLog === undefined) return good('EVENT_LOG is not set')
  try {
    const handle = await open(eventLog, O_APPEND | O_NONBLOCK | O_WRONLY).catch(unlessMissing)
    if (handle === undefined) await access(dirname(eventLog), W_OK | X_OK)
    await handle?.close()
    return good(`security events are appended to ${eventLog}`)
  } catch (error) {
    return fault(
      `EVENT_LOG: ${(error as Error).message}`,
      'set EVENT_LOG to a file in a folder that the user of the server can write to'
    )
  }
}

/** @throws any other error. */
function unlessMissing (error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
