import { and, eq, inArray, isNotNull, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Conditions } from './conditions.ts'
import { targetsOf } from './lock-guard.ts'
import {
  MAX_PROPERTIES, MAX_PROPERTY_BYTES, type Property, type PropertyChange, type PropertyChanges, type PropertyName
} from './property-records.ts'
import { pipeline, query } from './rule.ts'
import type { Services } from './services.ts'

/**
 * Dead properties: a part of the contract of {@link Metadata}. They move with their file or folder, are copied with it,
 * and go to the trash with a file.
 */
export type PropertyRepository = ReturnType<typeof createProperties>

export function createProperties ({ engine, owners, tree, contents, guard, changeLog, read, write }: Services) {
  const { files, folders } = engine.tables

  /** Those of files, or of folders, by their ids. */
  const find = (table: typeof files | typeof folders, ownerId: number, ids: readonly number[]) => query(db => db
    .select({ id: table.id, properties: sql<readonly Property[]>`${table.properties}`.mapWith(table.properties) })
    .from(table as typeof files)
    .where(and(eq(table.ownerId, ownerId), inArray(table.id, [...ids]), isNotNull(table.properties))),
  rows => new Map(rows.map(({ id, properties }) => [id, properties])))

  return {
    /** Of files, by their ids; none of a file without one. */
    ofFiles: read((ownerId: number, ids: readonly number[]) => find(files, ownerId, ids)),

    /** Of folders, by their ids. */
    ofFolders: read((ownerId: number, ids: readonly number[]) => find(folders, ownerId, ids)),

    /** Of the file or folder with a path. @throws not_found, precondition_failed, file_locked, properties_too_large. */
    change: write(function * (ownerId, path: string, changes: PropertyChanges, conditions: Conditions) {
      const [owner, file, folder, time] = yield * pipeline(
        owners.lock(ownerId), contents.find(ownerId, path), tree.find(ownerId, path), engine.now()
      )
      const id = file?.id ?? folder?.id
      if (id === undefined) throw new Problem('not_found')
      yield * guard.admit({ owner, current: file, time }, conditions, targetsOf(path))
      const current = yield * find(file === undefined ? folders : files, ownerId, [id])
      const properties = changed(current.get(id) ?? [], changes.properties)
      const modifiedAt = changes.modifiedAt ?? file?.modifiedAt
      yield * pipeline(
        query(db => file === undefined
          ? db.update(folders).set({ properties }).where(eq(folders.id, id))
          : db.update(files).set({ properties, modifiedAt }).where(eq(files.id, id))),
        file !== undefined && modifiedAt !== file.modifiedAt ? changeLog.stored(file, time) : undefined
      )
    })
  }
}

/** The properties after changes; null if there are none. @throws properties_too_large. */
function changed (current: readonly Property[], changes: readonly PropertyChange[]): readonly Property[] | null {
  const keyOf = ({ namespace, name }: PropertyName) => `${namespace} ${name}`
  const properties = new Map(current.map(property => [keyOf(property), property]))
  for (const { xml, ...name } of changes) {
    if (xml === null) properties.delete(keyOf(name))
    else properties.set(keyOf(name), { ...name, xml })
  }
  const all = Array.from(properties.values())
  const bytes = all.reduce((sum, { namespace, name, xml }) => sum + Buffer.byteLength(namespace + name + xml), 0)
  if (bytes > MAX_PROPERTY_BYTES || all.length > MAX_PROPERTIES) {
    throw new Problem('properties_too_large', {
      detail: `A file or folder has at most ${MAX_PROPERTIES} properties, of ${MAX_PROPERTY_BYTES} bytes together.`
    })
  }
  return all.length === 0 ? null : all
}
