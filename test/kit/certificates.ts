import { join } from 'node:path'
import { execute } from './programs.ts'

/** A self-signed certificate for this machine and a host name, as settings. */
export async function certify (folder: string, { name = 'localhost', days = 2 } = {}): Promise<{ TLS_CERT: string, TLS_KEY: string }> {
  const files = { TLS_CERT: join(folder, `${name}-${days}.crt`), TLS_KEY: join(folder, `${name}-${days}.key`) }
  await execute('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', String(days), '-subj', `/CN=${name}`,
    '-addext', `subjectAltName=DNS:localhost,DNS:${name},IP:127.0.0.1`, '-out', files.TLS_CERT, '-keyout', files.TLS_KEY])
  return files
}
