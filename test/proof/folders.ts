import type { Random } from '../kit/random.ts'
import { createStoredFile, type StoredFile } from './stored-file.ts'

/** The order in which names become durable: per folder, or in one journal for the whole disk, as in ext4 and XFS. */
export type NameOrder = 'folder' | 'journal'

/** The first change of a folder is the one that created it. */
export interface Folder { readonly entries: Map<string, Node>, readonly changes: NameChange[] }

/** A file, and the changes that gave it a name. */
export interface FileNode { readonly file: StoredFile, readonly named: NameChange[] }

export type Node = FileNode | Folder

interface Place { readonly folder: Folder, readonly name: string }

/** A name is added, moved or removed. A move is atomic: both parts reach the disk, or neither. */
interface NameChange {
  readonly at: number
  readonly removes: Place | undefined
  readonly adds: Place & { node: Node } | undefined
  /** Changes that must be durable before this one. */
  readonly after: readonly NameChange[]
  isDurable: boolean
}

/** The names on a disk: as running processes see them, and which changes are durable. */
export interface Folders {
  readonly root: Folder
  find (path: readonly string[]): Node | undefined
  makeFile (path: readonly string[], at: number): Node
  makeFolder (path: readonly string[], at: number): void
  remove (path: readonly string[], at: number): void
  /** Gives a file another name. */
  link (from: readonly string[], to: readonly string[], at: number): void
  move (from: readonly string[], to: readonly string[], at: number): void
  /** Ends a sync of a file or folder that began after `before` changes of the disk. */
  sync (node: Node, before: number): void
  /** The tree after a power cut, with all, none or a random subset of the changes that are not durable. */
  afterPowerCut (random: Random, survival: 'nothing' | 'all' | 'some'): Folder
}

/**
 * Not modelled, because no file system does it, although POSIX allows it: reordered changes within a folder, half a
 * move, and a name in a folder that does not exist.
 */
export function createFolders (order: NameOrder): Folders {
  const root = createFolder()
  const all: NameChange[] = []
  /** Number of changes, from the first on, that are durable with a journal. */
  let journalled = 0

  function placeOf (path: readonly string[]): Place {
    const folder = find(path.slice(0, -1))
    if (folder === undefined || !('entries' in folder)) throw new Error(`there is no folder ${path.slice(0, -1).join('/')}`)
    return { folder, name: String(path.at(-1)) }
  }

  function find (path: readonly string[]): Node | undefined {
    let node: Node | undefined = root
    for (const name of path) node = node !== undefined && 'entries' in node ? node.entries.get(name) : undefined
    return node
  }

  function change (at: number, { removes, adds }: Pick<NameChange, 'removes' | 'adds'>): void {
    const touched = [removes, adds].flatMap(place => place?.folder ?? [])
    const change = {
      at, removes, adds, after: touched.flatMap(folder => folder.changes.at(-1) ?? []), isDurable: false
    }
    apply(change, folder => folder)
    for (const folder of touched) folder.changes.push(change)
    // The first change of a folder is the one that created it.
    const node = adds?.node
    if (node !== undefined) ('entries' in node ? node.changes : node.named).push(change)
    all.push(change)
  }

  function sync (node: Node, before: number): void {
    const isFolder = 'entries' in node
    const latest = (isFolder ? node.changes : node.named).findLast(({ at }) => at < before)
    if (latest === undefined) return
    if (order === 'journal') commitJournal(latest)
    else if (isFolder) for (const change of withEarlier([latest], ({ isDurable }) => isDurable)) change.isDurable = true
  }

  function commitJournal (latest: NameChange): void {
    for (const change of all.slice(journalled)) {
      if (change.at > latest.at) return
      change.isDurable = true
      journalled++
    }
  }

  function survivors (random: Random, survival: 'nothing' | 'all' | 'some'): Set<NameChange> {
    const surviving = new Set(all.filter(({ isDurable }) => survival === 'all' || isDurable))
    if (survival !== 'some') return surviving
    const add = (changes: NameChange[]) => {
      const pending = changes.filter(change => !change.isDurable)
      const first = pending.slice(0, random.below(pending.length + 1))
      for (const change of withEarlier(first, change => surviving.has(change))) surviving.add(change)
    }
    if (order === 'journal') add(all)
    else for (const folder of foldersIn(root)) add(folder.changes)
    return surviving
  }

  return {
    root,
    find,
    makeFile (path, at) {
      const node = { file: createStoredFile(), named: [] }
      change(at, { removes: undefined, adds: { ...placeOf(path), node } })
      return node
    },
    makeFolder: (path, at) => change(at, { removes: undefined, adds: { ...placeOf(path), node: createFolder() } }),
    remove: (path, at) => change(at, { removes: placeOf(path), adds: undefined }),
    link (from, to, at) {
      const node = find(from)
      if (node === undefined) throw new Error(`there is no ${from.join('/')}`)
      change(at, { removes: undefined, adds: { ...placeOf(to), node } })
    },
    move (from, to, at) {
      const removes = placeOf(from)
      const node = removes.folder.entries.get(removes.name)
      if (node === undefined) throw new Error(`there is no ${from.join('/')}`)
      change(at, { removes, adds: { ...placeOf(to), node } })
    },
    sync,
    afterPowerCut (random, survival) {
      const surviving = survivors(random, survival)
      const copies = new Map<Folder, Folder>()
      const copyOf = (folder: Folder) => copies.get(folder) ?? copies.set(folder, createFolder()).get(folder) as Folder
      for (const change of all) if (surviving.has(change)) apply(change, copyOf)
      return copyOf(root)
    }
  }
}

function createFolder (): Folder {
  return { entries: new Map(), changes: [] }
}

function apply ({ removes, adds }: Pick<NameChange, 'removes' | 'adds'>, locate: (folder: Folder) => Folder): void {
  if (removes !== undefined) locate(removes.folder).entries.delete(removes.name)
  if (adds !== undefined) locate(adds.folder).entries.set(adds.name, 'entries' in adds.node ? locate(adds.node) : adds.node)
}

/** The changes and all changes required before them, except those that `isKnown` accepts. */
function withEarlier (changes: NameChange[], isKnown: (change: NameChange) => boolean): Set<NameChange> {
  const found = new Set<NameChange>()
  const waiting = [...changes]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next) || isKnown(next)) continue
    found.add(next)
    waiting.push(...next.after)
  }
  return found
}

function * foldersIn (folder: Folder): Generator<Folder> {
  yield folder
  for (const node of folder.entries.values()) if ('entries' in node) yield * foldersIn(node)
}
