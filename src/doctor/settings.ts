import { isLoopback, type Config } from '../config.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

/** Oldest Node.js that runs it, as `engines` of package.json has it. */
const OLDEST_NODE = [20, 15] as const

/** A wider range is no network of one's own: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193) are the widest. */
const LEAST_PROXY_BITS = 7

/** `version` is that of the running Node.js, as v20.15.0. */
export function checkNode (version: string): Diagnosis {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number)
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
  return isOld ? fault(`Node.js ${version} is too old`, `install Node.js ${OLDEST_NODE.join('.')} or newer`) : good(`Node.js ${version} runs it`)
}

/** How passwords travel. */
export function checkTransport ({ host, tls, trustProxy, passwordPolicy }: Config): Diagnosis {
  if (tls !== undefined) return good('the server speaks TLS')
  if (isLoopback(host)) return good(`plain HTTP, on ${host}, which only this machine reaches`)
  if (trustProxy !== undefined) return good('plain HTTP, for a proxy that ends TLS')
  const outcome = passwordPolicy === 'open' ? 'cross the network in the clear' : 'are refused with tls_required, so that nobody there can sign in'
  return fault(`other machines reach the server, on ${host}, over plain HTTP: their passwords ${outcome}`, 'set TLS_CERT and TLS_KEY, or put a proxy that ends TLS in front and name it in TRUST_PROXY')
}

export function checkPasswordPolicy (config: Config): Diagnosis {
  const { passwordPolicy, passwordPolicyReason } = config
  if (passwordPolicy === 'strict' || !facesOthers(config)) return good(`${passwordPolicy}: ${passwordPolicyReason}`)
  return warning('people on other machines can take any password, such as one letter', 'set PASSWORD_POLICY=strict')
}

export function checkProxy ({ host, port, tls, trustProxy, publicUrl }: Config): Diagnosis {
  if (trustProxy === undefined) {
    const isProxied = tls === undefined && publicUrl?.startsWith('https:') === true
    if (!isProxied) return good('TRUST_PROXY is not set: no forwarding header is believed')
    return warning('PUBLIC_URL is https and the server has no certificate: behind a proxy that TRUST_PROXY does not name all clients count as one, and one of them can use up what all may do', 'name the address of the proxy in TRUST_PROXY')
  }
  if (trustProxy.some(range => Number(range.split('/')[1] ?? 32) < LEAST_PROXY_BITS)) return fault('TRUST_PROXY believes much of the Internet: whoever sends X-Forwarded-For from there is counted under an address they made up', 'name only the addresses of the proxies in TRUST_PROXY')
  if (['0.0.0.0', '::'].includes(host)) return warning(`who reaches port ${port} around the proxy, from an address in TRUST_PROXY, can make up a client address`, 'set HOST to the address that the proxy uses, or let a firewall pass only the proxy')
  return good(`forwarding headers of ${trustProxy.join(', ')} are believed`)
}

export function checkPublicUrl ({ publicUrl, tls, trustProxy }: Config): Diagnosis {
  if (publicUrl === undefined) {
    if (trustProxy === undefined) return good('PUBLIC_URL is not set: links are absolute where a request names the address the server listens on')
    return warning('behind a proxy links are without scheme and name, for PUBLIC_URL is not set', 'set PUBLIC_URL to the address that people see')
  }
  const isSecure = tls !== undefined || trustProxy !== undefined
  if (isSecure && publicUrl.startsWith('http:')) return warning(`PUBLIC_URL ${publicUrl} leads people around TLS`, 'let it begin with https')
  return good(`links begin with ${publicUrl}`)
}

/** The keys in the environment; those in DATA_DIR are looked at as its other files are. */
export function checkSigningKeys ({ signingKeys }: Config): Diagnosis {
  if (signingKeys === undefined) return good('they are in DATA_DIR')
  return warning('SIGNING_KEYS is in the environment, which every process of this user can read, and no backup holds them', 'let nobody else read the file that sets it and keep a copy; or unset it, and the server makes a key in DATA_DIR')
}

export function checkMetrics ({ metricsPort, metricsHost }: Config): Diagnosis {
  if (metricsPort === undefined) return good('METRICS_PORT is not set: there are none')
  if (isLoopback(metricsHost)) return good(`they are on ${metricsHost}, which only this machine reaches`)
  return warning(`they ask for no credential, and other machines may reach ${metricsHost}:${metricsPort}`, 'set METRICS_HOST=127.0.0.1, or let a firewall pass only Prometheus')
}

export function checkRateLimit (config: Config): Diagnosis {
  const { rateLimitPerMinute } = config
  if (rateLimitPerMinute > 0) return good(`${rateLimitPerMinute} requests a minute from one address`)
  if (!facesOthers(config)) return good('there is none, and only this machine reaches the server')
  return warning('one client can keep the server busy with as many requests as it likes', 'unset RATE_LIMIT_PER_MINUTE, or set it above 0')
}

/** Whether people on other machines reach the server, itself or through a proxy. */
function facesOthers ({ host, trustProxy, publicUrl }: Config): boolean {
  return !isLoopback(host) || trustProxy !== undefined || (publicUrl !== undefined && !isOwnMachine(publicUrl))
}

function isOwnMachine (url: string): boolean {
  return isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''))
}
