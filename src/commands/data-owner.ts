import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { existingPart } from '../doctor/folder.ts'

/** The user and the group of the data. */
export interface DataOwner { readonly uid: number, readonly gid: number }

/** Whom the data belongs to, or will; undefined if that is root, or if this process is not root. */
export async function ownerOf (dataDir: string): Promise<DataOwner | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const { uid, gid } = await stat(await existingPart(dataDir))
  if (uid !== 0) return { uid, gid }
  console.error(`magicstore: ${dataDir} belongs to root, so the server will run as root; better give it a user first`)
}

export interface UserNames { readonly user: string, readonly group: string }

/** The names of a user and of its group. Node.js tells those of its own process alone. */
export async function namesOf (userId: number): Promise<UserNames> {
  const [user, group] = await Promise.all(['-un', '-gn'].map(async option =>
    (await promisify(execFile)('id', [option, String(userId)])).stdout.trim()))
  return { user: String(user), group: String(group) }
}

/**
 * Runs a module of JavaScript in a process of the owner. Returns 0 if that succeeds, else 1. This process can't become
 * another user: Debian's Node.js 20 refuses `process.setuid`, because of CVE-2024-22017.
 */
export async function runAs ({ uid, gid }: DataOwner, script: string): Promise<number> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    uid, gid, stdio: ['ignore', 'inherit', 'inherit']
  })
  const [code] = await once(child, 'exit')
  return Number(code !== 0)
}
