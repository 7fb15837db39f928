import { Type } from '@sinclair/typebox'

/** Longest string, in code points, that a JSON body can carry; rules that look at bytes after NFC refuse long ones by codes of their own. */
export const MAX_TEXT_POINTS = 64 * 1024

/** Text of one line: no control characters. */
export const ONE_LINE = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'

export const Id = (description: string, example: number) => Type.Integer({ format: 'int64', minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] })

export const Count = (description: string, example: number) => Type.Integer({ format: 'int64', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] })

export const Timestamp = (description: string) => Type.String({ format: 'date-time', pattern: 'Z$', maxLength: 24, description: `${description} RFC 3339, in UTC, to the millisecond.`, examples: ['2026-11-24T09:30:00.000Z'] })

/** A string that may be null; as one schema, for serialisers check the members of a union at every answer. */
export const NullableText = (options: { description: string, maxLength: number, pattern?: string, format?: string, examples: unknown[] }) => Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })
