import { Type } from '@sinclair/typebox'

/** Longest string, in code points, that a JSON body can carry; rules that look at bytes after NFC refuse long ones by codes of their own. */
export const MAX_TEXT_POINTS = 64 * 1024

/** UTF-16 code units that NFC can turn into one byte of UTF-8, at most: U+1FBE U+0308 U+0301 become U+0390, which has two bytes. */
const MAX_UNITS_PER_BYTE = 1.5

/**
 * The text in NFC, or undefined if that is longer than `maxBytes` of UTF-8. A text that can't fit is not normalised: the time
 * that takes grows with the square of the combining marks in a row, 0.2 s for 64 kB of them.
 */
export function normaliseWithin (text: string, maxBytes: number): string | undefined {
  if (text.length > maxBytes * MAX_UNITS_PER_BYTE) return undefined
  const normalised = text.normalize('NFC')
  return Buffer.byteLength(normalised) > maxBytes ? undefined : normalised
}

/** Text of one line: no control characters. */
export const ONE_LINE = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'

export const Id = (description: string, example: number) => Type.Integer({ format: 'int64', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] })

export const Count = (description: string, example: number) => Type.Integer({ format: 'int64', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] })

export const Timestamp = (description: string) => Type.String({ format: 'date-time', pattern: 'Z$', maxLength: 24, description: `${description} RFC 3339, in UTC, to the millisecond.`, examples: ['2026-11-24T09:30:00.000Z'] })

/** A string that may be null; as one schema, for serialisers check the members of a union at every answer. */
export const NullableText = (options: { description: string, maxLength: number, pattern?: string, format?: string, examples: unknown[] }) => Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })
