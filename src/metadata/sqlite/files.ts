import { and, between, eq, gt, sql } from 'drizzle-orm'
import type { BetterSQLite3Database } from 'drizzle-orm/better-sqlite3'
import { Problem } from '../../problems.ts'
import type { Metadata } from '../metadata.ts'
import { permits } from '../preconditions.ts'
import type { FileRecord } from '../records.ts'
import type { Committer } from './committer.ts'
import { isUniqueViolation } from './failures.ts'
import { later, type FileWriter } from './file-writer.ts'
import { afterPosition, ordering } from './paging.ts'
import { createRowCache } from './row-cache.ts'
import { files } from './schema.ts'

type FileRepository = Pick<Metadata,
  'addFile' | 'putFile' | 'findFile' | 'hasFileOfSize' | 'listFiles' | 'renameFile' | 'correctFileDate' | 'removeFile'
>

export function createFileRepository (db: BetterSQLite3Database, committer: Committer, writer: FileWriter): FileRepository {
  const { commit, read } = committer
  const cached = createRowCache<FileRecord>(committer)
  const { find, create, replace, remove } = writer
  const ofSize = db.select({ id: files.id }).from(files).where(and(
    eq(files.ownerId, sql.placeholder('ownerId')), between(files.size, sql.placeholder('minBytes'), sql.placeholder('maxBytes'))
  )).prepare()

  return {
    addFile: (file, quota) => commit(() => {
      const current = find(file.ownerId, file.name)
      if (current === undefined) return { file: create(file, { quota }), isNew: true }
      if (current.sha256 !== file.sha256 || current.size !== file.size) throw new Problem('name_taken')
      return { file: current, isNew: false }
    }),

    putFile: (file, quota, precondition) => commit(() => {
      const current = find(file.ownerId, file.name)
      if (!permits(precondition, current)) throw new Problem('precondition_failed')
      return current === undefined
        ? { file: create(file, { quota }), isNew: true }
        : { file: replace(current, file, { quota }), isNew: false }
    }),

    findFile: (ownerId, name) => read(() => cached(`${ownerId}/${name}`, () => find(ownerId, name))),

    hasFileOfSize: (ownerId, sizes) => read(() => ofSize.get({ ownerId, ...sizes }) !== undefined),

    listFiles: (ownerId, page) => read(() => db.select().from(files)
      .where(and(eq(files.ownerId, ownerId), afterPosition(page)))
      .orderBy(...ordering(page.order)).limit(page.limit).all()),

    renameFile: (ownerId, name, newName, now = Date.now()) => commit(() => {
      const current = find(ownerId, name)
      if (current === undefined) throw new Problem('not_found')
      if (newName === name) return current
      try {
        return db.update(files).set({ name: newName, updatedAt: later(current, now) }).where(eq(files.id, current.id)).returning().get()
      } catch (error) {
        if (isUniqueViolation(error)) throw new Problem('name_taken', { cause: error })
        throw error
      }
    }),

    correctFileDate: (ownerId, name, now = Date.now()) => commit(() => {
      db.update(files).set({ updatedAt: now }).where(and(eq(files.ownerId, ownerId), eq(files.name, name), gt(files.updatedAt, now))).run()
    }),

    removeFile: (ownerId, name, { precondition, isPermanent, now = Date.now() }) => commit(() => remove(ownerId, name, { precondition, isPermanent, now }))
  }
}
