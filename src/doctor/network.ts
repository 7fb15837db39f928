import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https, { type RequestOptions } from 'node:https'
import { urlToHttpOptions } from 'node:url'
import type { Config } from '../config.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

const TIMEOUT_MILLISECONDS = 3000

/** The properties of a health report or a problem that the checks read. */
interface Body {
  readonly status?: unknown
  readonly database?: string
  readonly disk?: string
  readonly code?: string
  readonly detail?: string
}

/**
 * The functions of the backends on other machines that the checks need. Each throws an error with the reason in one
 * line.
 */
export interface ServiceTools {
  /** The version of the database server, and whether the next start upgrades the database. Changes nothing. */
  readonly checkDatabaseServer: (url: string) => Promise<{ readonly version: string, readonly isOutdated: boolean }>
  /** Lists, writes, reads and deletes in the blob store. */
  readonly checkBlobStore: (config: Config) => Promise<void>
}

interface Answer { readonly status: number | undefined, readonly headers: IncomingHttpHeaders, readonly body: Body }

/** Requests the health of the server at HOST and PORT, if it is running. */
export async function checkServer ({ host, port, tls }: Config): Promise<Diagnosis> {
  if (port === 0) return good('PORT is 0: the port of the server is not known')
  const address = `${host}:${port}`
  try {
    // The certificate is for the public name, not for this address.
    const { body: { status, database, disk, code, detail } } = await get({
      protocol: tls === undefined ? 'http:' : 'https:',
      host,
      port,
      path: '/health/ready',
      rejectUnauthorized: false
    })
    if (status === 'ready') return good(`ready at ${address}: database ${database}, disk ${disk}`)
    if (code === undefined) throw new Error('the response is not from MagicStore')
    return fault(`not ready at ${address}, ${code}: ${detail}`, 'try again later, and read its log')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED') return good(`not running at ${address}`)
    return fault(
      `another program, or no answer within ${TIMEOUT_MILLISECONDS / 1000} s, at ${address}: ${message}`,
      'set HOST to an address of this machine, and PORT to a port that no other program uses'
    )
  }
}

/** Requests the server by its public address, as its users do. */
export async function checkPublicAddress ({ publicUrl }: Config): Promise<Diagnosis> {
  if (publicUrl === undefined) return good('PUBLIC_URL is not set')
  try {
    const { status, headers, body } = await get(urlToHttpOptions(new URL(`${publicUrl}/health/live`)))
    if (body.status !== 'alive') {
      return warning(
      `${publicUrl} leads to something else: status ${status}`,
      'check the DNS name and the proxy'
      )
    }
    // The server sends this header if it knows that the client uses TLS.
    const isTlsKnown = publicUrl.startsWith('http:') || headers['strict-transport-security'] !== undefined
    if (isTlsKnown) return good(`${publicUrl} leads to a MagicStore server`)
    return warning(
      `the server behind ${publicUrl} does not know that clients use TLS`,
      'name the proxy in TRUST_PROXY, and configure it to set X-Forwarded-Proto and X-Forwarded-For'
    )
  } catch (error) {
    return warning(
      `this machine can't reach the server at ${publicUrl}: ${(error as Error).message}`,
      'check the DNS name, the certificate and the proxy; ignore this if other machines can reach it'
    )
  }
}

export async function checkServerOfDatabase (url: string, { checkDatabaseServer }: ServiceTools): Promise<Diagnosis> {
  return checkDatabaseServer(url).then(({ version, isOutdated }) => good(isOutdated
    ? `PostgreSQL ${version} answers; the next start upgrades the database`
    : `PostgreSQL ${version} answers; to check the stored bytes run magicstore fsck --deep`), failed)
}

export async function checkStorage (config: Config, { checkBlobStore }: ServiceTools): Promise<Diagnosis> {
  const { storageUrl } = config
  if (storageUrl === undefined) return good('files are in DATA_DIR')
  return checkBlobStore(config).then(() => good(`files can be listed, written, read and deleted in bucket ${storageUrl.bucket}`), failed)
}

function failed ({ message }: Error): Diagnosis {
  return fault(message, 'correct the setting, or start what it names')
}

/** @throws if there is no response in time, or one that is not JSON. */
async function get (options: RequestOptions): Promise<Answer> {
  const { request } = options.protocol === 'https:' ? https : http
  const sent = request({ ...options, agent: false, signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS) })
  sent.end()
  const [response] = await once(sent, 'response') as [IncomingMessage]
  const text = (await response.setEncoding('utf8').toArray()).join('')
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) }
}
