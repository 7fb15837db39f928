import type { RetentionPolicy } from '#src/metadata/retention-records.ts'
import type { Quota } from '#src/metadata/records.ts'
import { Problem } from '#src/problems.ts'

// What src/metadata/versions.ts, trash.ts and folders.ts say, of one account, in lists: no index, no sum, and
// a tree that is nothing but paths.

export interface ModelContent {
  readonly size: number
  readonly type: string
  readonly sha256: string
  readonly blobId: string
}

interface ModelFile extends ModelContent {
  fileId: number
  /** Its path. */
  name: string
  createdAt: number
  updatedAt: number
  storedAt: number
}

/** A deleted file with `name`, a deleted folder with `folder`, else a version. */
interface ModelKept extends ModelContent {
  fileId: number
  name: string | undefined
  folder?: string
  createdAt: number
  storedAt: number
  keptAt: number
  /** The recursive deletion that took it. */
  deletedWith: string | null
}

interface ModelFolder { path: string, readonly createdAt: number }

export interface ModelUpload {
  readonly id: string
  readonly name: string
  readonly length: number | null
  readonly isConditional: boolean
  readonly blobId: string
  offset: number
}

interface Removal { readonly isPermanent: boolean, readonly deletedWith: string | null, readonly now: number }

interface Addition {
  readonly added: { readonly bytes: number, readonly files: number }
  readonly others: readonly ModelUpload[]
  readonly now: number
}

/** Files or folders that one act of a recursive deletion takes. */
export const ACT = 2

const CROWDED = new Error('more kept content must be deleted first')

export type KeptModel = ReturnType<typeof createKeptModel>

export function createKeptModel (retentionPolicy: Required<RetentionPolicy>) {
  let files: ModelFile[] = []
  let kept: ModelKept[] = []
  let folders: ModelFolder[] = []
  let uploads: ModelUpload[] = []
  const discarded: string[] = []
  let lastId = 0
  const deletions = new Map<string, { name: string, keptAt: number }>()

  const sum = (items: readonly { size: number }[]) => items.reduce((bytes, { size }) => bytes + size, 0)
  const byAge = (a: ModelKept, b: ModelKept) => a.keptAt - b.keptAt || (a.blobId < b.blobId ? -1 : 1)
  const newestFirst = (a: ModelKept, b: ModelKept) => byAge(b, a)
  const laterThan = (others: ModelKept[], at: number) => Math.max(at, ...others.map(({ keptAt }) => keptAt + 1))
  const isLive = ({ keptAt }: ModelKept, now: number) => keptAt > now - retentionPolicy.milliseconds
  const versionsOf = (fileId: number) =>
    kept.filter(content => content.fileId === fileId && content.name === undefined).sort(newestFirst)
  const liveVersionsOf = (fileId: number, now: number) =>
    versionsOf(fileId).filter(content => isLive(content, now)).slice(0, retentionPolicy.versions)
  const liveTrash = (now: number) =>
    kept.filter(content => content.name !== undefined && isLive(content, now)).sort(newestFirst)

  const model = {
    quota: { bytes: undefined, files: undefined } as Quota,
    kept: () => [...kept].sort(byAge),
    names: () => files.map(({ name }) => name),
    nameOf: (fileId: number) => files.find(file => file.fileId === fileId)?.name,
    folders: () => folders,
    uploads: () => uploads,
    discarded: () => discarded,
    blobs: () => ({
      stored: [...files, ...kept.filter(({ folder }) => folder === undefined)].map(({ blobId }) => blobId).sort(),
      uploads: uploads.map(({ blobId }) => blobId)
    }),

    state: (now: number) => ({
      files: sortedFiles().map(({ name, size, type, sha256, blobId, createdAt, updatedAt, storedAt }) =>
        ({ name, size, type, sha256, blobId, createdAt, updatedAt, storedAt })),
      versions: sortedFiles().map(({ fileId }) =>
        liveVersionsOf(fileId, now).map(({ blobId, size, type, sha256, storedAt, keptAt }) =>
          ({ id: blobId, size, type, sha256, storedAt, keptAt, expiresAt: keptAt + retentionPolicy.milliseconds }))),
      folders: [...folders].sort((a, b) => a.path < b.path ? -1 : 1),
      trash: liveTrash(now).map(({ blobId, size, type, sha256, name, storedAt, keptAt, deletedWith, fileId }) => ({
        id: blobId,
        size,
        type,
        sha256,
        storedAt,
        keptAt,
        expiresAt: keptAt + retentionPolicy.milliseconds,
        name,
        deletedWith,
        versions: liveVersionsOf(fileId, now).length
      })),
      deletions: deletionsIn(now),
      usage: { usedBytes: sum(files), usedFiles: files.length, usedFolders: folders.length, keptBytes: sum(kept) },
      uploads: { uploads: uploads.length, bytes: reserved(uploads), receivedBytes: received(uploads) }
    }),

    put: (name: string, content: ModelContent, now: number) =>
      makingRoom(() => store(name, content, { now, others: uploads })),

    remove (name: string, isPermanent: boolean, now: number) {
      removeAll([get(name)], { isPermanent, deletedWith: null, now })
    },

    rename (name: string, to: string, { overwrites, now }: { overwrites: boolean, now: number }) {
      const file = get(name)
      if (name === to) return
      const overwritten = find(to)
      if (overwritten !== undefined && overwrites) return moveInto(overwritten, file, now)
      if (overwritten !== undefined) throw new Problem('name_taken')
      makeParents(to, { added: { bytes: 0, files: 0 }, others: uploads, now })
      const isMove = lastOf(name) === lastOf(to)
      Object.assign(file, { name: to, updatedAt: isMove ? file.updatedAt : Math.max(file.updatedAt, now) })
    },

    addFolder (path: string, now: number) {
      if (folders.some(folder => folder.path === path)) return
      if (find(path) !== undefined) throw new Problem('name_taken')
      makeParents(path, { added: { bytes: 0, files: 1 }, others: uploads, now })
      folders.push({ path, createdAt: now })
    },

    moveFolder (path: string, to: string, now: number) {
      requireFolder(path)
      if (path === to) return
      if (isBelow(to, path)) throw new Problem('folder_into_itself')
      if (find(to) !== undefined) throw new Problem('name_taken')
      makeParents(to, { added: { bytes: 0, files: 0 }, others: uploads, now })
      const moved = (name: string) => name === path || isBelow(name, path) ? to + name.slice(path.length) : name
      for (const folder of folders) folder.path = moved(folder.path)
      for (const file of files) file.name = moved(file.name)
    },

    removeFolder (path: string) {
      requireFolder(path)
      const names = [...files.map(({ name }) => name), ...folders.map(folder => folder.path)]
      if (names.some(name => isBelow(name, path))) throw new Problem('folder_not_empty')
      folders = folders.filter(folder => folder.path !== path)
    },

    /** `acts`: the blobs that each act took, in order. */
    removeTree (path: string, { acts, ...removal }: Removal & { acts: readonly (readonly string[])[] }) {
      requireFolder(path)
      for (const blobIds of acts) {
        const taken = blobIds.flatMap(blobId =>
          files.filter(file => file.blobId === blobId && isBelow(file.name, path)))
        if (taken.length !== blobIds.length) throw new Error('a file was taken that is not below the folder')
        if (taken.length > 0) removeAll(taken, removal, path)
      }
      if (files.some(({ name }) => isBelow(name, path))) throw new Error('a file was left')
      const below = () => folders.map(folder => folder.path).filter(other => isBelow(other, path)).sort().reverse()
      for (let isLast = false; !isLast;) {
        const paths = below().slice(0, ACT)
        isLast = paths.length < ACT
        if (isLast) paths.push(path)
        folders = folders.filter(folder => !paths.includes(folder.path))
        keepFolders(paths, path, removal)
      }
    },

    restoreDeletion (deletedWith: string, now: number) {
      const entries = kept.filter(entry => entry.deletedWith === deletedWith && isLive(entry, now)).sort(byAge)
      let restored = 0
      const refused = entries.flatMap(entry => {
        try {
          if (entry.folder === undefined) model.restoreFile(entry.blobId, undefined, now)
          else restoreFolder(entry, entry.folder, now)
          if (entry.folder === undefined) restored++
          return []
        } catch (error) {
          return [{ name: entry.folder ?? entry.name, code: (error as Problem).code }]
        }
      })
      return { restored, kept: refused }
    },

    findVersion: (name: string, blobId: string, now: number) =>
      liveVersionsOf(find(name)?.fileId ?? 0, now).find(content => content.blobId === blobId),

    restoreVersion (name: string, blobId: string, now: number) {
      const file = get(name)
      const version = model.findVersion(name, blobId, now)
      if (version === undefined) throw new Problem('not_found')
      refuse({ bytes: version.size - file.size, files: 0 }, uploads)
      kept = kept.filter(content => content !== version)
      const updatedAt = Math.max(file.updatedAt, now)
      keepVersion(file, version, updatedAt)
      const { size, type, sha256, storedAt } = version
      Object.assign(file, { size, type, sha256, blobId, updatedAt, storedAt })
    },

    restoreFile (blobId: string, newName: string | undefined, now: number) {
      const entry = liveTrash(now).find(content => content.blobId === blobId)
      if (entry === undefined) throw new Problem('not_found')
      const name = newName ?? String(entry.name)
      if (find(name) !== undefined) throw new Problem('name_taken')
      makeParents(name, { added: { bytes: entry.size, files: 1 }, others: uploads, now })
      kept = kept.filter(content => content !== entry)
      endDeletions()
      const { keptAt, deletedWith: _deletedWith, ...file } = entry
      files.push({ ...file, name, updatedAt: Math.max(keptAt, now) })
    },

    removeVersion (name: string, blobId: string, now: number) {
      const version = model.findVersion(name, blobId, now)
      if (version === undefined) throw new Problem('not_found')
      drop([version])
    },

    removeFromTrash (blobId: string, now: number) {
      const entry = liveTrash(now).find(content => content.blobId === blobId)
      if (entry === undefined) throw new Problem('not_found')
      drop([entry])
    },

    emptyTrash (limit: number) {
      const byDeletion = (a: ModelKept, b: ModelKept) =>
        a.deletedWith === b.deletedWith ? byAge(a, b) : String(a.deletedWith) < String(b.deletedWith) ? -1 : 1
      const deletedFiles = kept.filter(({ name }) => name !== undefined).sort(byAge)
      const rest = kept.filter(({ deletedWith }) => deletedWith !== null).sort(byDeletion)
      const oldest = (deletedFiles.length > 0 ? deletedFiles : rest).slice(0, limit)
      const contents = (entries: ModelKept[]) =>
        entries.reduce((count, { fileId }) => count + 1 + versionsOf(fileId).length, 0)
      const entries = oldest.filter((_, index) =>
        index === 0 || contents(oldest.slice(0, index + 1)) <= retentionPolicy.deletions)
      const count = entries.filter(({ folder }) => folder === undefined).length
      return { entries: entries.length, files: count, bytes: drop(entries) }
    },

    sweep (limit: number, now: number) {
      const expired = kept.filter(content => !isLive(content, now)).sort(byAge).slice(0, limit)
      drop(expired)
      return expired.length === limit
    },

    removeOldest (bytes: number, limit: number) {
      let missing = bytes
      return drop(kept.filter(({ size }) => size > 0).sort(byAge).slice(0, limit).filter(({ size }) => {
        missing -= size
        return missing + size > 0
      }))
    },

    beginUpload (upload: ModelUpload) {
      missingAbove(upload.name)
      const ended = uploads.filter(({ name }) => name === upload.name)
      const others = uploads.filter(({ name }) => name !== upload.name)
      refuse({ bytes: upload.length ?? 0, files: 1 }, others)
      discard(ended)
      uploads = [...others, upload]
    },

    append (upload: ModelUpload, offset: number) {
      refuse({ bytes: upload.length === null ? offset - upload.offset : 0, files: 0 }, uploads)
      upload.offset = offset
      makingRoom(() => makeRoom(uploads))
    },

    finish (upload: ModelUpload, content: ModelContent, now: number) {
      if (upload.isConditional && find(upload.name) === undefined) {
        upload.offset = content.size
        Object.assign(upload, { length: content.size })
        makingRoom(() => makeRoom(uploads))
        return 'refused'
      }
      const others = uploads.filter(other => other !== upload)
      makingRoom(() => store(upload.name, content, { now, others }))
      uploads = others
      return undefined
    },

    cancel (upload: ModelUpload) {
      discard([upload])
      uploads = uploads.filter(other => other !== upload)
    }
  }
  return model

  function sortedFiles (): ModelFile[] {
    return [...files].sort((a, b) => a.name < b.name ? -1 : 1)
  }

  function find (name: string): ModelFile | undefined {
    return files.find(file => file.name === name)
  }

  function get (name: string): ModelFile {
    const file = find(name)
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  function isBelow (name: string, path: string): boolean {
    return name.startsWith(`${path}/`)
  }

  function lastOf (name: string): string | undefined {
    return name.split('/').at(-1)
  }

  function requireFolder (path: string): void {
    if (!folders.some(folder => folder.path === path)) throw new Problem('not_found')
  }

  /** The folders that a name needs. */
  function missingAbove (name: string): string[] {
    const segments = name.split('/')
    const parents = segments.slice(1).map((_, index) => segments.slice(0, index + 1).join('/'))
    const isTaken = folders.some(({ path }) => path === name) || parents.some(path => find(path) !== undefined)
    if (isTaken) throw new Problem('name_taken')
    return parents.filter(path => !folders.some(folder => folder.path === path))
  }

  function makeParents (name: string, { added, others, now }: Addition): void {
    const missing = missingAbove(name)
    refuse({ ...added, files: added.files + missing.length }, others)
    folders.push(...missing.map(path => ({ path, createdAt: now })))
  }

  function restoreFolder (entry: ModelKept, path: string, now: number): void {
    if (!folders.some(folder => folder.path === path)) {
      if (find(path) !== undefined) throw new Problem('name_taken')
      makeParents(path, { added: { bytes: 0, files: 1 }, others: uploads, now })
      folders.push({ path, createdAt: now })
    }
    kept = kept.filter(content => content !== entry)
    endDeletions()
  }

  /** `top`: the folder that is deleted with all that is in it. */
  function keepFolders (paths: readonly string[], top: string, { isPermanent, deletedWith, now }: Omit<Removal, 'acts'>): void {
    if (isPermanent) return
    addDeletion(deletedWith, top, now)
    kept.push(...paths.map(path => ({
      blobId: `${deletedWith}/${path}`, size: 0, type: '', sha256: '', fileId: NaN, name: undefined, folder: path, createdAt: 0, storedAt: 0, keptAt: now, deletedWith
    })))
    trim('', paths.length)
  }

  function addDeletion (id: string | null, name: string, keptAt: number): void {
    if (id !== null && !deletions.has(id)) deletions.set(id, { name, keptAt })
  }

  function endDeletions (): void {
    for (const id of deletions.keys()) if (!kept.some(({ deletedWith }) => deletedWith === id)) deletions.delete(id)
  }

  function deletionsIn (now: number) {
    const alone = liveTrash(now).filter(({ deletedWith }) => deletedWith === null)
      .map(({ blobId, name, size, keptAt }) => ({ id: blobId, kind: 'file', name, files: 1, folders: 0, size, keptAt }))
    const others = Array.from(deletions, ([id, { name, keptAt }]) => {
      const entries = kept.filter(({ deletedWith }) => deletedWith === id)
      const folderCount = entries.filter(({ folder }) => folder !== undefined).length
      return { id, kind: 'folder', name, files: entries.length - folderCount, folders: folderCount, size: sum(entries), keptAt }
    }).filter(({ keptAt }) => keptAt > now - retentionPolicy.milliseconds)
    return [...alone, ...others].sort((a, b) => b.keptAt - a.keptAt || (a.id < b.id ? 1 : -1))
  }

  function removeAll (
    removed: readonly ModelFile[], { isPermanent, deletedWith, now }: Removal, top = ''
  ): void {
    files = files.filter(other => !removed.includes(other))
    if (isPermanent) {
      discard(removed)
      for (const { fileId } of removed) drop(versionsOf(fileId))
      return
    }
    const trash = kept.filter(({ name }) => name !== undefined)
    const deletedAt = Math.max(now, ...removed.map(({ updatedAt }) => updatedAt))
    const keptAt = laterThan(trash, deletedAt)
    addDeletion(deletedWith, top, deletedAt)
    kept.push(...removed.map(file => ({ ...file, keptAt, deletedWith })))
    trim(String(removed.at(-1)?.blobId), removed.length)
  }

  function reserved (uploads: readonly ModelUpload[]): number {
    return uploads.reduce((bytes, { length, offset }) => bytes + (length ?? offset), 0)
  }

  function received (uploads: readonly ModelUpload[]): number {
    return uploads.reduce((bytes, { offset }) => bytes + offset, 0)
  }

  function refuse (added: { bytes: number, files: number }, others: readonly ModelUpload[]): void {
    const { bytes = Infinity, files: maxFiles = Infinity } = model.quota
    if (added.bytes > 0 && sum(files) + reserved(others) + added.bytes > bytes) throw new Problem('quota_exceeded')
    if (added.files > 0 && files.length + folders.length + others.length + added.files > maxFiles) throw new Problem('quota_exceeded')
  }

  function store (
    name: string, content: ModelContent, { now, others }: { now: number, others: readonly ModelUpload[] }
  ): void {
    const file = find(name)
    if (file === undefined) {
      makeParents(name, { added: { bytes: content.size, files: 1 }, others, now })
      files.push({ ...content, fileId: ++lastId, name, createdAt: now, updatedAt: now, storedAt: now })
      return makeRoom(others)
    }
    refuse({ bytes: content.size - file.size, files: 0 }, others)
    const { blobId } = file
    const updatedAt = Math.max(file.updatedAt, now)
    keepVersion(file, content, updatedAt)
    Object.assign(file, { ...content, updatedAt, storedAt: updatedAt })
    makeRoom(others, blobId)
    trim(blobId)
  }

  /** The versions of the file that ends go to the trash, the newest as a deleted file. */
  function moveInto (file: ModelFile, source: ModelFile, now: number): void {
    files = files.filter(other => other !== source)
    const [newest] = liveVersionsOf(source.fileId, now)
    const trash = kept.filter(({ name }) => name !== undefined)
    if (newest === undefined) drop(versionsOf(source.fileId))
    else Object.assign(newest, { name: source.name, keptAt: laterThan(trash, Math.max(source.updatedAt, now)) })
    const { size, type, sha256, blobId, storedAt } = source
    const replaced = file.blobId
    const updatedAt = Math.max(file.updatedAt, now)
    keepVersion(file, source, updatedAt)
    Object.assign(file, { size, type, sha256, blobId, storedAt, updatedAt })
    trim(replaced)
  }

  function keepVersion (file: ModelFile, next: ModelContent, keptAt: number): void {
    if (file.size === 0 || (next.size === file.size && next.sha256 === file.sha256)) return discard([file])
    const { updatedAt: _updatedAt, ...content } = file
    kept.push({ ...content, name: undefined, keptAt: laterThan(versionsOf(file.fileId), keptAt), deletedWith: null })
    drop(versionsOf(file.fileId).slice(retentionPolicy.versions))
  }

  /** A write that needs the room of too many contents is undone, some are deleted, and it begins again. */
  function makingRoom (write: () => void): void {
    for (;;) {
      const before = {
        files: files.map(file => ({ ...file })),
        folders: [...folders],
        kept: [...kept],
        discarded: discarded.length,
        deletions: [...deletions]
      }
      try {
        write()
        return
      } catch (error) {
        if (error !== CROWDED) throw error
        files = before.files
        folders = before.folders
        kept = before.kept
        discarded.length = before.discarded
        deletions.clear()
        for (const [id, deletion] of before.deletions) deletions.set(id, deletion)
        drop(withBytes().slice(0, retentionPolicy.deletions))
      }
    }
  }

  function withBytes (): ModelKept[] {
    return kept.filter(({ size }) => size > 0).sort(byAge)
  }

  function makeRoom (others: readonly ModelUpload[], newest?: string): void {
    const isEnough = () => sum(files) + sum(kept) + received(others) <= (model.quota.bytes ?? Infinity)
    const oldest = withBytes().filter(({ blobId }) => blobId !== newest).slice(0, retentionPolicy.deletions)
    for (const content of oldest) {
      if (isEnough()) return
      if (kept.includes(content)) drop([content])
    }
    if (isEnough()) return
    if (oldest.length === retentionPolicy.deletions) throw CROWDED
    drop(kept.filter(({ blobId, size }) => blobId === newest && size > 0))
  }

  /** Deletes what is too much, a few at a time. */
  function trim (newest: string, added = 1): void {
    const most = Math.min(kept.length - retentionPolicy.contents, Math.max(added, retentionPolicy.deletions))
    const before = kept.length
    for (const content of kept.filter(({ blobId }) => blobId !== newest).sort(byAge)) {
      if (before - kept.length >= most) return
      if (kept.includes(content)) drop([content])
    }
  }

  /** Deletes contents, deleted files with their versions. Returns the bytes. */
  function drop (contents: readonly ModelKept[]): number {
    const deleted = new Set(contents.filter(({ name }) => name !== undefined).map(({ fileId }) => fileId))
    const gone = kept.filter(content => contents.includes(content) || deleted.has(content.fileId))
    kept = kept.filter(content => !gone.includes(content))
    discard(gone.filter(({ folder }) => folder === undefined))
    endDeletions()
    return sum(gone)
  }

  function discard (blobs: readonly { blobId: string }[]): void {
    discarded.push(...blobs.map(({ blobId }) => blobId))
  }
}
