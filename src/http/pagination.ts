import { Type, type Static } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import type { Links } from './links.ts'
import { NullableText, Text } from './wire-values.ts'

/** The cursor of a list ordered by id; opaque text to clients. */
const ID_CURSOR = { pattern: '^[1-9][0-9]{0,15}$', maxLength: 16 }

export const DEFAULT_PAGE_SIZE = 100

/** The page size of a list. */
export const PageSize = (description: string) => Type.Integer({
  format: 'int32',
  minimum: 1,
  maximum: 1000,
  default: DEFAULT_PAGE_SIZE,
  description: `${description}, 1 to 1,000.`,
  examples: [50]
})

/** The cursor of the next page of a list ordered by id. */
export const NextId = NullableText({
  ...ID_CURSOR, description: 'The `cursor` of the next page; null on the last one.', examples: ['17']
})

/** The query of a list ordered by id, newest first. */
export const PageQuery = Type.Object({
  limit: Type.Optional(PageSize('Page size')),
  cursor: Type.Optional(Text('The `next` value of the previous page.', '17', ID_CURSOR))
}, { additionalProperties: false })
export type PageQuery = Static<typeof PageQuery>

/** The next page of the same listing (OpenAPI links). `parameters` are further ones that it repeats. */
export const nextPageOf = (operationId: string, parameters: Record<string, string> = {}) => ({
  nextPage: {
    operationId,
    parameters: { ...parameters, cursor: '$response.body#/next', limit: '$request.query.limit' },
    description: 'The next page, unless `next` is null.'
  }
})

/** The number of entries to read for a page: one extra tells whether another page follows. */
export function limitOf ({ limit = DEFAULT_PAGE_SIZE }: { limit?: number }): number {
  return limit + 1
}

/** The part of the list that a query selects. */
export function pageOf (query: PageQuery): { beforeId: number | undefined, limit: number } {
  return { beforeId: query.cursor === undefined ? undefined : Number(query.cursor), limit: limitOf(query) }
}

/** A page of a list ordered by id, as an operation returns it. */
export async function pageById<Entry extends { id: number }> (
  query: PageQuery, read: (page: ReturnType<typeof pageOf>) => Promise<Entry[]>
) {
  const page = pageOf(query)
  return cutPage(await read(page), page.limit, ({ id }) => String(id))
}

interface CutPage<Entry, Cursor> { entries: readonly Entry[], next: Cursor | null }

/** Removes the extra entry, and returns the cursor of the next page if there is one. */
export function cutPage<Entry, Cursor> (
  found: Entry[], limit: number, cursorOf: (last: Entry) => Cursor
): CutPage<Entry, Cursor> {
  const entries = found.slice(0, limit - 1)
  const last = entries.at(-1)
  return { entries, next: found.length === limit && last !== undefined ? cursorOf(last) : null }
}

/** The page with its cursor, and with the `Link` header of the next one at `path` (RFC 8288 section 3). */
export async function linkPage<Entry> (
  reply: FastifyReply,
  { entries, next: written }: CutPage<Entry, string | Promise<string>>,
  { links, path, query = reply.request.query as object }: { links: Links, path: string, query?: object }
) {
  const { request } = reply
  const next = await written
  if (next !== null) {
    const limit = String(limitOf(request.query as { limit?: number }) - 1)
    const nextPath = `${path}?${new URLSearchParams({ ...query, limit, cursor: next })}`
    reply.header('link', `<${links.to(request.raw, nextPath)}>; rel="next"`)
  }
  return { entries, next }
}
