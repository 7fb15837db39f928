import { isPossible, lastOf } from './names.ts'
import { isWithin, joined, type BaseRow, type LocalEntry, type MirrorEntry } from './plan.ts'
import type { Disk, DiskEntry, State, ServerEntry } from './ports.ts'

/** The folder of what sync itself keeps: in no tree. */
export const OWN_FOLDER = '.magicstore'

/** How long a file or folder must be as it is: before that, another change could have the same times. */
const QUIET_MILLISECONDS = 2000

export interface NameRules {
  /** What names are compared by: NFC, and where the file system folds case, without it. */
  readonly keyOf: (path: string) => string
  readonly isIgnored: (path: string, isFolder: boolean) => boolean
}

/** The folder of this computer is gone. */
export class FolderGone extends Error {}

/** When a path was first seen with a stamp, for what has a time in the future. */
export type Sightings = Map<string, { stamp: string, at: number }>

interface FoundEntry { readonly entry: LocalEntry, readonly changedAt: number }

/** Reads the whole folder. `left` are paths that are left alone, because another one is alike. */
export async function scan (
  disk: Disk, { base }: Pick<State, 'base'>, { keyOf, isIgnored, sightings }: NameRules & { sightings: Sightings }
): Promise<{ local: Map<string, LocalEntry>, left: string[] }> {
  const local = new Map<string, LocalEntry>()
  const left: string[] = []
  const known = new Map<string, BaseRow>()
  for (const row of base.values()) known.set(row.stamp, row)
  const root = disk.stat('')
  if (root?.kind !== 'folder') throw new FolderGone('the folder is gone: mount its disk')
  const startedAt = disk.now()
  walk('', root)
  const now = disk.now()
  for (const [key, entry] of local) {
    if (entry.kind === 'file' && entry.sha256 === undefined) local.set(key, { ...entry, sha256: await hashOf(entry) })
  }
  for (const [key, entry] of local) {
    if (entry.kind === 'folder' && entry.isSettled) local.set(key, { ...entry, isSettled: isSettled(entry) })
  }
  return { local, left }

  function walk (path: string, { inode }: Pick<DiskEntry, 'inode'>): void {
    const names = disk.list(path)
    const places = Array.from(names ?? []).map(name => joined(path, name)).filter(place => place !== OWN_FOLDER)
    const entries = places.map(find).filter(entry => entry !== undefined)
    const found = entries.filter(({ entry: { path, kind } }) => !isIgnored(path, kind === 'folder'))
    const hasIgnored = found.length < entries.length
    const isSettled = names !== undefined
    local.set(keyOf(path), { path, kind: 'folder', sha256: '', inode, stamp: inode, size: 0, isSettled, hasIgnored })
    for (const [key, entry] of placesOf(found)) {
      if (entry.kind === 'folder') walk(entry.path, entry)
      else local.set(key, entry)
    }
  }

  /** What is as in the base has the strings of its row, so that memory has them once. */
  function find (place: string): FoundEntry | undefined {
    const stat = disk.stat(place)
    if (stat === undefined) return undefined
    const { kind, size, changedAt } = stat
    const row = known.get(stat.stamp)
    const sha256 = kind === 'file' ? row?.sha256 : ''
    const path = same(row?.path, place)
    const inode = same(row?.inode, stat.inode)
    const { stamp } = row ?? stat
    return { entry: { path, kind, sha256, inode, stamp, size, isSettled: true, hasIgnored: false }, changedAt }
  }

  /** Of names that are alike here, that in the base has the place, else the oldest. */
  function placesOf (found: FoundEntry[]): Map<string, LocalEntry> {
    const places = new Map<string, LocalEntry>()
    const age = ({ entry, changedAt }: FoundEntry) => base.get(keyOf(entry.path))?.path === entry.path ? -1 : changedAt
    for (const { entry } of found.sort((a, b) => age(a) - age(b))) {
      const key = keyOf(entry.path)
      if (places.has(key)) left.push(entry.path)
      else places.set(key, entry)
    }
    return places
  }

  async function hashOf ({ path, stamp }: LocalEntry): Promise<string | undefined> {
    const entry = disk.stat(path)
    if (entry === undefined || !isQuiet(path, entry, now)) return undefined
    const hashed = await disk.hash(path)
    return hashed?.stamp === stamp ? hashed.sha256 : undefined
  }

  function isSettled ({ path, inode }: LocalEntry): boolean {
    const entry = disk.stat(path)
    return entry?.inode === inode && isQuiet(path, { ...entry, stamp: `${inode} ${entry.changedAt}` }, startedAt)
  }

  /** Whether nothing changed shortly before `time`; of a time in the future, since it was first seen. */
  function isQuiet (path: string, { stamp, changedAt }: DiskEntry, time: number): boolean {
    const seen = sightings.get(path)
    const at = seen?.stamp === stamp ? seen.at : disk.elapsed()
    sightings.set(path, { stamp, at })
    return changedAt < time - QUIET_MILLISECONDS || disk.elapsed() - at > QUIET_MILLISECONDS
  }
}

/**
 * The tree of the server below the folder with this id, and the path of that folder; undefined if it is gone. `left`
 * are paths that this computer can't have, or that are alike here.
 */
export function mirrorTree (
  { mirror, base }: Pick<State, 'mirror' | 'base'>, rootId: string | null, { keyOf, isIgnored }: NameRules
): { tree: Map<string, MirrorEntry>, rootPath: string, left: string[] } | undefined {
  const root = rootId === null ? undefined : mirror.get(rootId)
  if (rootId !== null && root === undefined) return undefined
  const children = new Map<string | null, ServerEntry[]>()
  for (const entry of mirror.values()) {
    const siblings = children.get(entry.parentId)
    if (siblings === undefined) children.set(entry.parentId, [entry])
    else siblings.push(entry)
  }
  const tree = new Map<string, MirrorEntry>()
  const left: string[] = []
  addFolder('', { id: rootId ?? 'root', sha256: '', size: 0 }, rootId)
  return { tree, rootPath: pathOf(root), left }

  function addFolder (
    path: string, { id, sha256, size }: Pick<ServerEntry, 'id' | 'sha256' | 'size'>, parentId: string | null
  ): void {
    const inside = (children.get(parentId) ?? []).map(entry => {
      const place = joined(path, entry.name)
      const row = base.get(keyOf(place))
      return { entry, place: same(row?.path, place), isInBase: row?.id === entry.id }
    })
    const carried = inside.filter(({ entry, place }) =>
      !isIgnored(place, entry.kind === 'folder') && place !== OWN_FOLDER)
    const hasIgnored = carried.length < inside.length
    tree.set(keyOf(path), { path, id, kind: 'folder', sha256, size, hasIgnored })
    for (const { entry, place } of carried.sort((a, b) => Number(b.isInBase) - Number(a.isInBase))) {
      const key = keyOf(place)
      const isLeft = tree.has(key) || !isPossible(entry.name)
      if (isLeft) left.push(place)
      else if (entry.kind === 'folder') addFolder(place, entry, entry.id)
      else tree.set(key, { path: place, ...contentOf(entry), hasIgnored: false })
    }
  }

  function pathOf (entry: ServerEntry | undefined): string {
    if (entry === undefined) return ''
    return joined(pathOf(entry.parentId === null ? undefined : mirror.get(entry.parentId)), entry.name)
  }
}

function contentOf ({ id, kind, sha256, size }: ServerEntry) {
  return { id, kind, sha256, size }
}

/** The known string if both are equal, so that memory has it once. */
export function same (known: string | undefined, value: string): string {
  return known === value ? known : value
}

/** What the base has once a local file or folder and one of the server are the same. */
export function rowOf (
  local: Pick<LocalEntry, 'path' | 'inode' | 'stamp'>, stored: Pick<ServerEntry, 'id' | 'kind' | 'sha256'>
): BaseRow {
  const { path, inode, stamp } = local
  const { id, kind, sha256 } = stored
  return { path, id, kind, sha256, inode, stamp }
}

/** The same file at another path, or the same row. */
export function movedTo<T extends { path: string }> (entry: T, from: string, to: string): T {
  return { ...entry, path: to + entry.path.slice(from.length) }
}

/** A stamp without the time of the last change of any kind, which a rename sets. */
export function contentStamp (stamp: string): string {
  return stamp.slice(0, stamp.lastIndexOf(' '))
}

export function nameOf (path: string): string {
  return lastOf(path).normalize('NFC')
}

/** What is at a key, where something is, and all below it. */
export function insideOf<T extends { kind: string }> (tree: ReadonlyMap<string, T>, key: string): [string, T][] {
  const top = tree.get(key) as T
  if (top.kind !== 'folder') return [[key, top]]
  return Array.from(tree).filter(([other]) => isWithin(other, key))
}

/** The changes of the base when the row at a key, and all below it, get another path. */
export function movedRows (
  base: ReadonlyMap<string, BaseRow>, { from, to, keyOf }: Pick<NameRules, 'keyOf'> & { from: string, to: BaseRow }
): [string, BaseRow | undefined][] {
  const rows = insideOf(base, from)
  const { path } = base.get(from) as BaseRow
  const moved = rows.map(([key, row]): [string, BaseRow] => {
    const next = key === from ? to : movedTo(row, path, to.path)
    return [keyOf(next.path), next]
  })
  // What leaves a path must not remove what has come there.
  return [...rows.map(([key]): [string, undefined] => [key, undefined]), ...moved]
}
