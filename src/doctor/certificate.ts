import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

const DAY_MILLISECONDS = 24 * 3600 * 1000

/** What renews certificates does so weeks ahead: one with so little left was forgotten. */
const RENEWAL_DAYS = 14

/** Whether the certificate and its key can be read, go together, and hold at `now`. */
export async function checkCertificate ({ tls }: Config, now: number): Promise<Diagnosis> {
  if (tls === undefined) return good('TLS_CERT is not set: there is none')
  try {
    const [cert, key] = await Promise.all([readFile(tls.cert), readFile(tls.key)])
    createSecureContext({ cert, key })
    return checkTime(new X509Certificate(cert), now)
  } catch (error) {
    return fault(`TLS_CERT and TLS_KEY can't be used: ${(error as Error).message}`, 'let them name the PEM files of a certificate and its own key, which the user of the server can read')
  }
}

function checkTime ({ validFrom, validTo }: X509Certificate, now: number): Diagnosis {
  const days = Math.floor((Date.parse(validTo) - now) / DAY_MILLISECONDS)
  const renewal = 'put a new one in its place and send the server SIGHUP'
  if (now < Date.parse(validFrom)) return fault(`the certificate holds from ${validFrom} only`, 'set the clock, or use another certificate')
  if (days < 0) return fault(`the certificate expired on ${validTo}`, renewal)
  return days < RENEWAL_DAYS ? warning(`the certificate expires in ${days} days, on ${validTo}`, renewal) : good(`the certificate holds until ${validTo}`)
}

export async function checkKeyFile ({ tls }: Config): Promise<Diagnosis> {
  if (tls === undefined) return good('TLS_KEY is not set: there is none')
  // One that can't be read is what `checkCertificate` tells of.
  const mode = await stat(tls.key).then(stats => stats.mode, () => 0)
  if ((mode & 0o077) === 0) return good(`${tls.key} is its owner's alone`)
  return fault(`other users of this machine may use ${tls.key}`, `chmod go= ${tls.key}`)
}
