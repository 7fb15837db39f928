import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https, { type RequestOptions } from 'node:https'
import { urlToHttpOptions } from 'node:url'
import { isFolderInUse } from '../backends/backends.ts'
import type { Config } from '../config.ts'
import { usesDataFolder } from '../data-folder/data-folder.ts'
import { fault, faultOf, good, warning, type Diagnosis } from './diagnosis.ts'
import { PortInUseError, tryListening } from './listening.ts'

const TIMEOUT_MILLISECONDS = 3000

/** The answer to a request for the health of a server. */
interface HealthReply {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  /** A health report, or a problem. */
  readonly body: Readonly<Record<string, unknown>>
}

/** Requests the health of the server at HOST and PORT, if it is running, or whether one could listen there. */
export async function checkServer (config: Config): Promise<Diagnosis> {
  const { host, port, metricsHost, metricsPort = 0 } = config
  if (port === 0) return good('PORT is 0: the port of the server is not known')
  const address = `${host}:${port}`
  const isInUse = isFolderInUse(config)
  const obstacle = await tryListening({ setting: 'HOST', host, port }).then(() => undefined, (error: Error) => error)
  if (obstacle === undefined && isInUse) {
    return fault(
      `another MagicStore server uses DATA_DIR, and none runs at ${address}`,
      'stop it, or set DATA_DIR to another folder, or HOST and PORT as that server has them'
    )
  }
  if (obstacle === undefined) {
    const runnable = good(`not running at ${address}, where it can listen`)
    if (metricsPort === 0) return runnable
    return tryListening({ setting: 'METRICS_HOST', host: metricsHost, port: metricsPort }).then(() => runnable, faultOf)
  }
  if (!(obstacle instanceof PortInUseError)) return faultOf(obstacle)
  const diagnosis = await askServer(config, obstacle)
  if (diagnosis.verdict !== 'good' || isInUse || !usesDataFolder(config)) return diagnosis
  return fault(
    `the MagicStore server at ${address} uses another DATA_DIR`,
    'set PORT to another port, or DATA_DIR to the folder of that server'
  )
}

/** `inUse`: the error of listening there, which is reported if the program is not a MagicStore server. */
async function askServer ({ host, port, tls }: Config, inUse: unknown): Promise<Diagnosis> {
  const address = `${host}:${port}`
  // The certificate is for the public name, not for this address.
  const answer = await get({
    protocol: tls === undefined ? 'http:' : 'https:',
    host,
    port,
    path: '/health/ready',
    rejectUnauthorized: false
  }).catch(() => undefined)
  const { status, database, disk, code, detail } = answer?.body ?? {}
  if (status === 'ready') return good(`ready at ${address}: database ${database}, disk ${disk}`)
  if (code !== undefined) {
    return fault(`not ready at ${address}, ${code}: ${detail}`, 'try again later, and read its log')
  }
  const { message, remedy } = faultOf(inUse)
  return fault(`${message}, or by a server that gives no answer`, String(remedy))
}

/** Requests the server by its public address, as its users do. */
export async function checkPublicAddress ({ publicUrl }: Config): Promise<Diagnosis> {
  if (publicUrl === undefined) return good('PUBLIC_URL is not set')
  try {
    const { status, headers, body } = await get(urlToHttpOptions(new URL(`${publicUrl}/health/live`)))
    if (body.status !== 'alive') {
      return warning(`${publicUrl} leads to something else: status ${status}`, 'check the DNS name and the proxy')
    }
    // The server sends this header if it knows that the client uses TLS.
    const isTlsKnown = publicUrl.startsWith('http:') || headers['strict-transport-security'] !== undefined
    if (isTlsKnown) return good(`${publicUrl} leads to a MagicStore server`)
    return warning(
      `the server behind ${publicUrl} does not know that clients use TLS`,
      'name the proxy in TRUST_PROXY, and configure it to set X-Forwarded-Proto and X-Forwarded-For'
    )
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    // Of a host with several addresses, Node.js gives an error without a message.
    return warning(
      `this machine can't reach the server at ${publicUrl}: ${[message, code].find(Boolean)}`,
      'check the DNS name, the certificate and the proxy; ignore this if other machines can reach it'
    )
  }
}

/** @throws if there is no response in time, or one that is not JSON. */
async function get (options: RequestOptions): Promise<HealthReply> {
  const { request } = options.protocol === 'https:' ? https : http
  const sent = request({ ...options, agent: false, signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) })
  sent.end()
  const [response] = await once(sent, 'response') as [IncomingMessage]
  const text = (await response.setEncoding('utf8').toArray()).join('')
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) }
}
