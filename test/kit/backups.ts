import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { manifestText, type BackupSummary } from '#src/backup/manifest.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { commandOf } from './bin.ts'
import { runCommand } from './commands.ts'
import { sha256Of } from './digests.ts'
import { newFolder } from './folders.ts'
import { issueToken, signUp, startServer, type Client, type Settings } from './server.ts'

export const hasStrace = existsSync('/usr/bin/strace')

export type User = [string, string]

/** Runs a command that must succeed, and returns its JSON output. */
export async function report (args: string[], settings: Settings): Promise<any> {
  const { code, stdout, stderr } = await runCommand([...args, '--json'], settings)
  if (code !== 0 || stderr !== '') throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Runs a command that must fail with one line. */
export async function expectRefusal (t: Test, args: string[], settings: Settings, { expected = 1, why = args.join(' '), says = /[^\n]+/ } = {}): Promise<void> {
  const { code, stdout, stderr } = await runCommand(args, settings)
  t.strictSame([code, stdout], [expected, ''], `${why}: ${stderr}`)
  t.match(stderr, new RegExp(`^magicstore: ${says.source}\n$`), why)
}

/** Runs the bin under strace, which kills it when it enters a system call for the nth time. */
export async function killedAt (
  { call = 'rename', when }: { call?: string, when: number }, args: string[], settings: Settings
): Promise<void> {
  const under = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${when}`]
  // strace counts calls per thread; with one thread for file access, their order is always the same.
  const child = spawn(...commandOf(args, { ...settings, UV_THREADPOOL_SIZE: '1' }, { under, isCounted: false }), { stdio: 'ignore' })
  await once(child, 'exit')
}

/** Every file below a folder, by path. */
export async function filesIn (
  folder: string
): Promise<Record<string, { ino: number, mtimeMs: number, nlink: number, sha256: string }>> {
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  return Object.fromEntries(await Promise.all(entries.map(async entry => {
    const path = join(entry.parentPath, entry.name)
    const { ino, mtimeMs, nlink } = await stat(path)
    return [path.slice(folder.length + 1), { ino, mtimeMs, nlink, sha256: sha256Of(await readFile(path)) }]
  })))
}

export const contentsOf = async (folder: string) =>
  Object.fromEntries(Object.entries(await filesIn(folder)).map(([path, { sha256 }]) => [path, sha256]))
export const blobsIn = async (folder: string) => (await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile()).map(entry => entry.name).sort()

/** The files of a user, by name, after checking that their bytes match their digests. */
export async function filesOfUser (t: Test, client: Client, user: User): Promise<Record<string, string>> {
  const token = await issueToken(client, { user })
  const { json: { files } } = await client.send('GET', '/api/files?limit=1000', { token })
  for (const { name, sha256 } of files) {
    const { status, bytes } = await client.send('GET', `/uploads/${encodeURIComponent(name)}`, { token })
    if (status !== 200 || sha256Of(bytes) !== sha256) t.fail(`${name} is ${status} or has other bytes`)
  }
  return Object.fromEntries(files.map(({ name, sha256, type, createdAt }: Record<string, string>) => [name, `${sha256} ${type} ${createdAt}`]))
}

/** A data folder with the files of one user; its server is closed. */
export async function createStore (
  t: Test, contents: Record<string, string | Uint8Array>, settings: Settings = {}
): Promise<{ folder: string, dataDir: string, user: User, token: string }> {
  const folder = newFolder(t)
  const dataDir = join(folder, 'data')
  const server = await startServer(t, { DATA_DIR: dataDir, ...settings })
  const { user, token } = await signUp(server, 'ada')
  for (const [name, body] of Object.entries(contents)) await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token, body })
  await server.close()
  return { folder, dataDir, user, token }
}

/** A backup of two files, in a store that has changed since: one file added, one deleted. */
export async function createBackup (t: Test): Promise<{ root: string, dataDir: string, folder: string, user: User }> {
  const { folder: root, dataDir, user } = await createStore(t, { one: 'the first', two: 'the second' })
  const folder = join(root, 'backup')
  await report(['backup', folder], { DATA_DIR: dataDir })
  const server = await startServer(t, { DATA_DIR: dataDir })
  await server.send('PUT', '/uploads/three', { user, body: 'the third' })
  await server.send('DELETE', '/uploads/one', { user })
  await server.close()
  return { root, dataDir, folder, user }
}

/** The names of the files restored from a backup. */
export async function namesIn (t: Test, folder: string, user: User): Promise<string[]> {
  const target = join(newFolder(t), 'data')
  await report(['restore', folder], { DATA_DIR: target })
  t.match(await runCommand(['fsck', '--deep'], { DATA_DIR: target }), { code: 0 })
  const server = await startServer(t, { DATA_DIR: target })
  const names = Object.keys(await filesOfUser(t, server, user))
  await server.close()
  return names
}

/** Changes the digests of a snapshot, and the manifest with them, as a forger would. */
export async function reseal (folder: string, snapshot: string, change: (lines: string[]) => string[]): Promise<void> {
  const path = join(folder, snapshot, 'SHA256SUMS')
  const text = change((await readFile(path, 'utf8')).split('\n')).join('\n')
  await writeFile(path, text)
  const { sha256, ...summary } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
  await writeFile(join(folder, 'manifest.json'), manifestText({ ...summary, sums: sha256Of(Buffer.from(text)) } as BackupSummary))
}

/** Changes the database of a snapshot, as a forger would who knows the digests. */
export async function forge (folder: string, snapshot: string, change: (database: Database) => void): Promise<void> {
  const path = join(folder, snapshot, 'magicstore.db')
  const database = new Database(path)
  change(database)
  database.close()
  const sha256 = sha256Of(await readFile(path))
  await reseal(folder, snapshot, ([first = '', ...rest]) => [first.replace(/^[0-9a-f]+/, sha256), ...rest])
}
