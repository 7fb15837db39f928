import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statfsSync, writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import ignore from 'ignore'
import { KEPT, MARK } from './disk-acts.ts'
import { openFolderDisk } from './folder-disk.ts'
import { isAlwaysIgnored } from './names.ts'
import { createHttpRemote, NotMagicStore, type HttpRemote } from './remote.ts'
import { RemoteError, type Disk } from './ports.ts'
import { openState, type OpenState, type FolderSettings } from './state.ts'
import { findToken } from './tokens.ts'
import { OWN_FOLDER } from './trees.ts'

/** A question that a person must answer before anything is done: the folder or the store may be another one. */
export class Stopped extends Error {}

/** The credential is missing, wrong, or lacks a scope. */
export class CredentialRefused extends Error {}

/** The address is needed, or there is no server. */
export class AddressWrong extends Error {}

/** How long what was replaced or deleted is kept here, unless the disk is nearly full. */
const KEPT_DAYS = 30
const FREE_SHARE = 0.05

const ASCII = /^[ -~]*$/

const NEEDED = 'the folder is new: add the address of the server'
const MAKES_IT = 'a run without --dry-run makes it'

export interface FolderOptions {
  /** An absolute path. */
  readonly folder: string
  /** The address of the server, and of a folder there; undefined if the folder is known. */
  readonly address: string | undefined
  /** Where states are. */
  readonly stateFolder: string
  /** Where `magicstore connect` puts tokens. */
  readonly tokenFolder: string
  /** A token that is set for this run. */
  readonly token: string | undefined
  readonly askToken: () => Promise<string>
  /** Called with the number of bytes of files that were sent or received. */
  readonly onBytes: (count: number) => void
  /** Called with the number of bytes that were read to know what files are. */
  readonly onRead: (count: number) => void
  /** Whether neither folder is made. */
  readonly isDryRun: boolean
}

export interface SyncFolder {
  readonly disk: Disk
  readonly remote: HttpRemote
  readonly state: OpenState
  readonly settings: () => FolderSettings
  /** Names are compared by it. */
  readonly keyOf: (path: string) => string
  /** Finds the folder of the server by its path: a restored store has new ids. */
  readonly findRoot: () => Promise<boolean>
  readonly close: () => void
}

/**
 * Opens a folder with its state and its server. A folder that is not there, or not the one that is known, is never
 * taken for one in which all was deleted. @throws {Stopped}, {CredentialRefused}, {AddressWrong}, {RemoteError}.
 */
export async function openFolder (options: FolderOptions): Promise<SyncFolder> {
  const { stateFolder } = options
  const folder = existsSync(options.folder) ? realpathSync(options.folder) : options.folder
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 })
  const known = join(stateFolder, `${createHash('sha256').update(folder).digest('hex')}.path`)
  const mark = join(folder, MARK)
  if (existsSync(known) && !existsSync(mark)) {
    const lost = `${folder} was synchronized before, and has no ${MARK} now`
    throw new Stopped(`${lost}: mount its disk, or delete ${known} to begin anew`)
  }
  if (!existsSync(known) && !existsSync(mark) && options.address === undefined) {
    throw new AddressWrong(NEEDED)
  }
  if (options.isDryRun && !existsSync(folder)) throw new Stopped(`there is no folder ${folder}: ${MAKES_IT}`)
  mkdirSync(folder, { recursive: true })
  const disk = openFolderDisk(folder, options.onRead)
  removeOldest(join(folder, KEPT))
  const inode = String(disk.stat('')?.inode)
  let state = openState(stateFileOf(readMark()))
  const { settings } = state
  if (settings !== undefined && settings.folder !== folder && settings.inode !== inode) {
    // A copy of the folder: the other one goes on with the state.
    state.close()
    rmSync(mark)
    state = openState(stateFileOf(readMark()))
  }
  try {
    return await connect(state)
  } catch (error) {
    state.close()
    throw error
  }

  function stateFileOf (id: string): string {
    return join(stateFolder, `${id}.db`)
  }

  function readMark (): string {
    if (!existsSync(mark)) writeFileSync(mark, randomBytes(16).toString('hex'), { mode: 0o600, flag: 'wx' })
    const id = readFileSync(mark, 'utf8')
    if (!/^[0-9a-f]{32}$/.test(id)) throw new Stopped(`${mark} is damaged: delete it to begin anew`)
    return id
  }

  async function connect (state: OpenState): Promise<SyncFolder> {
    const before = state.settings
    const address = options.address?.replace(/\/+$/, '')
    if (before === undefined && address === undefined) throw new AddressWrong(NEEDED)
    const isNew = before === undefined || (address !== undefined && address !== addressOf(before.url, before.rootPath))
    const ask = (token: string) => isNew
      ? findServer(String(address), token)
      : askServer(before.url, before.rootPath, token)
    const connected = connectedToken(isNew ? String(address) : before.url)
    const token = options.token ?? before?.token ?? connected ?? await options.askToken()
    const { remote, url, path, account, token: accepted } = await ask(token).catch((error: unknown) => {
      // The one that is kept with the state has ended, and the user has connected this computer again.
      const isOther = options.token === undefined && connected !== undefined && connected !== token
      if (!(error instanceof CredentialRefused) || !isOther) throw error
      return ask(connected)
    })
    if (before !== undefined && before.account !== account.id) {
      const other = `the token is of another account (${account.username}) than that of ${folder}`
      throw new Stopped(`${other}: use a token of that account, or delete ${known} and ${mark} to begin anew`)
    }
    const rootId = isNew ? await rootOf(remote, path, options) : before.rootId
    // Nothing is agreed with another folder, nor with another server, which has other ids.
    if (before !== undefined && rootId !== before.rootId) state.commit({ clear: ['base', 'doing'] })
    state.configure({ url, account: account.id, rootId, rootPath: path, folder, inode, token: accepted })
    writeFileSync(known, readMark(), { mode: 0o600 })
    const folds = existsSync(join(folder, OWN_FOLDER, 'ID'))
    return {
      disk,
      remote,
      state,
      settings: () => state.settings as FolderSettings,
      keyOf: folds ? path => composed(path).toLowerCase() : composed,
      async findRoot () {
        const found = await remote.findFolder(path)
        if (found !== undefined) state.configure({ ...state.settings as FolderSettings, rootId: found.id })
        return found !== undefined
      },
      close () {
        remote.close()
        state.close()
      }
    }
  }

  /** The token that `connect` has got from the server at the beginning of an address. */
  function connectedToken (address: string): string | undefined {
    const parts = address.split('/')
    // The first three are the scheme, nothing and the host.
    return parts.map((_, index) => parts.slice(0, index + 1).join('/')).slice(2)
      .map(url => findToken(options.tokenFolder, url)).find(token => token !== undefined)
  }

  /** The server at the beginning of an address; the rest is a folder. */
  async function findServer (address: string, token: string) {
    if (!/^https?:\/\//.test(address) || !URL.canParse(address)) throw new AddressWrong(`${address} is no address`)
    const { origin, pathname } = new URL(address)
    const segments = pathname.split('/').filter(segment => segment !== '').map(decodeURIComponent)
    for (let count = 0; count <= segments.length; count++) {
      const url = [origin, ...segments.slice(0, count).map(encodeURIComponent)].join('/')
      try {
        return await askServer(url, segments.slice(count).join('/'), token)
      } catch (error) {
        const isElsewhere = error instanceof NotMagicStore || (error instanceof RemoteError && error.status === 404)
        if (!isElsewhere) throw error
      }
    }
    throw new AddressWrong(`there is no MagicStore at ${address}`)
  }

  async function askServer (url: string, path: string, token: string) {
    const remote = createHttpRemote({ url, token, folder, onBytes: options.onBytes })
    try {
      return { remote, url, path, token, account: await remote.account() }
    } catch (error) {
      remote.close()
      const { status } = error as RemoteError
      throw status === 401 || status === 403 ? new CredentialRefused((error as Error).message) : error
    }
  }
}

/** In NFC. Most paths are the same string then, which takes no memory twice. */
function composed (path: string): string {
  return ASCII.test(path) ? path : path.normalize('NFC')
}

/** What is in no tree: by the names that are always ignored, and by `.magicstoreignore`, which is as `.gitignore`. */
export function readIgnored (folder: string): (path: string, isFolder: boolean) => boolean {
  const file = join(folder, '.magicstoreignore')
  // Without patterns it would still remember all paths.
  if (!existsSync(file)) return isAlwaysIgnored
  const patterns = ignore().add(readFileSync(file, 'utf8'))
  return (path, isFolder) => isAlwaysIgnored(path) || patterns.ignores(isFolder ? `${path}/` : path)
}

/** Removes what has been in `kept` for long, and the oldest while there is little space. */
function removeOldest (kept: string): void {
  const limit = new Date(Date.now() - KEPT_DAYS * 24 * 3600_000).toISOString().slice(0, 10)
  for (const day of readdirSync(kept).sort()) {
    const { bavail, blocks } = statfsSync(kept)
    if (day >= limit && bavail >= blocks * FREE_SHARE) return
    rmSync(join(kept, day), { recursive: true })
  }
}

/** The id of the folder at this path, which is made if it is not there. */
async function rootOf (
  remote: HttpRemote, path: string, { isDryRun }: Pick<FolderOptions, 'isDryRun'>
): Promise<string | null> {
  if (path === '') return null
  const found = await remote.findFolder(path)
  if (found === undefined && isDryRun) throw new Stopped(`the server has no folder ${path}: ${MAKES_IT}`)
  return (found ?? await remote.makeFolder(path, undefined)).id
}

function addressOf (url: string, path: string): string {
  return path === '' ? url : `${url}/${path}`
}
