import { access, constants, readdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dataFolderLayout, isOnTwoFileSystems, LOST_AND_FOUND, TWO_FILE_SYSTEMS, TWO_FILE_SYSTEMS_REMEDY } from '../blobs/disk/data-folder.ts'
import type { DatabaseTools } from './database.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'

/** Something in the data folder, or the folder itself, whose name is then empty. */
export interface Entry { readonly name: string, readonly mode: number, readonly userId: number, readonly changedAt: number }

/** The names that servers and commands use in the data folder beside the database, and what a disk of its own comes with. */
const ownNames: string[] = ['', ...Object.values(dataFolderLayout), `${dataFolderLayout.signingKeys}.new`, LOST_AND_FOUND]

/** When this version was made: no clock that goes right is before it. */
const RELEASED_AT = Date.UTC(2026, 0)

/** Clocks of file systems and machines differ by less. */
const DRIFT_MILLISECONDS = 60_000

/** File systems of other machines, by the number that Linux gives them: SQLite's log needs memory that all its users share. */
const NETWORK_FILE_SYSTEMS = new Map([[0x6969, 'NFS'], [0xff534d42, 'CIFS'], [0xfe534d42, 'SMB'], [0x517b, 'SMB']])
const FUSE = 0x65735546

/** Share of a disk that should be free. */
const SPARE = 0.05

/** The folder and what lies in it, not in its folders; empty where there is none yet, or none that may be read. */
export async function entriesOf (folder: string): Promise<Entry[]> {
  const names = await readdir(folder).catch(() => [])
  const looks = await Promise.allSettled(['', ...names].map(async name => {
    const { mode, uid, mtimeMs } = await stat(join(folder, name))
    return { name, mode, userId: uid, changedAt: mtimeMs }
  }))
  // A server may have removed it meanwhile.
  return looks.flatMap(look => look.status === 'fulfilled' ? [look.value] : [])
}

/** The folder, or what is there of the path to it. */
export async function nearest (folder: string): Promise<string> {
  return stat(folder).then(() => folder, () => nearest(dirname(folder)))
}

/** `there` is what is there of the path to `folder`. */
export async function checkFolder (folder: string, there: string): Promise<Diagnosis> {
  try {
    await access(join(there, '.'), constants.R_OK | constants.W_OK | constants.X_OK)
    return good(there === folder ? `${folder} can be read and written` : `${folder} is not there yet: the first start makes it`)
  } catch (error) {
    return fault(`${there} is no folder that this user can read and write: ${(error as Error).message}`, 'run as the user that owns DATA_DIR, or set DATA_DIR to a folder that this user can write')
  }
}

export function checkPermissions (folder: string, entries: Entry[]): Diagnosis {
  const open = entries.filter(({ name, mode }) => (mode & 0o077) !== 0 && name !== LOST_AND_FOUND).map(({ name }) => name)
  if (open.length === 0) return good('other users of this machine have none in DATA_DIR')
  const isSecret = open.some(name => name === dataFolderLayout.signingKeys || name.startsWith(dataFolderLayout.database))
  const message = `other users of this machine have permissions on ${open.map(name => join('DATA_DIR', name)).join(', ')}`
  return (isSecret ? fault : warning)(message, `chmod -R go= ${folder}`)
}

/** `userId` is whose files commands make. */
export function checkOwner (folder: string, entries: Entry[], userId: number): Diagnosis {
  const owner = entries.find(({ name }) => name === '')?.userId ?? userId
  const foreign = entries.filter(entry => entry.userId !== owner && entry.name !== LOST_AND_FOUND).map(({ name }) => name)
  if (foreign.length > 0) return fault(`DATA_DIR belongs to user ${owner}, and to others what is in it: ${foreign.join(', ')}`, `chown -R ${owner} ${folder}`)
  if (owner === userId) return good('everything belongs to this user')
  return warning(`DATA_DIR belongs to user ${owner} and not to this user, ${userId}: the server can't write what commands make`, `run commands as user ${owner}`)
}

export function checkNames (entries: Entry[], { isBesideDatabase }: DatabaseTools): Diagnosis {
  const foreign = entries.map(({ name }) => name).filter(name => !ownNames.includes(name) && !isBesideDatabase(name, dataFolderLayout.database))
  if (foreign.length === 0) return good('nothing foreign is in DATA_DIR')
  return warning(`DATA_DIR is no place for ${foreign.join(', ')}: no backup holds it`, 'move it elsewhere')
}

/** Tokens hold for as long as the clock says. */
export function checkClock (entries: Entry[], now: number): Diagnosis {
  const newest = Math.max(RELEASED_AT, ...entries.map(entry => entry.changedAt))
  const text = new Date(now).toISOString()
  if (newest <= now + DRIFT_MILLISECONDS) return good(`it is ${text}`)
  return fault(`it is ${text} by this machine, before ${new Date(newest).toISOString()}, when DATA_DIR or this version was made: tokens would not expire when they should`, 'set the clock, and keep it by NTP')
}

export async function checkFileSystem (folder: string): Promise<Diagnosis> {
  if (await isOnTwoFileSystems(folder)) return fault(TWO_FILE_SYSTEMS, TWO_FILE_SYSTEMS_REMEDY)
  const { type } = await statfs(folder)
  const name = NETWORK_FILE_SYSTEMS.get(type)
  if (name !== undefined) return fault(`DATA_DIR is on ${name}, a file system on which the database can lose what it acknowledged`, 'move DATA_DIR to a disk of this machine')
  if (type === FUSE) return warning('DATA_DIR is on FUSE: where that is another machine, the database can lose what it acknowledged', 'move DATA_DIR to a disk of this machine')
  return good('DATA_DIR is on a file system of this machine')
}

export async function checkSpace (folder: string, minFreeBytes: number): Promise<Diagnosis> {
  const { bavail, blocks, bsize } = await statfs(folder)
  return checkRoom({ what: 'bytes', free: bavail * bsize, total: blocks * bsize, kept: minFreeBytes, rule: `MIN_FREE_BYTES is ${minFreeBytes}` })
}

export async function checkInodes (folder: string): Promise<Diagnosis> {
  const { ffree, files } = await statfs(folder)
  // Of a file system that does not count them both numbers are 0.
  return checkRoom({ what: 'inodes', free: ffree, total: files, kept: Math.min(1, files), rule: 'each upload takes one' })
}

function checkRoom ({ what, free, total, kept, rule }: { what: string, free: number, total: number, kept: number, rule: string }): Diagnosis {
  const message = `${free} of ${total} ${what} are free on the disk of DATA_DIR, and ${rule}`
  if (free < kept) return fault(`${message}: uploads are refused with 507`, 'remove files from that disk, or use a larger one')
  if (free < Math.max(2 * kept, SPARE * total)) return warning(`${message}: soon uploads are refused`, 'remove files from that disk, or use a larger one')
  return good(message)
}
