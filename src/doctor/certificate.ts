import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'
import { ConfigError } from '../problems.ts'
import { fault, faultOf, good, warning, type Diagnosis, type Environment } from './diagnosis.ts'

const DAY_MILLISECONDS = 24 * 3600 * 1000

/** Certificates are usually renewed weeks before they expire: below this, renewal has probably failed. */
const RENEWAL_DAYS = 14

/** @throws {ConfigError} if a file can't be read, or key and certificate do not match. */
export async function readTls ({ tls }: Config): Promise<{ cert: Buffer, key: Buffer } | undefined> {
  if (tls === undefined) return undefined
  const read = async (name: string, file: string) => readFile(file).catch((cause: Error) => {
    const remedy = `set ${name} to a PEM file that the user of the server can read`
    throw new ConfigError(`${name}: ${cause.message}`, { remedy, cause })
  })
  const context = { cert: await read('TLS_CERT', tls.cert), key: await read('TLS_KEY', tls.key) }
  try {
    createSecureContext(context)
  } catch (cause) {
    throw new ConfigError(`TLS_CERT and TLS_KEY can't be used: ${(cause as Error).message}`, {
      remedy: 'set TLS_CERT and TLS_KEY to the PEM files of a certificate and of its own key', cause
    })
  }
  return context
}

/** Whether the certificate and its key can be used, and are valid now. */
export async function checkCertificate (environment: Environment): Promise<Diagnosis> {
  try {
    const tls = await readTls(environment)
    if (tls === undefined) return good('TLS_CERT is not set')
    return checkValidity(new X509Certificate(tls.cert), environment.now)
  } catch (error) {
    return faultOf(error)
  }
}

function checkValidity ({ validFrom, validTo }: X509Certificate, now: number): Diagnosis {
  const days = Math.floor((Date.parse(validTo) - now) / DAY_MILLISECONDS)
  const renewal = 'replace it and send the server SIGHUP'
  if (now < Date.parse(validFrom)) {
    return fault(`the certificate is not valid before ${validFrom}`, 'set the clock, or use another certificate')
  }
  if (days < 0) return fault(`the certificate expired on ${validTo}`, renewal)
  return days < RENEWAL_DAYS
    ? warning(`the certificate expires in ${days} days, on ${validTo}`, renewal)
    : good(`the certificate is valid until ${validTo}`)
}

export async function checkKeyFile ({ tls }: Config): Promise<Diagnosis> {
  if (tls === undefined) return good('TLS_KEY is not set')
  // `checkCertificate` reports a file that can't be read.
  const mode = await stat(tls.key).then(stats => stats.mode, () => 0)
  if ((mode & 0o077) === 0) return good(`only the owner of ${tls.key} has access to it`)
  return fault(`other users of this machine have access to ${tls.key}`, `chmod go= ${tls.key}`)
}
