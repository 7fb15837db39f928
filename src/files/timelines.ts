import { mediaKinds, takenOrders, type TimelinePage, type TimelineSelection } from '../metadata/timelines.ts'
import { invalidField } from '../problems.ts'
import type { Listing } from './cursor.ts'
import { folderOrRoot, getName } from './names.ts'

interface TimelineQuery {
  readonly folder?: string
  readonly below?: boolean
  readonly kind?: string
}

/** What a listing of pictures and videos can't be combined with. */
const OTHERS = ['prefix', 'contains', 'words', 'starred'] as const

interface ListQuery extends TimelineQuery, Partial<Record<typeof OTHERS[number], string | boolean>> {
  readonly order: string
}

/** Whether an order is that of a timeline. */
export function isTaken (order: string): order is typeof takenOrders[number] {
  return takenOrders.some(each => each === order)
}

/** Identifies the listing of pictures and videos in an order. */
export function takenListing (
  ownerId: number, order: typeof takenOrders[number], selection: Omit<TimelineSelection, 'signal'>
): Listing {
  const { folder = '/', isBelow, kinds } = selection
  return [ownerId, order, folder, String(isBelow), ...kinds]
}

/** What a month, such as `2024-07`, follows in the order `-taken`. */
export function positionBefore (month: string): { key: number, id: number } {
  const end = new Date(`${month}-01`)
  return { key: end.setUTCMonth(end.getUTCMonth() + 1), id: 0 }
}

/** Which pictures and videos a query asks for: by default all that are directly in the root. @throws not_found. */
export function picturesOf (
  { folder = '', below: isBelow = false, kind = '' }: TimelineQuery
): Omit<TimelineSelection, 'signal'> {
  const path = getName(folder, folderOrRoot)
  const wanted = mediaKinds.filter(each => kind.split(',').includes(each))
  // Below the root is everywhere.
  return { folder: path === '' && isBelow ? undefined : path, isBelow, kinds: kind === '' ? mediaKinds : wanted }
}

/** The same for a listing in the order of a timeline, or with a kind. @throws validation_failed, not_found. */
export function timelineOf (query: ListQuery): Pick<TimelinePage, 'folder' | 'isBelow' | 'kinds' | 'isAscending'> {
  const { order, kind } = query
  if (kind === undefined) throw invalidField('kind', 'is needed for the orders `taken` and `-taken`')
  if (!isTaken(order)) throw invalidField('order', 'must be `taken` or `-taken` with `kind`')
  const other = OTHERS.find(name => (query[name] ?? false) !== false)
  if (other !== undefined) throw invalidField(other, 'can\'t be combined with `kind`')
  return { ...picturesOf(query), isAscending: order === 'taken' }
}
