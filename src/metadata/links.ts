import {
  and, count, desc, eq, getTableColumns, isNotNull, isNull, lt, lte, type SQL, sql
} from 'drizzle-orm'
import { invalidField, Problem } from '../problems.ts'
import { accountColumns, fileColumns, folderColumns } from './columns.ts'
import type { Engine } from './engine.ts'
import {
  type LinkedFolder, type LinkedPage, type LinkRecord, type LinkTerms, type ListedLinks, MAX_LINK_NETWORKS, MAX_LINKS,
  MAX_UPLOAD_LINKS, type NewLink, type OpenLink, tooManyLinks
} from './link-records.ts'
import { joinPath, splitPath } from './paths.ts'
import type { FileRecord, FolderRecord, NewFile, Quota } from './records.ts'
import { type Db, existing, first, isAny, matching, pipeline, placeholder, prepared, query, type Rule } from './rule.ts'
import type { Tables } from './schema.ts'
import type { Services } from './services.ts'

/**
 * Links: a part of the contract of {@link Metadata}. A link is found by the id of its file or folder, so it follows
 * renames and moves, and ends in the transaction that deletes that. The methods of owners take their id; those of
 * visitors take what `findBySecret` returned.
 */
export type LinkRepository = ReturnType<typeof createLinks>

export function createLinks ({ engine, owners, tree, contents, linkUploads, members, read, write }: Services) {
  const { tables, apply, clock, isUnlockedIn, readCached, transact } = engine
  const { links, linkNetworks } = tables
  const columns = linkColumns(tables)
  const queries = queriesOf(engine)

  const isOwn = (ownerId: number, id: number) => and(eq(links.accountId, ownerId), eq(links.id, id))

  /** Condition for the links of a file or folder. */
  function * isOf (ownerId: number, name: string): Rule<SQL | undefined> {
    const [file, folder] = yield * pipeline(contents.find(ownerId, name), tree.find(ownerId, name))
    // No file or folder has the id 0.
    return folder === undefined ? eq(links.fileId, file?.id ?? 0) : eq(links.folderId, folder.id)
  }

  /** Links for one upload, or the others. */
  const isForOne = (isOneUpload: boolean) => isOneUpload ? isNotNull(links.fileName) : isNull(links.fileName)

  /** Returns those that there were. */
  function * drop (ownerId: number, condition: SQL | undefined): Rule<Pick<LinkRecord, 'id' | 'fileName'>[]> {
    yield * owners.lock(ownerId)
    const removed = yield * query(db => db.delete(links)
      .where(and(eq(links.accountId, ownerId), condition)).returning({ id: links.id, fileName: links.fileName }))
    if (removed.length > 0) yield * linkUploads.end(ownerId, removed.map(({ id }) => id))
    return removed
  }

  const folderBelow = ({ ownerId, folderId }: LinkedFolder, folder: string) =>
    queries.folderBelow({ ownerId, folderId, below: belowOf(folder) }, rows => existing(rows).id)

  return {
    /**
     * @throws not_found, validation_failed if an `upload` link is for a file, name_taken if its `fileName` is,
     * too_many_links at {@link MAX_LINKS}, and at {@link MAX_UPLOAD_LINKS} for those with a `fileName`.
     */
    add: ({ name, ...link }: NewLink) => engine.transactFor(link.accountId, function * () {
      const { accountId, fileName } = link
      const isOneUpload = fileName !== null
      const [, file, folder, createdAt, [present]] = yield * pipeline(
        owners.lock(accountId),
        contents.find(accountId, name),
        tree.find(accountId, name),
        engine.now(),
        query(db => db.select({ links: count() }).from(links)
          .where(and(eq(links.accountId, accountId), isForOne(isOneUpload))))
      )
      if (file === undefined && folder === undefined) throw new Problem('not_found')
      if (link.kind === 'upload' && folder === undefined) {
        throw invalidField('name', 'is a file: a link of the kind `upload` is for a folder')
      }
      if (isOneUpload) yield * linkUploads.requireUnused(accountId, joinPath(name, fileName))
      if (Number(present?.links) >= (isOneUpload ? MAX_UPLOAD_LINKS : MAX_LINKS)) throw tooManyLinks(isOneUpload)
      const values = { ...link, createdAt, fileId: file?.id ?? null, folderId: folder?.id ?? null }
      return yield * query(db => db.insert(links).values(values).returning(columns), existing)
    }),

    find: read((ownerId: number, id: number) =>
      query(db => db.select(columns).from(links).where(isOwn(ownerId, id)), first)),

    /** Newest first: at most `limit` with an id below `beforeId`; those for one upload, or the others. */
    list: read(function * (ownerId: number, { name, isOneUpload = false, beforeId, limit }: ListedLinks) {
      const isWanted = name === undefined ? undefined : yield * isOf(ownerId, name)
      return yield * query(db => db.select(columns).from(links).where(and(
        eq(links.accountId, ownerId),
        isForOne(isOneUpload),
        isWanted,
        beforeId === undefined ? undefined : lt(links.id, beforeId)
      )).orderBy(desc(links.id)).limit(limit))
    }),

    /** Changes some terms, or the secret. @throws not_found. */
    change: write(function * (
      ownerId, id: number, changes: Partial<LinkTerms & Pick<NewLink, 'secretHash' | 'secretSealed'>>
    ) {
      // Locked: an upload that is decided at the same time sees the limits of before or of after.
      yield * owners.lock(ownerId)
      const changed = yield * query(db => db.update(links).set({ ...changes, id })
        .where(isOwn(ownerId, id)).returning(columns), existing)
      if (changes.passwordHash !== undefined) {
        yield * query(db => db.delete(linkNetworks).where(eq(linkNetworks.linkId, id)))
      }
      return changed
    }),

    /** Ends a link, and with it its unfinished uploads. @throws not_found. */
    remove: write(function * (ownerId, id: number) {
      const [removed] = yield * drop(ownerId, eq(links.id, id))
      if (removed === undefined) throw new Problem('not_found')
      return removed
    }),

    /** Deletes up to `limit` links for one upload that have expired; true if there may be more. */
    async removeExpired (limit: number): Promise<boolean> {
      const some = (db: Db, limit: number) => db.select({ id: links.id }).from(links)
        .where(and(isNotNull(links.fileName), lte(links.expiresAt, clock))).limit(limit)
      // Usually there is none, and a write costs a sync.
      if (!await engine.read(() => query(db => some(db, 1), isAny))) return false
      const removed = await apply(() => query(db => db.delete(links)
        .where(isUnlockedIn(links.id, some(db, limit))).returning({ id: links.id })))
      return removed.length === limit
    },

    /** Ends all links of an account, or those of one file or folder. Returns how many. */
    removeAll: write(function * (ownerId, name?: string) {
      return (yield * drop(ownerId, name === undefined ? undefined : yield * isOf(ownerId, name))).length
    }),

    /** The link with this secret; undefined if it expired, or its account is disabled or deleted. */
    async findBySecret (secretHash: string): Promise<OpenLink | undefined> {
      const row = await readCached(`link ${secretHash}`, () =>
        queries.bySecret({ secretHash }, first))
      if (row === undefined) return undefined
      const now = engine.timeOf(row)
      const { link, account, file, folder } = row
      if (link.expiresAt !== null && link.expiresAt <= now) return undefined
      return { link, account, file: file ?? undefined, folder: folder ?? undefined, now }
    },

    /** Adds to the uses of a link; no error if it has ended. */
    recordUses: (id: number, { count, at }: { count: number, at: number }) => apply(() => query(db => db.update(links)
      .set({ uses: sql`${links.uses} + ${count}`, lastUsedAt: at }).where(eq(links.id, id)), () => {})),

    /**
     * Whether the link was unlocked from a network since its password was set. The latest {@link MAX_LINK_NETWORKS} are
     * remembered.
     */
    isKnownNetwork: read((id: number, network: string) => query(db => db.select().from(linkNetworks)
      .where(and(eq(linkNetworks.linkId, id), eq(linkNetworks.network, network))), isAny)),

    /** Records that; nothing if the link has ended or has another password by now. */
    addKnownNetwork: (
      { id, passwordHash }: Pick<LinkRecord, 'id' | 'passwordHash'>, network: string, at: number
    ) => transact(function * () {
      yield * query(db => db.insert(linkNetworks).select(db.select({
        linkId: links.id,
        network: sql<string>`cast(${network} AS text)`.as('network'),
        firstAt: sql<number>`cast(${at} AS bigint)`.as('first_at')
      }).from(links).where(and(eq(links.id, id), sql`${links.passwordHash} = ${passwordHash}`))).onConflictDoNothing())
      const oldest = sql`(SELECT ln.first_at FROM link_networks ln WHERE ln.link_id = ${id}
        ORDER BY ln.first_at DESC LIMIT 1 OFFSET ${MAX_LINK_NETWORKS - 1})`
      yield * query(db => db.delete(linkNetworks)
        .where(and(eq(linkNetworks.linkId, id), lt(linkNetworks.firstAt, oldest))))
    }),

    /** A file below a linked folder, found from the id of that in one statement. */
    findFile ({ ownerId, folderId }: LinkedFolder, name: string): Promise<FileRecord | undefined> {
      const { folder, name: segment } = splitPath(name)
      // Without its first word the key would be that of a file in a folder whose name is a number.
      return readCached(`below ${ownerId}/${folderId}/${name}`, () =>
        queries.fileBelow({ ownerId, folderId, below: belowOf(folder), name: segment }, first))
    },

    /** The id of a folder below a linked one. @throws not_found. */
    idOfFolder: read((at: LinkedFolder, folder: string) => folderBelow(at, folder)),

    /** The files directly in a folder, by name. @throws not_found. */
    listFiles: read(function * (at: LinkedFolder, { folder, ...page }: LinkedPage): Rule<FileRecord[]> {
      return yield * members.files.list(at.ownerId, yield * folderBelow(at, folder), page)
    }),

    /** The folders directly in a folder, by name. @throws not_found. */
    listFolders: read(function * (at: LinkedFolder, { folder, ...page }: LinkedPage): Rule<FolderRecord[]> {
      return yield * members.folders.list(at.ownerId, yield * folderBelow(at, folder), page)
    }),

    /**
     * Adds a file to the folder of an `upload` link, under the next free one of `name`, `name (2)` and so on.
     * `file.name` is one segment. The limits of the link and the quota are decided in the transaction; kept content
     * counts.
     * @throws not_found if the link has ended, link_limit_reached, quota_exceeded, file_locked; by a link for one
     * upload also digest_mismatch, and name_taken instead of another name.
     */
    store: (linkId: number, file: NewFile, quota: Quota) => engine.transactFor(file.ownerId, function * () {
      return yield * linkUploads.store(yield * linkUploads.open({ ownerId: file.ownerId, linkId, quota }), file)
    }),

    /**
     * How much an `upload` link accepts now: an early check, which waits for no transaction. Unfinished uploads count.
     * @throws not_found if it has ended.
     */
    room: read((ownerId: number, linkId: number, quota: Quota) => linkUploads.room({ ownerId, linkId, quota }))
  }
}

/** What follows the path of a linked folder in that of a folder below it. */
function belowOf (folder: string): string {
  return folder === '' ? '' : `/${folder}`
}

/** The columns of a `LinkRecord`. Its name is the path of its file or folder. */
function linkColumns ({ links }: Tables) {
  const name = sql<string>`coalesce(
    (SELECT lf.path FROM folders lf WHERE lf.id = links.folder_id),
    (SELECT coalesce((SELECT fo.path || '/' FROM folders fo WHERE fo.id = fi.folder_id), '') || fi.name
      FROM files fi WHERE fi.id = links.file_id))`
  return { ...getTableColumns(links), name }
}

function queriesOf ({ tables, clock }: Engine) {
  const { accounts, files, folders, links } = tables
  // In one statement with what is found in it: the linked folder may be moved at the same time.
  const isBelow = and(
    matching(folders, 'ownerId'),
    sql`${folders.path} = (SELECT lf.path FROM folders lf
      WHERE lf.id = ${placeholder('folderId')}) || cast(${placeholder('below')} AS text)`
  )
  return prepared('links', {
    bySecret: db => db.select({
      link: linkColumns(tables),
      account: accountColumns(tables),
      file: fileColumns(tables),
      folder: folderColumns(tables),
      now: clock.mapWith(Number)
    }).from(links)
      .innerJoin(accounts, eq(accounts.id, links.accountId))
      .leftJoin(files, eq(files.id, links.fileId))
      .leftJoin(folders, eq(folders.id, links.folderId))
      .where(and(matching(links, 'secretHash'), isNull(accounts.removedAt), isNull(accounts.disabledAt))),
    fileBelow: db => db.select(fileColumns(tables)).from(files).where(and(
      matching(files, 'ownerId', 'name'),
      eq(files.folderId, db.select({ id: folders.id }).from(folders).where(isBelow))
    )),
    folderBelow: db => db.select({ id: folders.id }).from(folders).where(isBelow)
  })
}
