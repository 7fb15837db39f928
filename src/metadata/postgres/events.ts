import { and, desc, eq, lt, sql } from 'drizzle-orm'
import type { Metadata } from '../metadata.ts'
import type { Connections } from './connections.ts'
import { events } from './schema.ts'

export function createEventRepository ({ read, execute }: Connections): Pick<Metadata, 'addEvent' | 'listEvents'> {
  return {
    addEvent: ({ accountId, kind, network, requestId, at = null }, keep) => execute(async db => {
      await db.execute(sql`SELECT add_event(${accountId}, ${kind}, ${network}, ${requestId}, ${at}, ${keep})`)
    }),

    listEvents: (accountId, { beforeId, limit }) => read(db => db.select().from(events)
      .where(and(eq(events.accountId, accountId), beforeId === undefined ? undefined : lt(events.id, beforeId)))
      .orderBy(desc(events.id)).limit(limit))
  }
}
