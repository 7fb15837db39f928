import { RemoteError, type FeedPage, type ServerEntry } from '#src/sync/ports.ts'
import type { Kind } from '#src/sync/plan.ts'
import { sizeOf } from './model-disk.ts'

interface ModelEntry extends ServerEntry { readonly sequence: number }

interface ServerState {
  entries: Map<string, ModelEntry>
  /** What is in the trash: entries as they were. */
  trash: ModelEntry[]
  /** The ids that changed, the oldest first. */
  log: string[]
}

/** How many entries a page has: few, so that much happens between two of them. */
const PAGE = 3

const lastOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)
const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')))

/** What the server promises, in memory: one account. */
export function createModelServer () {
  let state: ServerState = { entries: new Map(), trash: [], log: [] }
  let epoch = 0
  let last = 0
  let expiredUpTo = 0
  const contents = new Set<string>()

  function fail (status: number, message: string): never {
    throw new RemoteError(status, message)
  }

  function childrenOf (parentId: string | null): ModelEntry[] {
    return Array.from(state.entries.values()).filter(entry => entry.parentId === parentId)
  }

  function find (path: string): ModelEntry | undefined {
    const folder = parentOf(path)
    const parentId = folder === '' ? null : find(folder)?.id
    if (parentId === undefined) return undefined
    return childrenOf(parentId).find(({ name }) => name === lastOf(path))
  }

  function pathOf ({ parentId, name }: ServerEntry): string {
    const parent = parentId === null ? undefined : state.entries.get(parentId)
    return parent === undefined ? name : `${pathOf(parent)}/${name}`
  }

  function set (entry: ModelEntry): ModelEntry {
    state.entries.set(entry.id, entry)
    state.log.push(entry.id)
    contents.add(entry.sha256)
    return entry
  }

  function drop (entry: ModelEntry): void {
    state.entries.delete(entry.id)
    state.log.push(entry.id)
    if (entry.kind === 'file') state.trash.push(entry)
  }

  /** The folder of a new name; missing ones are made unless the caller says which it must be. */
  function parentFor (path: string, folderId?: string): string | null {
    const folder = parentOf(path)
    if (folder === '') return folderId === undefined || folderId === 'root' ? null : fail(412, 'another folder')
    const parent = find(folder)
    if (parent?.kind === 'file') return fail(409, 'a file is above')
    if (folderId !== undefined && parent?.id !== folderId) return fail(412, 'another folder')
    return parent?.id ?? server.makeFolder(folder).id
  }

  function get ({ path, kind, id }: { path: string, kind: Kind, id?: string | undefined }): ModelEntry {
    const entry = find(path)
    if (entry?.kind !== kind) return fail(404, 'not found')
    if (id !== undefined && entry.id !== id) return fail(412, 'another one')
    return entry
  }

  const server = {
    find,
    tree: () => new Map(Array.from(state.entries.values(), entry => [pathOf(entry), entry.kind === 'file' ? entry.sha256 : ''])),
    entries: () => state.entries,
    trash: () => state.trash,
    /** All that was ever stored: versions and the trash have it. */
    contents,

    /** `replaces`: the bytes that must be there, or null for none. */
    put (
      path: string, sha256: string, { folderId, replaces }: { folderId?: string, replaces?: string | null } = {}
    ): ModelEntry {
      const parentId = parentFor(path, folderId)
      const entry = find(path)
      if (entry?.kind === 'folder') return fail(409, 'a folder')
      if (replaces === null && entry !== undefined) return fail(412, 'is there')
      if (typeof replaces === 'string' && entry?.sha256 !== replaces) return fail(412, 'other bytes')
      const known = entry ?? { id: `f${++last}`, parentId, name: lastOf(path), kind: 'file' as const, modifiedAt: null, sequence: last }
      return set({ ...known, sha256, size: sizeOf(sha256) })
    },

    makeFolder (path: string, folderId?: string): ModelEntry {
      const parentId = parentFor(path, folderId)
      const entry = find(path)
      if (entry?.kind === 'file') return fail(409, 'a file')
      return entry ?? set({ id: `d${++last}`, parentId, name: lastOf(path), kind: 'folder', sha256: '', size: 0, modifiedAt: null, sequence: last })
    },

    move (target: { path: string, kind: Kind, id?: string }, to: string, folderId?: string): ModelEntry {
      const entry = get(target)
      const path = pathOf(entry)
      if (to === path) return entry
      if (entry.kind === 'folder' && to.startsWith(`${path}/`)) return fail(400, 'into itself')
      if (find(to) !== undefined) return fail(409, 'taken')
      const parentId = parentFor(to, folderId)
      return set({ ...entry, parentId, name: lastOf(to) })
    },

    remove (target: { path: string, kind: Kind, id?: string }, sha256?: string): void {
      const entry = get(target)
      if (sha256 !== undefined && entry.kind === 'file' && entry.sha256 !== sha256) return fail(412, 'other bytes')
      if (childrenOf(entry.id).length > 0) return fail(409, 'not empty')
      drop(entry)
    },

    removeAll (path: string): void {
      const entry = find(path)
      if (entry === undefined) return
      for (const child of childrenOf(entry.id)) server.removeAll(pathOf(child))
      drop(entry)
    },

    /** Brings a file of the trash back under a free name. It has its own id again. */
    undelete (entry: ModelEntry, path: string): void {
      if (find(path) !== undefined || state.entries.has(entry.id)) return
      const parentId = parentFor(path)
      state.trash = state.trash.filter(other => other !== entry)
      set({ ...entry, parentId, name: lastOf(path) })
    },

    bytes: (target: { path: string, kind: Kind }, sha256: string) =>
      get(target).sha256 === sha256 ? sha256 : fail(412, 'other bytes'),

    changes (cursor: string | undefined): FeedPage {
      const [of, at] = (cursor ?? '').split(':').map(Number)
      const head = `${epoch}:${state.log.length}`
      if (cursor === undefined) return { changes: [], next: head, reason: 'first' }
      if (of !== epoch || Number(at) > state.log.length) return { changes: [], next: head, reason: 'restored' }
      if (Number(at) < expiredUpTo) return { changes: [], next: head, reason: 'expired' }
      const ids = state.log.slice(Number(at), Number(at) + PAGE)
      const changes = ids.map(id => [id, state.entries.get(id)] as const)
      return { changes, next: `${epoch}:${Number(at) + ids.length}`, reason: undefined }
    },

    /** Folders in the order of their creation; files by folder, and by name in it. */
    list (kind: Kind, cursor: string | null): { entries: ModelEntry[], next: string | null } {
      const placeOf = ({ sequence, parentId, name }: ModelEntry) => kind === 'folder'
        ? String(sequence).padStart(9, '0')
        : `${String(parentId === null ? 0 : state.entries.get(parentId)?.sequence).padStart(9, '0')} ${name}`
      const all = Array.from(state.entries.values()).filter(entry => entry.kind === kind)
        .map(entry => ({ entry, place: placeOf(entry) })).sort((a, b) => a.place < b.place ? -1 : 1)
      const rest = all.filter(({ place }) => cursor === null || place > cursor)
      const page = rest.slice(0, PAGE)
      return { entries: page.map(({ entry }) => entry), next: rest.length > PAGE ? String(page.at(-1)?.place) : null }
    },

    expire (): void {
      expiredUpTo = state.log.length
    },

    snapshot: (): ServerState => ({ entries: new Map(state.entries), trash: [...state.trash], log: [...state.log] }),

    /** A restored backup: ids are new, and cursors are of another epoch. */
    restore (snapshot: ServerState): void {
      epoch++
      const ids = new Map<string | null, string | null>([[null, null]])
      for (const id of snapshot.entries.keys()) ids.set(id, `r${++last}`)
      const entries = Array.from(snapshot.entries.values(), entry => ({
        ...entry, id: String(ids.get(entry.id)), parentId: ids.get(entry.parentId) ?? null
      }))
      state = { entries: new Map(entries.map(entry => [entry.id, entry])), trash: [], log: [...snapshot.log] }
      expiredUpTo = 0
    }
  }
  return server
}

export type ModelServer = ReturnType<typeof createModelServer>
