import { mediaKinds, takenOrders, type TimelinePage, type TimelineSelection } from '../metadata/timelines.ts'
import { invalidField } from '../problems.ts'
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
