import type { IncomingMessage } from 'node:http'

/** How many lines of a field a request has: Node keeps the first of some fields, joins others, and says nothing of either. */
export function countFieldLines ({ rawHeaders }: IncomingMessage, field: string): number {
  return rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === field).length
}
