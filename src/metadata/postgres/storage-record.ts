import { sql } from 'drizzle-orm'
import type { Connections } from './connections.ts'
import { installation } from './schema.ts'

/** Which blob store all processes that share the database must use. */
export interface StorageRecord {
  findStorageId (): Promise<string | undefined>
  /** Records an id unless there is one. Returns the one that is recorded then. */
  recordStorageId (id: string): Promise<string>
}

export function createStorageRecord ({ read, executeIdempotent }: Connections): StorageRecord {
  return {
    async findStorageId () {
      const [row] = await read(db => db.select({ id: installation.storageId }).from(installation))
      return row?.id ?? undefined
    },

    async recordStorageId (id) {
      const [row] = await executeIdempotent(db => db.update(installation).set({ storageId: sql`coalesce(${installation.storageId}, ${id})` }).returning({ id: installation.storageId }))
      return String(row?.id)
    }
  }
}
