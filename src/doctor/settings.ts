import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { isLoopback, type Config } from '../config.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

/** The oldest Node.js that is supported, as in `engines` of package.json. */
const OLDEST_NODE = [20, 19] as const

/** A shorter prefix is no private network: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193) are the largest. */
const MIN_PROXY_PREFIX = 7

const DAY_MILLISECONDS = 24 * 3600 * 1000

/** Certificates are usually renewed weeks before they expire: below this, renewal has probably failed. */
const RENEWAL_DAYS = 14

/** `version` is `process.version`, such as v20.19.0. */
export function checkNode (version: string): Diagnosis {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number)
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
  return isOld
    ? fault(
    `Node.js ${version} is too old`,
    `install Node.js ${OLDEST_NODE.join('.')} or newer`
    )
    : good(`Node.js ${version} is supported`)
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

/** Whether the certificate and its key can be read, match, and are valid at `now`. */
export async function checkCertificate ({ tls }: Config, now: number): Promise<Diagnosis> {
  if (tls === undefined) return good('TLS_CERT is not set')
  try {
    const [cert, key] = await Promise.all([readFile(tls.cert), readFile(tls.key)])
    createSecureContext({ cert, key })
    return checkValidity(new X509Certificate(cert), now)
  } catch (error) {
    return fault(
      `TLS_CERT and TLS_KEY can't be used: ${(error as Error).message}`,
      'set them to the PEM files of a certificate and its key, readable by the user of the server'
    )
  }
}

function checkValidity ({ validFrom, validTo }: X509Certificate, now: number): Diagnosis {
  const days = Math.floor((Date.parse(validTo) - now) / DAY_MILLISECONDS)
  const renewal = 'replace it and send the server SIGHUP'
  if (now < Date.parse(validFrom)) {
    return fault(
    `the certificate is not valid before ${validFrom}`,
    'set the clock, or use another certificate'
    )
  }
  if (days < 0) return fault(`the certificate expired on ${validTo}`, renewal)
  return days < RENEWAL_DAYS
    ? warning(
    `the certificate expires in ${days} days, on ${validTo}`,
    renewal
    )
    : good(`the certificate is valid until ${validTo}`)
}

export async function checkKeyFile ({ tls }: Config): Promise<Diagnosis> {
  if (tls === undefined) return good('TLS_KEY is not set')
  // `checkCertificate` reports a file that can't be read.
  const mode = await stat(tls.key).then(stats => stats.mode, () => 0)
  if ((mode & 0o077) === 0) return good(`only the owner of ${tls.key} has access to it`)
  return fault(`other users of this machine have access to ${tls.key}`, `chmod go= ${tls.key}`)
}

export function checkPasswordPolicy (config: Config): Diagnosis {
  const { passwordPolicy, passwordPolicyReason } = config
  if (passwordPolicy === 'strict' || !isReachable(config)) return good(`${passwordPolicy}: ${passwordPolicyReason}`)
  return warning('other machines can reach the server, and any password is accepted, even a single letter', 'set PASSWORD_POLICY=strict')
}

export function checkProxy ({ host, port, tls, trustProxy, publicUrl }: Config): Diagnosis {
  if (trustProxy === undefined) {
    const isProxied = tls === undefined && publicUrl?.startsWith('https:') === true
    if (!isProxied) return good('TRUST_PROXY is not set: forwarding headers are ignored')
    return warning(
      'PUBLIC_URL is https, but the server has no certificate and no TRUST_PROXY: all clients of a proxy share one address and rate limit',
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
    if (trustProxy === undefined) {
      return good('PUBLIC_URL is not set: links are absolute if the request names the address that the server listens on')
    }
    return warning('PUBLIC_URL is not set: behind a proxy links have no scheme and host', 'set PUBLIC_URL to the address that users see')
  }
  const isSecure = tls !== undefined || trustProxy !== undefined
  if (isSecure && publicUrl.startsWith('http:')) {
    return warning(
    `links start with PUBLIC_URL, ${publicUrl}, and bypass TLS`,
    'use https in PUBLIC_URL'
    )
  }
  return good(`links start with ${publicUrl}`)
}

/** Keys in the environment. Those in DATA_DIR are checked with its other files. */
export function checkSigningKeys ({ signingKeys, databaseUrl }: Config): Diagnosis {
  if (signingKeys === undefined) return good(databaseUrl === undefined ? 'they are in DATA_DIR' : 'they are in the database')
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
