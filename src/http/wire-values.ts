import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { type ObjectOptions, type StringOptions, type TProperties, Type } from '@sinclair/typebox'

/** Methods that change nothing (RFC 9110 section 9.2.1). */
export const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/**
 * Longest string in a JSON body, in code points. Lower limits, such as bytes after NFC, have their own problem codes.
 */
export const MAX_TEXT_POINTS = 64 * 1024

/**
 * Maximum length of a field value or a part of a URL: the limit of Node for a whole header section over HTTP/2, and
 * more than that over HTTP/1.1.
 */
export const MAX_FIELD_LENGTH = 65_535

/** Most UTF-16 code units that NFC turns into one byte of UTF-8: U+1FBE U+0308 U+0301 becomes U+0390, two bytes. */
const MAX_UNITS_PER_BYTE = 1.5

/**
 * The text in NFC, or undefined if that is longer than `maxBytes` of UTF-8. A text that can't fit is not normalised,
 * because the time grows with the square of the number of consecutive combining marks: 0.2 s for 64 kB of them.
 */
export function normaliseWithin (text: string, maxBytes: number): string | undefined {
  if (text.length > maxBytes * MAX_UNITS_PER_BYTE) return undefined
  const normalised = text.normalize('NFC')
  return Buffer.byteLength(normalised) > maxBytes ? undefined : normalised
}

/** Text without control characters. */
export const ONE_LINE = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'

/** An object with these properties only, by its name in the document. */
export const SharedObject = <P extends TProperties>(
  $id: string, description: string, properties: P, options: ObjectOptions = {}
) => Type.Object(properties, { $id, additionalProperties: false, description, ...options })

/** An object with these properties only. */
export const ExactObject = <P extends TProperties>(description: string, properties: P) =>
  Type.Object(properties, { additionalProperties: false, description })

/** A text with these limits. */
export const Text = (description: string, example: string, limits: StringOptions) =>
  Type.String({ ...limits, description, examples: [example] })

/** One of several words. Client generators turn a union of constants into one type for each. */
export const OneOf = <const Word extends string>(
  words: readonly Word[],
  options: { description?: string, default?: NoInfer<Word>, examples?: NoInfer<Word>[] } = {}
) => Type.Unsafe<Word>({ type: 'string', enum: [...words], ...options })

/** This value only. */
export const Always = <const Value extends string | boolean>(value: Value, description: string) =>
  Type.Literal(value, { description, examples: [value] })

/** A number of 32 bits within these limits. */
export const Int32 = (description: string, example: number, limits: { minimum: number, maximum: number }) =>
  Type.Integer({ format: 'int32', ...limits, description, examples: [example] })

const integerFrom = (minimum: 0 | 1) => (description: string, example: number) =>
  Type.Integer({ format: 'int64', minimum, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] })

/** An id, from 1. */
export const Id = integerFrom(1)

/** A number, from 0. */
export const Count = integerFrom(0)

/** The form of a time in a response. */
const TIMESTAMP = { format: 'date-time', pattern: 'Z$', maxLength: 24 }

/** A time in a response. */
export const Timestamp = (description: string) =>
  Text(`${description} RFC 3339, UTC, with milliseconds.`, '2026-11-24T09:30:00.000Z', TIMESTAMP)

/** A nullable string. Not a union, because the serialiser would check its members on every response. */
export const NullableText = (options: StringOptions) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })

/** A time in a response, or null. */
export const NullableTimestamp = (description: string, example: string | null = null) =>
  NullableText({ ...TIMESTAMP, description, examples: [example] })

/** A time as clients see it. */
export function dateOf (milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

/** The same for a time that may be unknown. */
export function knownDateOf (milliseconds: number | null): string | null {
  return milliseconds === null ? null : dateOf(milliseconds)
}

/** A local time, without a zone, as clients see it. */
export function localTimeOf (time: number): string {
  return new Date(time).toISOString().replace('.000Z', '')
}

/** The same for one that may be unknown. */
export function knownLocalTimeOf (time: number | null): string | null {
  return time === null ? null : localTimeOf(time)
}

/** The length of a request body as its head announces it; undefined if it is not known in advance. */
export function announcedLength (request: IncomingMessage): number | undefined {
  const length = request.headers['content-length']
  if (length !== undefined) return Number(length)
  const hasBody = isHttp2(request)
    ? !request.stream.endAfterHeaders
    : request.headers['transfer-encoding'] !== undefined
  return hasBody ? undefined : 0
}

/** Decided by the connection, because a request line of HTTP/1.1 may claim to be HTTP/2.0. */
export function isHttp2 (request: IncomingMessage | Http2ServerRequest): request is Http2ServerRequest {
  return 'stream' in request
}
