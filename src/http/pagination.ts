import { Type, type Static } from '@sinclair/typebox'
import { NullableText } from './wire-values.ts'

/** A cursor of what is listed by id: a text to clients, who hand it back as it is. */
const ID_CURSOR = { pattern: '^[1-9][0-9]{0,15}$', maxLength: 16 }

const DEFAULT_PAGE_SIZE = 100

/** Entries on a page. */
export const PageSize = (description: string) => Type.Integer({ format: 'int32', minimum: 1, maximum: 1000, default: DEFAULT_PAGE_SIZE, description: `${description}, 1 to 1,000.`, examples: [50] })

/** Where the next page of what is listed by id begins. */
export const NextId = NullableText({ ...ID_CURSOR, description: 'The `cursor` of the next page; null on the last one.', examples: ['17'] })

/** Pages of what is listed by id, the newest first. */
export const PageQuery = Type.Object({
  limit: Type.Optional(PageSize('Entries on a page')),
  cursor: Type.Optional(Type.String({ ...ID_CURSOR, description: 'Where the last page ended: its `next`.', examples: ['17'] }))
}, { additionalProperties: false })
export type PageQuery = Static<typeof PageQuery>

/** The next page of an operation that lists by id (OpenAPI links). */
export const nextPageOf = (operationId: string) => ({
  nextPage: { operationId, parameters: { cursor: '$response.body#/next', limit: '$request.query.limit' }, description: 'The next page, unless `next` is null.' }
})

/** What to ask for a page of so many entries: one more, to see whether another page follows. */
export function limitOf ({ limit = DEFAULT_PAGE_SIZE }: { limit?: number }): number {
  return limit + 1
}

/** The page that a query asks for. */
export function pageOf (query: PageQuery): { beforeId: number | undefined, limit: number } {
  return { beforeId: query.cursor === undefined ? undefined : Number(query.cursor), limit: limitOf(query) }
}

/** Cuts the entry off that only shows that another page follows; `cursorOf` says where that begins. */
export function cutPage<Entry> (found: Entry[], limit: number, cursorOf: (last: Entry) => string): { entries: Entry[], next: string | null } {
  const entries = found.slice(0, limit - 1)
  const last = entries.at(-1)
  return { entries, next: found.length === limit && last !== undefined ? cursorOf(last) : null }
}

/** The cursor of what is listed by id. */
export function idCursor ({ id }: { id: number }): string {
  return String(id)
}
