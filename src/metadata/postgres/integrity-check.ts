import { and, asc, eq, getTableName, gt, inArray, isNull, ne, or, sql } from 'drizzle-orm'
import { getTableConfig, type PgColumn, type PgTable, union, unionAll } from 'drizzle-orm/pg-core'
import type { Metadata } from '../metadata.ts'
import type { StoredContent } from '../records.ts'
import type { Connections, Db } from './connections.ts'
import { accountNetworks, accounts, blobLeases, discardedBlobs, events, files, kept, tokens, uploads } from './schema.ts'

type IntegrityRepository = Pick<Metadata, 'contentsAfter' | 'referencedBlobs' | 'usageMismatches' | 'repairUsage' | 'checkIntegrity'>

/** Findings of one kind that are listed. */
const MAX_FINDINGS = 100

type Content = StoredContent['content']

const fileContent = { blobId: files.blobId, content: sql<Content>`'file'`, size: files.size, sha256: files.sha256, ownerId: files.ownerId, name: sql<string | null>`${files.name}` }
const keptContent = {
  blobId: kept.id,
  content: sql<Content>`CASE WHEN ${kept.name} IS NULL THEN 'version' ELSE 'trash' END`,
  size: kept.size,
  sha256: kept.sha256,
  ownerId: kept.ownerId,
  name: sql<string | null>`coalesce(${kept.name}, ${files.name})`
}

/** `patient` is for what reads whole tables. */
export function createIntegrityRepository ({ read, write }: Connections, patient: Connections): IntegrityRepository {
  // Raw SQL: in a query of one table Drizzle omits the table's name, and `id` would be the file's.
  const bytes = sql`(SELECT coalesce(sum(f.size), 0)::bigint FROM files f WHERE f.owner_id = accounts.id)`.mapWith(Number)
  const count = sql`(SELECT count(*) FROM files f WHERE f.owner_id = accounts.id)`.mapWith(Number)
  const keptBytes = sql`(SELECT coalesce(sum(k.size), 0)::bigint FROM kept k WHERE k.owner_id = accounts.id)`.mapWith(Number)
  // The files of deleted accounts are deleted in batches, which does not update the usage.
  const isWrong = and(isNull(accounts.removedAt), or(ne(accounts.usedBytes, bytes), ne(accounts.usedFiles, count), ne(accounts.keptBytes, keptBytes)))

  const mismatches = (db: Db) => db.select({
    accountId: accounts.id,
    recorded: { bytes: accounts.usedBytes, files: accounts.usedFiles, keptBytes: accounts.keptBytes },
    actual: { bytes, files: count, keptBytes }
  }).from(accounts).where(isWrong)

  return {
    // Each part is read in the order of its own index, and no further than needed.
    contentsAfter: (afterId, limit) => read(db => unionAll(
      db.select(fileContent).from(files).where(gt(files.blobId, afterId)).orderBy(asc(files.blobId)).limit(limit),
      db.select(keptContent).from(kept).leftJoin(files, eq(files.id, kept.fileId)).where(gt(kept.id, afterId)).orderBy(asc(kept.id)).limit(limit)
    ).orderBy(sql`1`).limit(limit)),

    referencedBlobs: blobIds => read(async db => new Set((await union(
      db.select({ blobId: files.blobId }).from(files).where(inArray(files.blobId, blobIds)),
      db.select({ blobId: kept.id }).from(kept).where(inArray(kept.id, blobIds)),
      db.select({ blobId: uploads.blobId }).from(uploads).where(and(inArray(uploads.blobId, blobIds), isNull(uploads.result))),
      db.select({ blobId: discardedBlobs.blobId }).from(discardedBlobs).where(inArray(discardedBlobs.blobId, blobIds)),
      db.select({ blobId: blobLeases.blobId }).from(blobLeases).where(inArray(blobLeases.blobId, blobIds))
    )).map(row => row.blobId))),

    // One statement reads one state: a file that is added meanwhile is in both sums or in neither.
    usageMismatches: () => patient.read(mismatches),

    async repairUsage () {
      for (const { accountId } of await patient.read(mismatches)) {
        await write(async db => {
          // Locked first: a single statement would sum what it saw before it waited for a file that is being added.
          await db.select({ id: accounts.id }).from(accounts).where(eq(accounts.id, accountId)).for('no key update')
          await db.update(accounts).set({ usedBytes: bytes, usedFiles: count, keptBytes }).where(eq(accounts.id, accountId))
        })
      }
    },

    checkIntegrity: () => patient.read(async db => {
      const findings: string[] = []
      for (const reference of references) findings.push(...await danglingRows(db, reference))
      return findings
    })
  }
}

type Reference = ReturnType<typeof getTableConfig>['foreignKeys'][number]

const references = [accountNetworks, events, files, kept, tokens, uploads].flatMap(table => getTableConfig(table).foreignKeys)

/** Rows that refer to a row that does not exist: PostgreSQL prevents them, unless someone has switched that off. */
async function danglingRows (db: Db, key: Reference): Promise<string[]> {
  const { columns: [column], foreignTable, foreignColumns: [target] } = key.reference() as { columns: [PgColumn], foreignTable: PgTable, foreignColumns: [PgColumn] }
  const { rows } = await db.execute<{ value: string }>(sql`
    SELECT ${column} AS value FROM ${column.table}
    LEFT JOIN ${foreignTable} parents ON parents.${sql.identifier(target.name)} = ${column}
    WHERE ${column} IS NOT NULL AND parents.${sql.identifier(target.name)} IS NULL LIMIT ${MAX_FINDINGS}`)
  return rows.map(({ value }) => `a row of ${getTableName(column.table)} refers to row ${value} of ${getTableName(foreignTable)}, which does not exist`)
}
