import { Problem } from '../errors.ts'
import type { FileOrder, FilePosition, FileRecord } from '../metadata/metadata.ts'

/** The key that an order sorts by. */
const keyOf: Record<FileOrder, (file: FileRecord) => string | number> = {
  name: file => file.name,
  '-name': file => file.name,
  newest: file => file.createdAt,
  oldest: file => file.createdAt,
  largest: file => file.size,
  smallest: file => file.size
}

/** Where a page that ended with `file` goes on: opaque to clients. */
export function writeCursor (file: FileRecord, order: FileOrder): string {
  return encode(order, { key: keyOf[order](file), id: file.id })
}

/** Reads a cursor of this order back. @throws validation_failed for anything that was not made by `writeCursor`. */
export function readCursor (cursor: string, order: FileOrder): FilePosition {
  const position = decode(cursor)
  if (position === undefined || encode(order, position) !== cursor) {
    throw new Problem('validation_failed', { errors: [{ field: 'cursor', message: 'is not one that was given out for this order' }] })
  }
  return position
}

function encode (order: FileOrder, { key, id }: FilePosition): string {
  return Buffer.from(JSON.stringify([order, key, id])).toString('base64url')
}

function decode (cursor: string): FilePosition | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (!Array.isArray(value) || value.length !== 3) return undefined
    const [order, key, id] = value as unknown[]
    const isKeyRight = order === 'name' || order === '-name' ? typeof key === 'string' : typeof key === 'number'
    return isKeyRight && Number.isSafeInteger(id) ? { key: key as string | number, id: id as number } : undefined
  } catch {
    return undefined
  }
}
