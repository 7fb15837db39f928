import { once } from 'node:events'
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https, { type RequestOptions } from 'node:https'
import { urlToHttpOptions } from 'node:url'
import type { Config } from '../config.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

const PATIENCE_MILLISECONDS = 3000

/** Of a condition or a problem, what is looked at. */
interface Body { readonly status?: unknown, readonly database?: string, readonly disk?: string, readonly code?: string, readonly detail?: string }

interface Answer { readonly status: number | undefined, readonly headers: IncomingHttpHeaders, readonly body: Body }

/** Asks the server that the settings describe, if it runs. */
export async function checkServer ({ host, port, tls }: Config): Promise<Diagnosis> {
  if (port === 0) return good('PORT is 0: where it listens is not known')
  const address = `${host}:${port}`
  try {
    // The certificate is for the name that people use, not for this address.
    const { body: { status, database, disk, code, detail } } = await ask({ protocol: tls === undefined ? 'http:' : 'https:', host, port, path: '/health/ready', rejectUnauthorized: false })
    if (status === 'ready') return good(`it is ready at ${address}: database ${database}, disk ${disk}`)
    if (code === undefined) throw new Error('it is another program')
    return fault(`at ${address} it is not ready, ${code}: ${detail}`, 'ask again in a while, and read its log')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED') return good(`none listens at ${address}`)
    return fault(`what listens at ${address} does not answer in ${PATIENCE_MILLISECONDS / 1000} s as a server with these settings does: ${message}`, 'set HOST to an address of this machine and PORT to one that no other program has')
  }
}

/** Goes the way of the people who use it. */
export async function checkPublicAddress ({ publicUrl }: Config): Promise<Diagnosis> {
  if (publicUrl === undefined) return good('PUBLIC_URL is not set: there is none to ask')
  try {
    const { status, headers, body } = await ask(urlToHttpOptions(new URL(`${publicUrl}/health/live`)))
    if (body.status !== 'alive') return warning(`${publicUrl} leads to something else: status ${status}`, 'let the proxy, or the name, lead to the server')
    // The server sends it wherever it knows that the client speaks TLS.
    const isSeen = publicUrl.startsWith('http:') || headers['strict-transport-security'] !== undefined
    if (isSeen) return good(`${publicUrl} leads to a server`)
    return warning(`behind ${publicUrl} the server does not see that clients speak TLS`, 'name the proxy in TRUST_PROXY, and let it set X-Forwarded-Proto and X-Forwarded-For')
  } catch (error) {
    return warning(`from here ${publicUrl} does not lead to the server: ${(error as Error).message}`, 'look at the name, the certificate and the proxy; where only this machine can\'t reach it, all is well')
  }
}

/** @throws where there is no answer in time, or one that is not JSON. */
async function ask (options: RequestOptions): Promise<Answer> {
  const { request } = options.protocol === 'https:' ? https : http
  const asked = request({ ...options, agent: false, signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) })
  asked.end()
  const [response] = await once(asked, 'response') as [IncomingMessage]
  const text = (await response.setEncoding('utf8').toArray()).join('')
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) }
}
