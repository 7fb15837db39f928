import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres, type PostgresServer } from '../../kit/postgres.ts'
import { credentials } from '../../kit/s3.ts'
import { startMagicStore, startScript, type Running } from '../servers.ts'

const password = 'correct horse battery'

/** PostgreSQL and an S3 server, each in processes of its own, and servers on them. */
export interface AppServices {
  readonly folder: string
  readonly postgres: PostgresServer
  /** The process of the S3 server. */
  readonly s3: Running
  /** Settings of a server on a database, with its bytes in the bucket under a prefix. */
  onBucket (database: string, prefix: string): Record<string, string>
  close (): Promise<void>
}

export async function openServices (folder: string): Promise<AppServices> {
  const closing: (() => unknown)[] = []
  const postgres = await startPostgres({ teardown: close => { closing.push(close) } }, { isDurable: true })
  const s3 = await startScript(fileURLToPath(new URL('s3-server.ts', import.meta.url)), [join(folder, 's3')], join(folder, 's3.log'))
  closing.push(s3.stop)
  return {
    folder,
    postgres,
    s3,
    onBucket: (database, prefix) => ({ DATABASE_URL: database, STORAGE_URL: urlOf(s3.port, prefix), BLOB_GRACE_SECONDS: '0', ...credentials }),
    async close () { for (const close of closing) await close() }
  }
}

/** For STORAGE_URL. */
export function urlOf (port: number, prefix: string): string {
  return `s3://files/${prefix}?endpoint=${encodeURIComponent(`http://127.0.0.1:${port}`)}&region=eu-central-1`
}

let names = 0

/** A server with a data folder of its own, if it needs one. */
export function startServer ({ folder }: AppServices, settings: Record<string, string>): Promise<Running> {
  return startMagicStore(join(folder, `server-${++names}`), { REGISTRATIONS_PER_HOUR: '0', ...settings })
}

/** Registers accounts and signs in: the headers of each. Tokens last ten minutes. */
export async function signUp ({ port }: Running, count: number): Promise<Record<string, string>[]> {
  const origin = `http://127.0.0.1:${port}`
  return Promise.all(Array.from({ length: count }, async () => {
    const username = `account-${++names}`
    const registered = await fetch(`${origin}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) })
    if (registered.status !== 201) throw new Error(`registration answers ${await registered.text()}`)
    const answer = await fetch(`${origin}/api/token`, { headers: { authorization: `Basic ${btoa(`${username}:${password}`)}` } })
    return { Authorization: `Bearer ${(await answer.json()).token}` }
  }))
}
