import { conflictName, lastOf, parentOf } from './names.ts'
import { joined, type LocalEntry } from './plan.ts'
import type { Disk, State } from './ports.ts'
import { contentStamp, OWN_FOLDER } from './trees.ts'

/** What was planned no longer holds: it is planned again. */
export class Outdated extends Error {}

export const TMP = `${OWN_FOLDER}/tmp`
export const ASIDE = `${OWN_FOLDER}/aside`
export const KEPT = `${OWN_FOLDER}/kept`
export const MARK = `${OWN_FOLDER}/id`

/**
 * What an interrupted act leaves in `aside`: a file to delete or replace, or one on its way to another path. Then the
 * name of its folder has the stamp of the content for which the act was planned.
 */
const REPLACED = 'replaced-'
const MOVED = 'moved-'

export type DiskActs = ReturnType<typeof createDiskActs>

/**
 * Changes of the folder that lose nothing. What is replaced or deleted is renamed into `aside` first and looked at
 * there: another program may write at any moment, and no system call renames only what has not changed.
 */
export function createDiskActs (disk: Disk, { newName, today }: { newName: () => string, today: () => string }) {
  /** @throws {Outdated} unless the entry is as it was read. */
  function requireSame ({ path, stamp }: LocalEntry): void {
    if (disk.stat(path)?.stamp !== stamp) throw new Outdated(path)
  }

  /**
   * Renames a file to `aside`, below a folder that says what an interrupted act leaves to do, and as the path `to` at
   * which it belongs then. @throws {Outdated} if it changed. Then it is where it was, or beside that.
   */
  async function setAside (
    entry: LocalEntry, purpose: typeof REPLACED | typeof MOVED, to = entry.path
  ): Promise<string> {
    requireFolders(entry.path)
    requireSame(entry)
    const place = `${ASIDE}/${purpose}${newName()} ${plannedAs(entry)}/${to}`
    makeFolders(parentOf(place))
    disk.rename(entry.path, place)
    const stamp = disk.stat(place)?.stamp
    if (stamp !== undefined && contentStamp(stamp) === contentStamp(entry.stamp)) return place
    await bringBack(place, entry.path)
    throw new Outdated(entry.path)
  }

  /** Brings a file in `aside` back to its path, or if something is there, beside it by its conflict name. */
  async function bringBack (place: string, path: string): Promise<void> {
    if (putBack(place, path)) return
    const hashed = await disk.hash(place)
    // If it changes just now, it stays until the next pass.
    if (hashed === undefined) return
    // Its folder may be gone, too.
    for (const folder of [parentOf(path), '']) {
      for (let copy = 1, to = ''; copy === 1 || disk.stat(to) !== undefined; copy++) {
        to = joined(folder, conflictName(lastOf(path), hashed.sha256, copy))
        if (putBack(place, to)) return
      }
    }
  }

  /** @returns whether the path was free. */
  function putBack (place: string, path: string): boolean {
    try {
      requireFolders(path)
      disk.move(place, path)
    } catch {
      return false
    }
    removeFolders(parentOf(place))
    return true
  }

  /** Removes the folders of a place in `aside`. */
  function removeFolders (path: string): void {
    if (path === ASIDE) return
    disk.removeFolder(path)
    removeFolders(parentOf(path))
  }

  /** Moves a file from `aside` to `kept`. */
  function keep (place: string, path: string): void {
    const keptAs = (copy: number) => joined(`${KEPT}/${today()}${copy === 1 ? '' : ` ${copy}`}`, path)
    const isFree = (kept: string) => makeFolders(parentOf(kept)) && disk.stat(kept) === undefined
    let copy = 1
    while (!isFree(keptAs(copy))) copy++
    disk.move(place, keptAs(copy))
    removeFolders(parentOf(place))
  }

  /** @returns whether there are folders now. */
  function makeFolders (path: string): boolean {
    if (path === OWN_FOLDER) return true
    if (!makeFolders(parentOf(path))) return false
    if (disk.stat(path) === undefined) disk.makeFolder(path)
    return disk.stat(path)?.kind === 'folder'
  }

  /** A link on the way would lead elsewhere. @throws {Outdated} unless all above the path are folders. */
  function requireFolders (path: string): void {
    if (path === '') return
    requireFolders(parentOf(path))
    if (disk.stat(parentOf(path))?.kind !== 'folder') throw new Outdated(path)
  }

  return {
    requireSame,
    requireFolders,
    setAside: async (entry: LocalEntry) => setAside(entry, REPLACED),
    keep,

    /**
     * Gives what is at `from` another path, which nothing may have. Returns its stamp; '' if it changed meanwhile, so
     * that it is read again.
     */
    async move (from: LocalEntry, to: string): Promise<string> {
      requireFolders(from.path)
      requireFolders(to)
      requireSame(from)
      if (disk.stat(to) !== undefined) throw new Outdated(to)
      if (from.kind === 'folder') disk.rename(from.path, to)
      else await moveFile(from, to)
      return stampOf(to, from.stamp)
    },

    stampOf,

    makeFolder (path: string): string {
      requireFolders(path)
      disk.makeFolder(path)
      return String(disk.stat(path)?.inode)
    },

    removeFolder (entry: LocalEntry): void {
      requireFolders(entry.path)
      if (disk.stat(entry.path)?.inode !== entry.inode) throw new Outdated(entry.path)
      disk.removeFolder(entry.path)
    },

    /**
     * What an interrupted run left. A file that was moved goes to its new path. One that was replaced or deleted goes
     * back if a person changed it just before, or if the base still has it and nothing is at its path; else it is kept.
     * One that is at its path already, by a second link, only leaves `aside`.
     */
    async tidy ({ base }: Pick<State, 'base'>, drop: (key: string) => void): Promise<void> {
      for (const name of disk.list(TMP) ?? []) disk.unlink(joined(TMP, name))
      const folders = disk.list(ASIDE) ?? []
      if (folders.length === 0) return
      const keys = new Map(Array.from(base, ([key, { inode }]) => [inode, key]))
      for (const folder of folders.map(name => joined(ASIDE, name))) {
        const place = lowest(folder)
        const entry = disk.stat(place)
        if (entry?.kind === 'folder') {
          removeFolders(place)
          continue
        }
        const path = place.slice(folder.length + 1)
        if (disk.stat(path)?.inode === entry?.inode) {
          const tmp = `${TMP}/${newName()}`
          disk.move(place, tmp)
          disk.unlink(tmp)
          removeFolders(parentOf(place))
          continue
        }
        const key = keys.get(String(entry?.inode))
        const isPlanned = entry !== undefined && folder.endsWith(` ${plannedAs(entry)}`)
        const isWanted = folder.startsWith(`${ASIDE}/${MOVED}`) || !isPlanned
        if (isWanted) await bringBack(place, path)
        if (isWanted || (base.get(String(key))?.path === path && putBack(place, path))) continue
        if (key !== undefined) drop(key)
        keep(place, path)
      }
    }
  }

  /** As a part of a name, in which Windows allows no colon. */
  function plannedAs ({ stamp }: { stamp: string }): string {
    return contentStamp(stamp).replaceAll(':', '-')
  }

  /** The file in a folder of `aside`, or the lowest folder if there is none. */
  function lowest (path: string): string {
    const [name] = disk.list(path) ?? []
    return name === undefined ? path : lowest(joined(path, name))
  }

  /** With a link to the new path alone, a file that another program saves meanwhile at the old one would be removed. */
  async function moveFile (from: LocalEntry, to: string): Promise<void> {
    const place = await setAside(from, MOVED, to)
    try {
      disk.move(place, to)
    } catch (error) {
      await bringBack(place, from.path)
      throw error
    }
    removeFolders(parentOf(place))
  }

  function stampOf (path: string, known: string): string {
    const entry = disk.stat(path)
    if (entry === undefined) return ''
    return entry.kind === 'folder' || contentStamp(entry.stamp) === contentStamp(known) ? entry.stamp : ''
  }
}
