import { closeSync, openSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { lockInfo, personalToken } from '../kit/drive.ts'
import { startPostgres } from '../kit/postgres.ts'
import { run, type Ended } from '../kit/programs.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { isProof } from '../kit/sizes.ts'
import { signUp, type Answer, type Client, type SendOptions, type Settings } from '../kit/server.ts'
import { skipWithout } from './fronts.ts'

// What the proofs of WebDAV share: an account of a WebDAV client, and the clients.

/** The `skip` option of a test that needs programs, which are all there where REQUIRE_SERVICES is set. */
export const skipUnless = (...programs: string[]): string | false =>
  process.env.REQUIRE_SERVICES !== '1' && skipWithout(...programs)

/** CAP_SYS_ADMIN, without which nothing can be mounted. */
const MAY_MOUNT = 1n << 21n

/** The `skip` option of a test that mounts a drive. */
export function skipWithoutFuse (): string | false {
  try {
    closeSync(openSync('/dev/fuse', 'r+'))
  } catch {
    return 'there is no FUSE'
  }
  const [, capabilities = ''] = /^CapEff:\s+([\da-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return (BigInt(`0x${capabilities}`) & MAY_MOUNT) === 0n && 'this user may not mount'
}

type StoreName = 'SQLite and a folder' | 'PostgreSQL and a folder' | 'PostgreSQL and S3'

/** The combinations of database and bytes that are tried: all of them only by the proofs. */
export const storesOf = (...inChecks: StoreName[]): StoreName[] =>
  isProof ? ['SQLite and a folder', 'PostgreSQL and a folder', 'PostgreSQL and S3'] : inChecks

/** The settings of a new store in a folder. */
export async function openStore (t: Test, name: StoreName, DATA_DIR: string): Promise<Settings> {
  if (name === 'SQLite and a folder') return { DATA_DIR }
  const postgres = await startPostgres(t)
  const settings = { DATA_DIR, DATABASE_URL: await postgres.newDatabase() }
  if (name === 'PostgreSQL and a folder') return settings
  return { ...settings, STORAGE_URL: (await openS3(t)).url(), BLOB_GRACE_SECONDS: '0', ...credentials }
}

/** An account with a personal token, which WebDAV clients use as the password. */
export interface Drive {
  readonly username: string
  readonly token: string
  /** Sends a request for a path below `/dav/`; at another server of the same store, if one is given. */
  send (method: string, path: string, options?: SendOptions, at?: Client): Promise<Answer>
}

/** Registers an account and makes its personal token. */
export async function openDrive (client: Client, username = 'ann'): Promise<Drive> {
  const { user } = await signUp(client, username)
  const token = await personalToken(client, user, ['files:read', 'files:write'])
  return {
    username,
    token,
    send: (method, path, options, at = client) => at.send(method, `/dav/${path}`, { user: [username, token], ...options })
  }
}

export interface Wanted { readonly seconds?: number, readonly isDeep?: boolean, readonly isShared?: boolean }

/** Asks for a lock. `token` is empty if it is refused. */
export async function lock (
  drive: Drive, path: string, { seconds = 600, isDeep = false, isShared = false }: Wanted = {}, at?: Client
): Promise<{ status: number, token: string, text: string }> {
  const headers = { 'content-type': 'application/xml', timeout: `Second-${seconds}`, depth: isDeep ? 'infinity' : '0' }
  const { status, headers: { 'lock-token': token = '' }, text } = await drive.send('LOCK', path, { headers, body: lockInfo(isShared ? 'shared' : 'exclusive') }, at)
  return { status, token: String(token).slice(1, -1), text }
}

/** `If` with one lock token. */
export const holding = (token: string): Record<string, string> => ({ if: `(<${token}>)` })

/** Runs rclone with a configuration in a folder, which has the drive as `drive:`. */
export async function openRclone (
  { url }: Client, { username, token }: Drive, folder: string
): Promise<(...args: string[]) => Promise<Ended>> {
  const env = rcloneEnvironment(folder)
  await writeFile(env.RCLONE_CONFIG, '')
  const rclone = (...args: string[]) => run('rclone', args, { cwd: folder, env })
  await rclone('config', 'create', 'drive', 'webdav', `url=${url}/dav/`, 'vendor=owncloud', `user=${username}`, `pass=${token}`, '--obscure')
  return rclone
}

/** With few retries, so that a failure shows at once. */
export const rcloneEnvironment = (folder: string) => ({
  RCLONE_CONFIG: join(folder, 'rclone.conf'), RCLONE_RETRIES: '1', RCLONE_LOW_LEVEL_RETRIES: '1'
})
