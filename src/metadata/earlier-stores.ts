import { eq, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { fileColumns } from './file-columns.ts'
import type { NewFile } from './records.ts'
import { ask, reading, together, type Rule } from './rule.ts'
import type { StoreResult } from './uploads-repository.ts'

const { placeholder } = sql

/** What a transaction did if it is repeated because its answer was lost. */
export class EarlierStores {
  readonly #queries: ReturnType<typeof queriesOf>

  constructor (engine: Engine) {
    this.#queries = queriesOf(engine)
  }

  /** The result of an earlier try to store a file; undefined if it stored nothing. @throws unavailable. */
  * find ({ blobId }: Pick<NewFile, 'blobId'>): Rule<StoreResult | undefined> {
    const { byBlob, leaseOf } = this.#queries
    const [[file], [lease]] = yield * together(ask(byBlob, { blobId }), ask(leaseOf, { blobId }))
    if (file !== undefined) return { file, isNew: file.createdAt === file.updatedAt }
    // Without a lease, it may have added a file that another request has since replaced or removed.
    const detail = 'It is not known whether the file was stored.'
    if (lease === undefined) throw new Problem('unavailable', { detail, headers: { 'retry-after': '1' } })
    return undefined
  }
}

function queriesOf ({ tables }: Engine) {
  const { files, blobLeases } = tables
  return {
    byBlob: reading('file_by_blob', db => db.select(fileColumns(tables)).from(files).where(eq(files.blobId, placeholder('blobId')))),
    leaseOf: reading('lease_of_blob', db => db.select({ blobId: blobLeases.blobId }).from(blobLeases)
      .where(eq(blobLeases.blobId, placeholder('blobId'))))
  }
}
