import { and, eq, gt, lte, sql } from 'drizzle-orm'
import { clock, type Connections } from './connections.ts'
import { blobHolds } from './schema.ts'

/** While a hold has not expired, no bytes of discarded blobs are given out to be deleted. A backup renews its hold while it runs. */
export interface BlobHolds {
  /** The hold is committed before the backup reads which files there are. Returns its id. */
  holdBlobs (seconds: number): Promise<number>
  /** False if the hold expired: bytes may have been deleted since. */
  renewHold (id: number, seconds: number): Promise<boolean>
  releaseHold (id: number): Promise<void>
}

export function createBlobHolds ({ write, executeIdempotent }: Connections): BlobHolds {
  const expiry = (seconds: number) => sql`${clock} + ${seconds * 1000}`

  return {
    holdBlobs: seconds => write(async db => {
      await db.delete(blobHolds).where(lte(blobHolds.expiresAt, clock))
      const [hold] = await db.insert(blobHolds).values({ expiresAt: expiry(seconds) }).returning()
      return Number(hold?.id)
    }),

    renewHold: (id, seconds) => executeIdempotent(async db => {
      const { rowCount } = await db.update(blobHolds).set({ expiresAt: expiry(seconds) }).where(and(eq(blobHolds.id, id), gt(blobHolds.expiresAt, clock)))
      return rowCount === 1
    }),

    releaseHold: id => executeIdempotent(async db => { await db.delete(blobHolds).where(eq(blobHolds.id, id)) })
  }
}
