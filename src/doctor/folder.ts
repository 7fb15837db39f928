import { access, constants, lstat, readdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dataFolderLayout, FOLDER_REMEDY, LOST_AND_FOUND, requireUsableFolder } from '../data-folder/data-folder.ts'
import { keyFiles } from '../data-folder/key-file.ts'
import { isBesideDatabase } from '../metadata/sqlite/database-file.ts'
import { fault, faultOf, good, warning, type Diagnosis, type Environment, type FolderEntry } from './diagnosis.ts'

/** What servers and commands create in the data folder beside the database, and what a new disk contains. */
const ownNames: string[] = [
  '', ...Object.values(dataFolderLayout), ...keyFiles.map(name => `${name}.new`), LOST_AND_FOUND
]

/** Before this version was made: a correct clock is later. */
const EARLIEST_TIME = Date.UTC(2026, 0)

/** The clocks of file systems and machines differ by less. */
const DRIFT_MILLISECONDS = 60_000

/** Network file systems by their Linux magic number: SQLite's log needs shared memory, which they do not have. */
const NETWORK_FILE_SYSTEMS = new Map([[0x6969, 'NFS'], [0xff534d42, 'CIFS'], [0xfe534d42, 'SMB'], [0x517b, 'SMB']])
const FUSE = 0x65735546

/** Share of a disk that should be free. */
const MIN_FREE_SHARE = 0.05

/** The folder and its direct entries; empty if it does not exist or can't be read. */
export async function entriesOf (folder: string): Promise<FolderEntry[]> {
  const names = await readdir(folder).catch(() => [])
  const results = await Promise.allSettled(['', ...names].map(async name =>
    Object.assign(await stat(join(folder, name)), { name })))
  // A server may have deleted some meanwhile.
  return results.flatMap(result => result.status === 'fulfilled' ? [result.value] : [])
}

/** The folder, or its nearest ancestor that exists. */
export async function existingPart (folder: string): Promise<string> {
  return stat(folder).then(() => folder, () => existingPart(dirname(folder)))
}

/**
 * The files and folders of MagicStore in the data folder that this user can't read and write. Not what is in the
 * folders: that can be a lot.
 */
export async function deniedEntries (folder: string, entries: FolderEntry[]): Promise<string[]> {
  const own = Object.values<string>(dataFolderLayout)
  const names = entries.map(({ name }) => name)
    .filter(name => own.includes(name) || isBesideDatabase(name, dataFolderLayout.database))
  const isDenied = await Promise.all(names.map(name =>
    access(join(folder, name), constants.R_OK | constants.W_OK).then(
      () => false,
      // A server may have deleted some meanwhile.
      (error: NodeJS.ErrnoException) => error.code !== 'ENOENT'
    )))
  return names.filter((_, index) => isDenied[index])
}

export async function checkFolder (environment: Environment): Promise<Diagnosis> {
  const { dataDir: folder, existing, denied } = environment
  const obstacle = await findObstacle(folder, existing)
  if (obstacle !== undefined) return fault(`${folder} can't be created: ${obstacle}`, FOLDER_REMEDY)
  try {
    await access(`${existing}/.`, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const { message } = error as Error
    return fault(`this user can't read and write the folder ${existing}: ${message}`, FOLDER_REMEDY)
  }
  try {
    await requireUsableFolder(environment)
  } catch (error) {
    return faultOf(error)
  }
  if (denied.length > 0) {
    return fault(
      `this user can't read and write ${denied.map(name => join('DATA_DIR', name)).join(', ')}`,
      `run as the user that owns DATA_DIR, or as that user: chmod -R u=rwX ${folder}`
    )
  }
  return good(existing === folder
    ? `${folder} can be read and written`
    : `${folder} does not exist yet; the first start creates it`)
}

/**
 * Why the folder can't be created below `existing`, in words: something other than a folder is in its place, or its
 * name is not possible.
 */
async function findObstacle (folder: string, existing: string): Promise<string | undefined> {
  if (folder === existing) return undefined
  try {
    await lstat(folder)
    return `${folder} is a link that leads nowhere`
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? findObstacle(dirname(folder), existing) : message
  }
}

export function checkPermissions ({ dataDir, entries }: Environment): Diagnosis {
  const open = entries.filter(({ name, mode }) => (mode & 0o077) !== 0 && name !== LOST_AND_FOUND)
    .map(({ name }) => name)
  if (open.length === 0) return good('other users of this machine have no access to DATA_DIR')
  const isSecret = open.some(name =>
    keyFiles.some(file => file === name) || name.startsWith(dataFolderLayout.database))
  const message = `other users of this machine have access to ${open.map(name => join('DATA_DIR', name)).join(', ')}`
  return (isSecret ? fault : warning)(message, `chmod -R go= ${dataDir}`)
}

export function checkOwner ({ dataDir, entries, userId }: Environment): Diagnosis {
  const owner = entries.find(({ name }) => name === '')?.uid ?? userId
  const foreign = entries.filter(entry => entry.uid !== owner && entry.name !== LOST_AND_FOUND)
    .map(({ name }) => name)
  if (foreign.length > 0) {
    return fault(
      `DATA_DIR belongs to user ${owner}, but these entries belong to other users: ${foreign.join(', ')}`,
      `chown -R ${owner} ${foreign.map(name => join(dataDir, name)).join(' ')}`
    )
  }
  if (owner === userId) return good('everything in DATA_DIR belongs to this user')
  // Root can do what the owner can, but the server can't write the files that root's commands create.
  return (userId === 0 ? warning : fault)(
    `DATA_DIR belongs to user ${owner}, but this is user ${userId}`, `run the server and all commands as user ${owner}`
  )
}

export function checkEntries ({ entries }: Environment): Diagnosis {
  const foreign = entries.map(({ name }) => name)
    .filter(name => !ownNames.includes(name) && !isBesideDatabase(name, dataFolderLayout.database))
  if (foreign.length === 0) return good('DATA_DIR contains only files of MagicStore')
  return warning(
    `DATA_DIR contains other files, which backups do not include: ${foreign.join(', ')}`, 'move them elsewhere'
  )
}

/** Tokens expire by the clock. */
export function checkClock ({ entries, now }: Environment): Diagnosis {
  const newest = Math.max(EARLIEST_TIME, ...entries.map(entry => entry.mtimeMs))
  const [isNow, isNewest] = [now, newest].map(time => new Date(time).toISOString())
  if (newest <= now + DRIFT_MILLISECONDS) return good(`it is ${isNow}`)
  const contradiction = `it is ${isNow} by the clock, but DATA_DIR or this version is from ${isNewest}`
  return fault(`${contradiction}: tokens expire at the wrong time`, 'set the clock, and use NTP')
}

export async function checkFileSystem ({ existing }: Environment): Promise<Diagnosis> {
  const { type } = await statfs(existing)
  const name = NETWORK_FILE_SYSTEMS.get(type)
  if (name !== undefined) {
    return fault(
      `DATA_DIR is on ${name}, a network file system, where the database can lose acknowledged data`,
      'move DATA_DIR to a local disk'
    )
  }
  if (type === FUSE) {
    return warning(
      'DATA_DIR is on FUSE: if that is a network file system, the database can lose acknowledged data',
      'move DATA_DIR to a local disk'
    )
  }
  return good('DATA_DIR is on a local file system')
}

export async function checkSpace ({ existing, minFreeBytes }: Environment): Promise<Diagnosis> {
  const { bavail, blocks, bsize } = await statfs(existing)
  return checkAmount({
    what: 'bytes',
    free: bavail * bsize,
    total: blocks * bsize,
    required: minFreeBytes,
    rule: `MIN_FREE_BYTES is ${minFreeBytes}`
  })
}

export async function checkInodes ({ existing }: Environment): Promise<Diagnosis> {
  const { ffree, files } = await statfs(existing)
  // Both numbers are 0 if the file system does not count inodes.
  const required = Math.min(1, files)
  return checkAmount({ what: 'inodes', free: ffree, total: files, required, rule: 'each upload needs one' })
}

const SPACE_REMEDY = 'delete files from that disk, or trash with magicstore trash empty, or use a larger disk'

function checkAmount ({ what, free, total, required, rule }: {
  what: string
  free: number
  total: number
  required: number
  rule: string
}): Diagnosis {
  const message = `${free} of ${total} ${what} are free on the disk of DATA_DIR, and ${rule}`
  if (free < required) return fault(`${message}: uploads are refused with 507`, SPACE_REMEDY)
  if (free < Math.max(2 * required, MIN_FREE_SHARE * total)) {
    return warning(`${message}: uploads will soon be refused`, SPACE_REMEDY)
  }
  return good(message)
}
