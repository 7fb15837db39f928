import { and, asc, between, eq, gt, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Engine } from './engine.ts'
import { later, type FileContents } from './file-contents.ts'
import type { KeptContents } from './kept-contents.ts'
import type { FileRepository } from './metadata.ts'
import type { Owners } from './owners.ts'
import { afterPosition, limitedTo, ordering } from './paging.ts'
import { permits } from './preconditions.ts'
import type { FileRecord, NewFile, Quota } from './records.ts'
import { ask, reading, Refusal, together, writing, type Rule } from './rule.ts'
import type { StoredUpload } from './uploads-repository.ts'

const { placeholder } = sql

interface FileOptions { readonly engine: Engine, readonly owners: Owners, readonly contents: FileContents, readonly keptContents: KeptContents }

export function createFileRepository ({ engine, owners, contents, keptContents }: FileOptions): FileRepository {
  const { tables: { files, blobLeases }, clock, now, read, readCached, apply, transactFor } = engine
  const { find, begin } = contents
  const ofSize = reading('file_of_size', db => db.select({ id: files.id }).from(files).where(and(
    eq(files.ownerId, placeholder('ownerId')), between(files.size, placeholder('minBytes'), placeholder('maxBytes'))
  )).orderBy(limitedTo(asc(files.size), 1)))
  const byBlob = reading('file_by_blob', db => db.select().from(files).where(eq(files.blobId, placeholder('blobId'))))
  const leaseOf = reading('lease_of_blob', db => db.select({ blobId: blobLeases.blobId }).from(blobLeases).where(eq(blobLeases.blobId, placeholder('blobId'))))

  /** What an earlier try has stored whose answer was lost; undefined if it stored nothing. */
  function * storedEarlier ({ blobId }: NewFile): Rule<StoredUpload | undefined> {
    const [[file], [lease]] = yield * together(ask(byBlob, { blobId }), ask(leaseOf, { blobId }))
    if (file !== undefined) return { file, isNew: file.createdAt === file.updatedAt }
    // Without a lease it may have added the file, and another request has already replaced or removed it: the outcome stays unknown.
    if (lease === undefined) throw new Problem('unavailable', { detail: 'It is not known whether the file was stored.', headers: { 'retry-after': '1' } })
    return undefined
  }

  /** Stores a file, unless `decide` finds that the one with its name stays. */
  function store (file: NewFile, quota: Quota, decide: (current: FileRecord | undefined) => StoredUpload | undefined): Promise<StoredUpload> {
    return keptContents.transactWithRoom(file.ownerId, function * (isRepeated) {
      const beginning = yield * begin(file.ownerId, file.name, quota)
      const earlier = isRepeated ? yield * storedEarlier(file) : undefined
      return earlier ?? decide(beginning.current) ?? (yield * contents.store(file, beginning))
    })
  }

  return {
    add: (file, quota) => store(file, quota, current => {
      if (current === undefined) return undefined
      if (current.sha256 !== file.sha256 || current.size !== file.size) throw new Problem('name_taken')
      return { file: current, isNew: false }
    }),

    put: (file, quota, precondition) => store(file, quota, current => {
      if (!permits(precondition, current)) throw new Problem('precondition_failed')
      return undefined
    }),

    find: (ownerId, name) => readCached(`${ownerId}/${name}`, () => find(ownerId, name)),

    hasOfSize: (ownerId, { minBytes, maxBytes }) => read(() => ask(ofSize, { ownerId, minBytes, maxBytes }, found => found.length > 0)),

    list: (ownerId, page) => read(() => ask(reading('', db => db.select().from(files)
      .where(and(eq(files.ownerId, ownerId), afterPosition(page, engine)))
      .orderBy(...ordering(page.order, files)).limit(page.limit)))),

    rename: (ownerId, name, newName) => transactFor(ownerId, function * () {
      // The owner's lock orders this with files that are added under the new name.
      const [, current, time] = yield * together(owners.lock(ownerId), find(ownerId, name), now())
      if (current === undefined) throw new Problem('not_found')
      if (newName === name) return current
      try {
        const [renamed] = yield * ask(writing('', db => db.update(files).set({ name: newName, updatedAt: later(current, time) }).where(eq(files.id, current.id)).returning()))
        return renamed as FileRecord
      } catch (error) {
        throw error instanceof Refusal ? new Problem('name_taken', { cause: error }) : error
      }
    }),

    correctDate: (ownerId, name) => apply(function * () {
      yield * ask(writing('', db => db.update(files).set({ updatedAt: clock }).where(and(eq(files.ownerId, ownerId), eq(files.name, name), gt(files.updatedAt, clock)))))
    }, ownerId),

    remove: (ownerId, name, removal) => transactFor(ownerId, function * () {
      const [owner, current, time] = yield * together(owners.lock(ownerId), find(ownerId, name), now())
      yield * contents.remove({ owner, current, time }, removal)
    })
  }
}
