import { and, eq, isNotNull, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { ChangeLog } from './changes.ts'
import type { Conditions } from './conditions.ts'
import type { Engine } from './engine.ts'
import type { FileContents } from './file-contents.ts'
import type { FolderTree } from './folder-tree.ts'
import { alters, type LockGuard } from './lock-guard.ts'
import type { Owners } from './owners.ts'
import {
  MAX_PROPERTIES, MAX_PROPERTY_BYTES, type Property, type PropertyChange, type PropertyChanges, type PropertyName,
  type PropertyRepository
} from './properties.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

interface PropertyOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly guard: LockGuard
  readonly changeLog: ChangeLog
}

/** Rows of a table with dead properties; none without. */
type Rows = readonly { readonly id: number, readonly properties: readonly Property[] }[]

export class PropertyRules implements PropertyRepository {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents
  readonly #guard: LockGuard
  readonly #changeLog: ChangeLog

  constructor ({ engine, owners, tree, contents, guard, changeLog }: PropertyOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
    this.#guard = guard
    this.#changeLog = changeLog
  }

  ofFiles (ownerId: number, ids: readonly number[]): Promise<Map<number, readonly Property[]>> {
    return this.#engine.read(() => ask(this.#queries.ofFiles, { ownerId, ids }, mapOf))
  }

  ofFolders (ownerId: number, ids: readonly number[]): Promise<Map<number, readonly Property[]>> {
    return this.#engine.read(() => ask(this.#queries.ofFolders, { ownerId, ids }, mapOf))
  }

  change (ownerId: number, path: string, changes: PropertyChanges, conditions: Conditions): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#change(ownerId, path, { changes, conditions }))
  }

  * #change (
    ownerId: number, path: string, { changes, conditions }: { changes: PropertyChanges, conditions: Conditions }
  ): Rule<void> {
    const { files, folders } = this.#engine.tables
    const [owner, file, folder, time] = yield * together(
      this.#owners.lock(ownerId),
      this.#contents.find(ownerId, path),
      this.#tree.find(ownerId, path),
      this.#engine.now()
    )
    const id = file?.id ?? folder?.id
    if (id === undefined) throw new Problem('not_found')
    yield * this.#guard.admit({ owner, current: file, time }, conditions, alters(path))
    const { ofFiles, ofFolders } = this.#queries
    const current = yield * ask(file === undefined ? ofFolders : ofFiles, { ownerId, ids: [id] }, mapOf)
    const properties = changed(current.get(id) ?? [], changes.properties)
    const modifiedAt = changes.modifiedAt ?? file?.modifiedAt
    yield * together(
      ask(writing('', db => file === undefined
        ? db.update(folders).set({ properties }).where(eq(folders.id, id))
        : db.update(files).set({ properties, modifiedAt }).where(eq(files.id, id)))),
      file !== undefined && modifiedAt !== file.modifiedAt ? this.#changeLog.stored(file, time) : undefined
    )
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
    throw new Problem('properties_too_large', { detail: `A file or folder has at most ${MAX_PROPERTIES} properties, of ${MAX_PROPERTY_BYTES} bytes together.` })
  }
  return all.length === 0 ? null : all
}

function mapOf (rows: Rows): Map<number, readonly Property[]> {
  return new Map(rows.map(({ id, properties }) => [id, properties]))
}

function queriesOf ({ tables, isAmong }: Engine) {
  const { files, folders } = tables
  const select = (table: typeof files | typeof folders, name: string) => reading(name, db => db.select({
    id: table.id, properties: sql<readonly Property[]>`${table.properties}`.mapWith(table.properties)
  }).from(table as typeof files).where(and(
    eq(table.ownerId, placeholder('ownerId')), isAmong(table.id, 'ids'), isNotNull(table.properties)
  )))
  return { ofFiles: select(files, 'file_properties'), ofFolders: select(folders, 'folder_properties') }
}
