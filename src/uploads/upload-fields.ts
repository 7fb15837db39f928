import { parseItem } from 'structured-headers'
import type { UploadRecord } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'
import { parseTime } from './modified-time.ts'

/** Header fields of a request. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>

/** Header fields of a response. */
export type FieldValues = Record<string, string>

/** The media types of bytes that are appended: of tus, and of the IETF draft. They say nothing about the file. */
export const TUS_BYTES = 'application/offset+octet-stream'
export const DRAFT_BYTES = 'application/partial-upload'

/** The type that `curl --data-binary` and `wget --body-file` send by default. It says nothing about the file. */
export const FORM_FIELDS = 'application/x-www-form-urlencoded'

/** Integers of structured fields have up to 15 digits (RFC 9651 section 3.3.1). */
const MAX_FIELD_INTEGER = 999_999_999_999_999

/** The limits of uploads for clients: bytes, and seconds since the last byte. */
export interface UploadLimits { readonly maxBytes: number, readonly maxAgeSeconds: number }

/** What says that a body is a part of a file. */
export const PART_FIELDS = ['content-range', 'upload-complete', 'tus-resumable']

/** A field as one text, as Node joins its lines. */
export function fieldOf (headers: Headers, name: string): string | undefined {
  return headers[name]?.toString()
}

/** Whether the content has this media type. Parameters are ignored: the types of appended bytes have none. */
export function hasType (headers: Headers, type: string): boolean {
  return fieldOf(headers, 'content-type')?.split(';')[0]?.trim().toLowerCase() === type
}

/** The value of a structured field with a Boolean. Others are ignored (section 4.1.2 of the draft). */
export function findBoolean (headers: Headers, name: string): boolean | undefined {
  const value = findItem(headers, name)
  return typeof value === 'boolean' ? value : undefined
}

/** The value of a structured field with a non-negative integer. Others are ignored (section 4.1.1 of the draft). */
export function findCount (headers: Headers, name: string): number | undefined {
  const value = findItem(headers, name)
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined
}

function findItem (headers: Headers, name: string): unknown {
  const text = fieldOf(headers, name)
  if (text === undefined) return undefined
  try {
    return parseItem(text)[0]
  } catch {
    return undefined
  }
}

/** `X-File-Modified`; null if it is absent. @throws upload_header_invalid. */
export function modifiedAtOf (headers: Headers): number | null {
  const text = fieldOf(headers, 'x-file-modified')?.trim()
  if (text === undefined) return null
  return parseTime(text) ?? refuseField('X-File-Modified is not a time of RFC 3339.')
}

/** @throws upload_header_invalid. */
export function refuseField (detail: string): never {
  throw new Problem('upload_header_invalid', { detail })
}

/** The two lengths that a request announces, if they agree. @throws upload_length_inconsistent. */
export function agreedLength (announced: number | undefined, implied: number | undefined): number | undefined {
  if (announced !== undefined && implied !== undefined && announced !== implied) {
    throw new Problem('upload_length_inconsistent', { detail: `Upload-Length is ${announced}, but with this content the file has ${implied} bytes.` })
  }
  return announced ?? implied
}

/** `Upload-Limit`. `maxAgeSeconds` is the time that is left. */
export function uploadLimit ({ maxBytes, maxAgeSeconds }: UploadLimits): string {
  return `max-size=${Math.min(maxBytes, MAX_FIELD_INTEGER)}, max-age=${maxAgeSeconds}`
}

/** `Upload-Limit` of an upload. */
export function remainingLimit ({ maxBytes }: UploadLimits, { expiresAt }: UploadRecord, now: number): string {
  return uploadLimit({ maxBytes, maxAgeSeconds: Math.max(0, Math.floor((expiresAt - now) / 1000)) })
}

/** What each success says about an upload, whatever the protocol. */
export function uploadFields (upload: UploadRecord, limits: UploadLimits, now: number): FieldValues {
  return {
    'upload-offset': String(upload.offset),
    ...(upload.length !== null && { 'upload-length': String(upload.length) }),
    'upload-complete': upload.result === undefined ? '?0' : '?1',
    'upload-limit': remainingLimit(limits, upload, now),
    'upload-expires': new Date(upload.expiresAt).toUTCString()
  }
}
