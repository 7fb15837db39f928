import { callerOf } from '../http/caller.ts'
import { DEFAULT_PAGE_SIZE } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import type { ChangePosition } from '../metadata/change-records.ts'
import { changeOf, CHANGES_PATH, listChanges, nextChanges } from './change-schemas.ts'
import type { Listing } from './cursor.ts'

interface Cursor { readonly key: readonly [epochId: string, at: number, readAt: number], readonly id: number }

export const changeRoutes: Routes = async (app, { changes, connections, cursors, links, ids, metadata, tokens }) => {
  app.get(CHANGES_PATH, {
    links: { 200: nextChanges },
    schema: listChanges
  }, async (request, reply) => {
    const caller = callerOf(request)
    const { id: ownerId } = caller.account
    const { cursor, wait: seconds = 0, limit = DEFAULT_PAGE_SIZE } = request.query
    const listing: Listing = [ownerId, 'changes']
    const after = positionOf(await cursors.read<Cursor>(cursor, listing))
    const read = () => metadata.changes.list(ownerId, { after, limit })
    let page = await read()
    if (seconds > 0 && page.reset === undefined && page.changes.length === 0) {
      const onceGone = (end: () => void) => connections.onceLeft(request.raw, reply.raw, end)
      await changes.wait(ownerId, { lastId: page.next.id, seconds, onceGone })
      await tokens.requireCurrent(caller)
      page = await read()
    }
    const { next: { epochId, id, at, readAt }, reset } = page
    return {
      changes: page.changes.map(change => changeOf(change, request.raw, { links, ids })),
      next: await cursors.write({ key: [epochId, at, readAt], id }, listing),
      reset: reset !== undefined,
      ...(reset !== undefined && { reason: reset })
    }
  })
}

function positionOf (cursor: Cursor | undefined): ChangePosition | undefined {
  if (cursor === undefined) return undefined
  const { key: [epochId, at, readAt], id } = cursor
  return { epochId, id, at, readAt }
}
