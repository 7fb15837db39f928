import { and, desc, eq, getTableColumns, isNull, lt, sql } from 'drizzle-orm'
import { accountColumns, fileColumns, folderColumns } from './columns.ts'
import type { Engine } from './engine.ts'
import { MAX_LINK_NETWORKS, MAX_LINKS } from './link-records.ts'
import { plus, limitedTo, matching, placeholder, placeholders, prepared } from './rule.ts'
import type { Tables } from './schema.ts'

/** The columns of a `LinkRecord`. Its name is the path of its file or folder. */
export function linkColumns ({ links }: Tables) {
  const name = sql<string>`coalesce(
    (SELECT lf.path FROM folders lf WHERE lf.id = links.folder_id),
    (SELECT coalesce((SELECT fo.path || '/' FROM folders fo WHERE fo.id = fi.folder_id), '') || fi.name
      FROM files fi WHERE fi.id = links.file_id))`
  return { ...getTableColumns(links), name }
}

/** The named queries of links. */
export function linkQueries ({ tables, clock }: Engine) {
  const { accounts, files, folders, links, linkNetworks } = tables
  const columns = linkColumns(tables)
  const isOfLink = eq(linkNetworks.linkId, placeholder('id'))
  const isOfOwner = eq(links.accountId, placeholder('ownerId'))
  // In one statement with what is found in it: the linked folder may be moved at the same time.
  const isBelow = and(
    matching(folders, 'ownerId'),
    sql`${folders.path} = (SELECT lf.path FROM folders lf
      WHERE lf.id = ${placeholder('folderId')}) || cast(${placeholder('below')} AS text)`
  )
  return prepared('link_queries', {
    lastAllowed: db => db.select({ id: links.id }).from(links)
      .where(matching(links, 'accountId')).orderBy(limitedTo(desc(links.id), 1, MAX_LINKS - 1)),
    insert: db => db.insert(links).values(placeholders(
      'accountId', 'kind', 'fileId', 'folderId', 'secretHash', 'secretSealed', 'passwordHash', 'expiresAt', 'maxFiles',
      'maxBytes', 'showsOwner', 'createdAt'
    )).returning(columns),
    byId: db => db.select(columns).from(links)
      .where(and(isOfOwner, matching(links, 'id'))),
    bySecret: db => db.select({
      link: columns,
      account: accountColumns(tables),
      file: fileColumns(tables),
      folder: folderColumns(tables),
      now: clock.mapWith(Number)
    }).from(links)
      .innerJoin(accounts, eq(accounts.id, links.accountId))
      .leftJoin(files, eq(files.id, links.fileId))
      .leftJoin(folders, eq(folders.id, links.folderId))
      .where(and(
        matching(links, 'secretHash'),
        isNull(accounts.removedAt),
        isNull(accounts.disabledAt)
      )),
    recordUses: db => db.update(links).set({
      uses: plus(links.uses, 'count'),
      lastUsedAt: sql`${placeholder('at')}`
    }).where(matching(links, 'id')),
    knownNetwork: db => db.select({ network: linkNetworks.network }).from(linkNetworks)
      .where(and(isOfLink, matching(linkNetworks, 'network'))),
    addNetwork: db => db.insert(linkNetworks).select(db.select({
      linkId: links.id,
      network: sql<string>`cast(${placeholder('network')} AS text)`.as('network'),
      firstAt: sql<number>`cast(${placeholder('at')} AS bigint)`.as('first_at')
    }).from(links).where(matching(links, 'id', 'passwordHash')))
      .onConflictDoNothing(),
    forgetOldest: db => db.delete(linkNetworks).where(and(
      isOfLink,
      lt(linkNetworks.firstAt, sql`(SELECT ln.first_at FROM link_networks ln WHERE ln.link_id = ${placeholder('id')}
        ORDER BY ln.first_at DESC LIMIT 1 OFFSET ${sql.raw(String(MAX_LINK_NETWORKS - 1))})`)
    )),
    forgetNetworks: db => db.delete(linkNetworks).where(isOfLink),
    fileBelow: db => db.select(fileColumns(tables)).from(files).where(and(
      matching(files, 'ownerId', 'name'),
      eq(files.folderId, db.select({ id: folders.id }).from(folders).where(isBelow))
    )),
    folderBelow: db => db.select({ id: folders.id }).from(folders).where(isBelow)
  })
}
