import { and, asc, between, desc, eq, gt, gte, lt, sql, type SQL } from 'drizzle-orm'
import { Problem } from '../../problems.ts'
import type { Keeping } from '../kept.ts'
import type { Metadata } from '../metadata.ts'
import { isUnconditional, permits, type Precondition } from '../preconditions.ts'
import { afterPrefix } from '../prefix.ts'
import { type FileOrder, type FilePage, type FileRecord, type NewFile, type Quota, refuseBeyondQuota } from '../records.ts'
import { clock, prepared, type Connections } from './connections.ts'
import { isUniqueViolation } from './failures.ts'
import { callOf, createRowQuery } from './results.ts'
import { accounts, files } from './schema.ts'

type FileRepository = Pick<Metadata,
  'addFile' | 'putFile' | 'findFile' | 'hasFileOfSize' | 'listFiles' | 'renameFile' | 'correctFileDate' | 'removeFile'
>

/** How often a precondition is judged while others change the file at the same time. */
const MAX_JUDGEMENTS = 10

/** What a precondition was judged against: the id of a blob, or `none` for no file. Null: there is no precondition. */
type Judged = string | null

type Outcome = 'added' | 'replaced' | 'same' | 'changed' | 'unknown' | 'not_found' | 'name_taken' | 'quota_bytes' | 'quota_files' | 'lease_ended'

/** `used` and `added` are numbers if they exceed a quota. */
interface StoreResult { readonly outcome: Outcome, readonly used: number, readonly added: number, readonly file: FileRecord }

interface StoreRequest { readonly file: NewFile, readonly quota: Quota, readonly replaces: boolean, readonly judged: Judged }

const { placeholder } = sql
const byName = prepared(db => db.select().from(files).where(and(eq(files.ownerId, placeholder('ownerId')), eq(files.name, placeholder('name')))).prepare('file_by_name'))

const ofSize = prepared(db => db.select({ id: files.id }).from(files).where(and(
  eq(files.ownerId, placeholder('ownerId')), between(files.size, placeholder('minBytes'), placeholder('maxBytes'))
)).limit(1).prepare('file_of_size'))

const store = createRowQuery<Omit<StoreResult, 'file'> & FileRecord>({
  name: 'store_file',
  text: `SELECT outcome, used, added, (file).id, (file).owner_id AS "ownerId", (file).name, (file).size, (file).type, (file).sha256,
    (file).blob_id AS "blobId", (file).created_at AS "createdAt", (file).updated_at AS "updatedAt", (file).stored_at AS "storedAt"
    FROM store_file($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, NULL, $14, $15)`
})

const remove = prepared(db => db.select({ outcome: sql<'removed' | 'not_found' | 'changed'>`remove_file` })
  .from(callOf('remove_file', ['ownerId', 'name', 'judged', 'isKept', 'now'])).prepare('remove_file'))

/** Column and direction of each sort order. */
const sorting = {
  name: { column: files.name, isAscending: true },
  '-name': { column: files.name, isAscending: false },
  oldest: { column: files.createdAt, isAscending: true },
  newest: { column: files.createdAt, isAscending: false },
  smallest: { column: files.size, isAscending: true },
  largest: { column: files.size, isAscending: false }
} as const satisfies Record<FileOrder, unknown>

export function createFileRepository ({ read, write, execute, executeIdempotent }: Connections, keeping: Keeping): FileRepository {
  const find = (ownerId: number, name: string) => read(async db => (await byName(db).execute({ ownerId, name }))[0])

  async function get (ownerId: number, name: string): Promise<FileRecord> {
    const file = await find(ownerId, name)
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  /** The function finds a file that an earlier try has added by its blob. */
  function storeFile ({ file, quota, replaces, judged }: StoreRequest): Promise<StoreResult> {
    return executeIdempotent(async (db, isRepeated) => {
      const { ownerId, name, size, type, sha256, blobId, now = null, isLeased } = file
      const { outcome, used, added, ...stored } = await store(db, [
        ownerId, name, size, type, sha256, blobId, now, quota.bytes, quota.files, isLeased, replaces, judged, isRepeated,
        keeping.milliseconds, keeping.versions
      ])
      // If the earlier try has added the file, another request may have removed it since: the outcome stays unknown.
      if (outcome === 'lease_ended' || outcome === 'unknown') {
        throw new Problem('unavailable', { detail: 'The lease of the new bytes ran out before they were stored.', headers: { 'retry-after': '1' } })
      }
      return { outcome, used, added, file: stored }
    })
  }

  return {
    async addFile (file, quota) {
      return stored(await storeFile({ file, quota, replaces: false, judged: null }), quota)
    },

    putFile: (file, quota, precondition) => untilJudged(async () => {
      const judged = isUnconditional(precondition) ? null : judge(precondition, await find(file.ownerId, file.name))
      const result = await storeFile({ file, quota, replaces: true, judged })
      return result.outcome === 'changed' ? undefined : stored(result, quota)
    }),

    findFile: find,

    hasFileOfSize: (ownerId, sizes) => read(async db => (await ofSize(db).execute({ ownerId, ...sizes })).length > 0),

    listFiles: (ownerId, page) => read(db => db.select().from(files)
      .where(and(eq(files.ownerId, ownerId), afterPosition(page)))
      .orderBy(...ordering(page.order)).limit(page.limit)),

    renameFile: (ownerId, name, newName, now) => write(async db => {
      // The owner's lock orders this with files that are added under the new name.
      await db.select({ id: accounts.id }).from(accounts).where(eq(accounts.id, ownerId)).for('no key update')
      const isThis = and(eq(files.ownerId, ownerId), eq(files.name, name))
      const changes = newName === name ? { name } : { name: newName, updatedAt: sql`greatest(${files.updatedAt}, ${now ?? clock})` }
      const [file] = await db.update(files).set(changes).where(isThis).returning().catch((error: unknown) => {
        throw isUniqueViolation(error) ? new Problem('name_taken', { cause: error }) : error
      })
      if (file === undefined) throw new Problem('not_found')
      return file
    }),

    correctFileDate: (ownerId, name, now) => executeIdempotent(async db => {
      const date = sql<number>`${now ?? clock}`
      await db.update(files).set({ updatedAt: date }).where(and(eq(files.ownerId, ownerId), eq(files.name, name), gt(files.updatedAt, date)))
    }),

    async removeFile (ownerId, name, { precondition, isPermanent, now = null }) {
      const isKept = keeping.milliseconds > 0 && !isPermanent
      await untilJudged(async () => {
        const current = isUnconditional(precondition) ? undefined : await get(ownerId, name)
        const judged = current === undefined ? null : judge(precondition, current)
        const [row] = await execute(db => remove(db).execute({ ownerId, name, judged, isKept, now }))
        if (row?.outcome === 'not_found') throw new Problem('not_found')
        return row?.outcome === 'changed' ? undefined : 'removed'
      })
    }
  }
}

/** Judges a precondition against the file as it was just read. */
function judge (precondition: Precondition, current: FileRecord | undefined): Judged {
  if (!permits(precondition, current)) throw new Problem('precondition_failed')
  return current?.blobId ?? 'none'
}

/** Calls `write`, which judges a precondition, again if the file was changed after that: then it returns undefined. */
export async function untilJudged<T> (write: () => Promise<T | undefined>): Promise<T> {
  for (let count = 0; count < MAX_JUDGEMENTS; count++) {
    const result = await write()
    if (result !== undefined) return result
  }
  throw new Problem('overloaded', { headers: { 'retry-after': '1' } })
}

function stored ({ outcome, used, added, file }: StoreResult, quota: Quota): { file: FileRecord, isNew: boolean } {
  if (outcome === 'not_found' || outcome === 'name_taken') throw new Problem(outcome)
  if (outcome === 'quota_bytes') refuseBeyondQuota('bytes', { used, added, limit: quota.bytes })
  if (outcome === 'quota_files') refuseBeyondQuota('files', { used, added, limit: quota.files })
  return { file, isNew: outcome === 'added' }
}

/** ORDER BY of a file listing. An owner has a name only once: with the id PostgreSQL would sort again. */
function ordering (order: FileOrder): SQL[] {
  const { column, isAscending } = sorting[order]
  const direction = isAscending ? asc : desc
  return column === files.name ? [direction(column)] : [direction(column), direction(files.id)]
}

/**
 * Condition for the files after the previous page. Compares (column, id) as one row value, so PostgreSQL seeks in the index to
 * the end of that page.
 */
function afterPosition ({ order, prefix = '', after }: FilePage): SQL | undefined {
  const { column, isAscending } = sorting[order]
  if (column === files.name) {
    const end = afterPrefix(prefix)
    const further = isAscending ? gt : lt
    return and(
      gte(column, prefix),
      end === undefined ? undefined : lt(column, end),
      after === undefined ? undefined : further(column, String(after.key))
    )
  }
  if (after === undefined) return undefined
  return isAscending
    ? sql`(${column}, ${files.id}) > (${after.key}, ${after.id})`
    : sql`(${column}, ${files.id}) < (${after.key}, ${after.id})`
}
