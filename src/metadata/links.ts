import { and, asc, desc, eq, gt, lt, type SQL } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { fileColumns, folderColumns } from './file-columns.ts'
import type { FileContents } from './file-contents.ts'
import type { FolderTree } from './folder-tree.ts'
import { linkColumns, linkQueries } from './link-queries.ts'
import {
  type LinkedFolder, type LinkedPage, type LinkRecord, type LinkRepository, type LinkRoom, MAX_LINKS, type NewLink,
  type OpenLink
} from './link-repository.ts'
import type { LinkUploads } from './link-uploads.ts'
import type { Owners } from './owners.ts'
import { splitPath } from './paths.ts'
import type { FileRecord, FolderRecord, NewFile, Quota } from './records.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'
import type { StoreResult } from './uploads-repository.ts'

interface LinkOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly linkUploads: LinkUploads
}

type Page = Parameters<LinkRepository['list']>[1]
type Changes = Parameters<LinkRepository['change']>[2]

export class LinkRules implements LinkRepository {
  readonly #options: LinkOptions
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof linkQueries>

  constructor (options: LinkOptions) {
    this.#options = options
    this.#engine = options.engine
    this.#queries = linkQueries(options.engine)
  }

  add (link: NewLink): Promise<LinkRecord> {
    return this.#engine.transactFor(link.accountId, () => this.#add(link))
  }

  * #add ({ name, ...link }: NewLink): Rule<LinkRecord> {
    const { owners, contents, tree } = this.#options
    const { accountId } = link
    const [, file, folder, createdAt, surplus] = yield * together(
      owners.lock(accountId),
      contents.find(accountId, name),
      tree.find(accountId, name),
      this.#engine.now(),
      ask(this.#queries.lastAllowed, { accountId })
    )
    if (file === undefined && folder === undefined) throw new Problem('not_found')
    if (link.kind === 'upload' && folder === undefined) {
      throw new Problem('validation_failed', { errors: [{ field: 'name', message: 'is a file: a link of the kind `upload` is for a folder' }] })
    }
    if (surplus.length > 0) throw new Problem('too_many_links', { detail: `An account may have at most ${MAX_LINKS} links; revoke some first.` })
    const [added] = yield * ask(this.#queries.insert, {
      ...link, createdAt, fileId: file?.id ?? null, folderId: folder?.id ?? null
    })
    return added as LinkRecord
  }

  find (ownerId: number, id: number): Promise<LinkRecord | undefined> {
    return this.#engine.read(() => ask(this.#queries.byId, { ownerId, id }, ([link]) => link as LinkRecord | undefined))
  }

  list (ownerId: number, page: Page): Promise<LinkRecord[]> {
    return this.#engine.read(() => this.#list(ownerId, page))
  }

  * #list (ownerId: number, { name, beforeId, limit }: Page): Rule<LinkRecord[]> {
    const { links } = this.#engine.tables
    const isWanted = name === undefined ? undefined : yield * this.#isOf(ownerId, name)
    return yield * ask(reading('', db => db.select(linkColumns(this.#engine.tables)).from(links).where(and(
      eq(links.accountId, ownerId),
      isWanted,
      beforeId === undefined ? undefined : lt(links.id, beforeId)
    )).orderBy(desc(links.id)).limit(limit)), {}, found => found as LinkRecord[])
  }

  /** Condition for the links of a file or folder. */
  * #isOf (ownerId: number, name: string): Rule<SQL | undefined> {
    const { contents, tree } = this.#options
    const { links } = this.#engine.tables
    const [file, folder] = yield * together(contents.find(ownerId, name), tree.find(ownerId, name))
    // No file or folder has the id 0.
    return folder === undefined ? eq(links.fileId, file?.id ?? 0) : eq(links.folderId, folder.id)
  }

  change (ownerId: number, id: number, changes: Changes): Promise<LinkRecord> {
    return this.#engine.transactFor(ownerId, () => this.#change(ownerId, id, changes))
  }

  * #change (ownerId: number, id: number, changes: Changes): Rule<LinkRecord> {
    const { links } = this.#engine.tables
    // Locked: an upload that is decided at the same time sees the limits of before or of after.
    yield * this.#options.owners.lock(ownerId)
    const [changed] = yield * ask(writing('', db => db.update(links).set({ ...changes, id })
      .where(and(eq(links.accountId, ownerId), eq(links.id, id))).returning(linkColumns(this.#engine.tables))))
    if (changed === undefined) throw new Problem('not_found')
    if (changes.passwordHash !== undefined) yield * ask(this.#queries.forgetNetworks, { id })
    return changed as LinkRecord
  }

  async remove (ownerId: number, id: number): Promise<void> {
    const { links } = this.#engine.tables
    await this.#engine.transactFor(ownerId, () => this.#remove(ownerId, eq(links.id, id), ([removed]) => {
      if (removed === undefined) throw new Problem('not_found')
    }))
  }

  removeAll (ownerId: number, name?: string): Promise<number> {
    return this.#engine.transactFor(ownerId, () => this.#removeAll(ownerId, name))
  }

  * #removeAll (ownerId: number, name: string | undefined): Rule<number> {
    const isWanted = name === undefined ? undefined : yield * this.#isOf(ownerId, name)
    return yield * this.#remove(ownerId, isWanted, removed => removed.length)
  }

  * #remove<T> (ownerId: number, condition: SQL | undefined, result: (removed: { id: number }[]) => T): Rule<T> {
    const { links } = this.#engine.tables
    yield * this.#options.owners.lock(ownerId)
    const removed = yield * ask(writing('', db => db.delete(links)
      .where(and(eq(links.accountId, ownerId), condition)).returning({ id: links.id })))
    const outcome = result(removed)
    yield * this.#options.linkUploads.end(ownerId, removed.map(({ id }) => id))
    return outcome
  }

  async findBySecret (secretHash: string): Promise<OpenLink | undefined> {
    const row = await this.#engine.readCached(`link ${secretHash}`, () =>
      ask(this.#queries.bySecret, { secretHash }, ([found]) => found))
    if (row === undefined) return undefined
    const now = this.#engine.timeOf(row)
    const { link, account, file, folder } = row
    if (link.expiresAt !== null && link.expiresAt <= now) return undefined
    return { link: link as LinkRecord, account, file: file ?? undefined, folder: folder ?? undefined, now }
  }

  recordUses (id: number, { count, at }: { count: number, at: number }): Promise<void> {
    return this.#engine.apply(() => ask(this.#queries.recordUses, { id, count, at }, () => {}))
  }

  isKnownNetwork (id: number, network: string): Promise<boolean> {
    return this.#engine.read(() => ask(this.#queries.knownNetwork, { id, network }, found => found.length > 0))
  }

  addKnownNetwork (link: Pick<LinkRecord, 'id' | 'passwordHash'>, network: string, at: number): Promise<void> {
    const { id, passwordHash } = link
    return this.#engine.transact(() => this.#addKnownNetwork({ id, passwordHash, network, at }))
  }

  * #addKnownNetwork (values: { id: number, passwordHash: string | null, network: string, at: number }): Rule<void> {
    yield * ask(this.#queries.addNetwork, values)
    yield * ask(this.#queries.forgetOldest, values)
  }

  findFile ({ ownerId, folderId }: LinkedFolder, name: string): Promise<FileRecord | undefined> {
    const { folder, name: segment } = splitPath(name)
    // Without its first word the key would be that of a file in a folder whose name is a number.
    return this.#engine.readCached(`below ${ownerId}/${folderId}/${name}`, () =>
      ask(this.#queries.fileBelow, { ownerId, folderId, below: belowOf(folder), name: segment }, ([file]) => file))
  }

  listFiles (at: LinkedFolder, page: LinkedPage): Promise<FileRecord[]> {
    return this.#engine.read(() => this.#listFiles(at, page))
  }

  * #listFiles (at: LinkedFolder, { folder, after, limit }: LinkedPage): Rule<FileRecord[]> {
    const { tables, namesBetween } = this.#engine
    const { files } = tables
    const { id } = yield * this.#folderBelow(at, folder)
    return yield * ask(reading('', db => db.select(fileColumns(tables)).from(files).where(and(
      eq(files.ownerId, at.ownerId),
      eq(files.folderId, id),
      namesBetween(files.name, { prefix: '', after, isAscending: true })
    )).orderBy(asc(files.name)).limit(limit)))
  }

  listFolders (at: LinkedFolder, page: LinkedPage): Promise<FolderRecord[]> {
    return this.#engine.read(() => this.#listFolders(at, page))
  }

  * #listFolders (at: LinkedFolder, { folder, after, limit }: LinkedPage): Rule<FolderRecord[]> {
    const { folders } = this.#engine.tables
    const { id } = yield * this.#folderBelow(at, folder)
    return yield * ask(reading('', db => db.select(folderColumns(this.#engine.tables)).from(folders).where(and(
      eq(folders.ownerId, at.ownerId),
      eq(folders.parentId, id),
      after === undefined ? undefined : gt(folders.name, after)
    )).orderBy(asc(folders.name)).limit(limit)))
  }

  * #folderBelow ({ ownerId, folderId }: LinkedFolder, folder: string): Rule<{ id: number }> {
    const [found] = yield * ask(this.#queries.folderBelow, { ownerId, folderId, below: belowOf(folder) })
    if (found === undefined) throw new Problem('not_found')
    return found
  }

  store (linkId: number, file: NewFile, quota: Quota): Promise<StoreResult> {
    return this.#engine.transactFor(file.ownerId, () => this.#store(linkId, file, quota))
  }

  * #store (linkId: number, file: NewFile, quota: Quota): Rule<StoreResult> {
    const { linkUploads } = this.#options
    return yield * linkUploads.store(yield * linkUploads.open({ ownerId: file.ownerId, linkId, quota }), file)
  }

  room (ownerId: number, linkId: number, quota: Quota): Promise<LinkRoom> {
    return this.#engine.read(() => this.#options.linkUploads.room({ ownerId, linkId, quota }))
  }
}

/** What follows the path of a linked folder in that of a folder below it. */
function belowOf (folder: string): string {
  return folder === '' ? '' : `/${folder}`
}
