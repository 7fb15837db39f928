import { parse } from 'content-disposition'
import { parseItem } from 'structured-headers'
import { MAX_METADATA_BYTES } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'
import { fieldOf, FORM_FIELDS, hasType, type Headers, refuseField } from './body.ts'
import { parseMilliseconds } from './modified-time.ts'
import type { UploadCreation } from './resumable.ts'
import type { UploadAppend } from './upload-session.ts'

// What a request says of an upload that arrives in several requests, in one of three protocols: tus
// (https://tus.io/protocols/resumable-upload), the IETF draft (draft-ietf-httpbis-resumable-upload-12; older versions,
// down to 05, differ from it only in what is optional), and `PUT` with `Content-Range` (RFC 9110 section 14.5).

/** The media types of bytes that are appended: of tus, and of the IETF draft. They say nothing about the file. */
export const TUS_BYTES = 'application/offset+octet-stream'
export const DRAFT_BYTES = 'application/partial-upload'

export const TUS_VERSION = '1.0.0'

/** The version of the draft that the interim response is for (appendix A). */
export const INTEROP_VERSION = 8

/** A 412 about the version must have this header. */
const versionHeader = { 'tus-version': TUS_VERSION }

/** What `OPTIONS` says about tus. */
export const tusDiscovery = {
  ...versionHeader,
  'tus-extension': 'creation,creation-with-upload,creation-defer-length,expiration,termination'
}

/** `bytes 5-9/10`. For an empty file curl writes `bytes 0--1/0`. */
const RANGE = /^bytes (\d+)-(-?\d+)\/(\d+)$/i

/** Base64 with padding, as tus requires. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** What is told of the file; undefined or null if it is not. */
type DeclaredFile = Pick<UploadCreation, 'name' | 'type' | 'modifiedAt'>

/** The length of the file, if it is told, and whether the file ends with the content of the request. */
export type Completion = Pick<UploadAppend, 'length' | 'isLast'>

type Continuation = Pick<UploadAppend, 'offset'> & Completion

/** Whether a client speaks tus. @throws tus_version_unsupported. */
export function isTus (headers: Headers): boolean {
  const version = fieldOf(headers, 'tus-resumable')
  if (version === undefined) return false
  if (version.trim() !== TUS_VERSION) throw new Problem('tus_version_unsupported', { headers: versionHeader })
  return true
}

/** Whether a request asks for a resumable upload of the draft. */
export function isDraft (headers: Headers): boolean {
  return findBoolean(headers, 'upload-complete') !== undefined
}

/** Whether a client understands the interim response: its version of the draft must be the same. */
export function wantsInterim (headers: Headers): boolean {
  return findCount(headers, 'upload-draft-interop-version') === INTEROP_VERSION
}

/** For a request that follows no protocol: perhaps one of tus without its version. */
export function protocolMissing (detail: string): Problem {
  return new Problem('upload_protocol_missing', { detail, headers: versionHeader })
}

/**
 * Reads the headers of a creation by `POST`, of tus or the IETF draft.
 * @throws upload_protocol_missing, partial_upload, tus_version_unsupported, upload_header_invalid,
 * unsupported_media_type, upload_length_inconsistent.
 */
export function creationOf (headers: Headers, announcedBytes: number | undefined): DeclaredFile & Completion {
  if (protocolOf(headers) === 'draft') return { ...draftFile(headers), ...draftContent(headers, announcedBytes) }
  // Without a Content-Type, the protocol decides.
  if (announcedBytes !== 0 && headers['content-type'] !== undefined) requireType(headers, TUS_BYTES)
  refuseUnsupported(headers)
  const deferred = fieldOf(headers, 'upload-defer-length')?.trim()
  if (deferred !== undefined && deferred !== '1') refuseField('Upload-Defer-Length can only be 1.')
  const length = findTusCount(headers, 'upload-length')
  if ((length === undefined) === (deferred === undefined)) {
    refuseField('Either Upload-Length or Upload-Defer-Length is needed.')
  }
  return { ...declaredFile(headers), length, isLast: false }
}

/** Reads the headers of an append by `PATCH`. @throws as `creationOf`. */
export function appendOf (headers: Headers, announcedBytes: number | undefined): Continuation {
  if (protocolOf(headers) === 'tus') {
    requireType(headers, TUS_BYTES)
    refuseUnsupported(headers)
    const offset = findTusCount(headers, 'upload-offset') ?? refuseField('Upload-Offset is missing.')
    return { offset, length: findTusCount(headers, 'upload-length'), isLast: false }
  }
  requireType(headers, DRAFT_BYTES)
  const offset = findCount(headers, 'upload-offset') ?? refuseField('Upload-Offset is missing, or not a whole number.')
  return { offset, ...draftContent(headers, announcedBytes === undefined ? undefined : offset + announcedBytes) }
}

function protocolOf (headers: Headers): 'tus' | 'draft' {
  if (headers['content-range'] !== undefined) {
    throw new Problem('partial_upload', { detail: 'Content-Range is for PUT only.' })
  }
  if (isTus(headers)) return 'tus'
  if (isDraft(headers)) return 'draft'
  throw protocolMissing('Send Tus-Resumable: 1.0.0 for tus, or Upload-Complete for the IETF draft.')
}

/** @throws unsupported_media_type. */
function requireType (headers: Headers, type: string): void {
  if (hasType(headers, type)) return
  throw new Problem('unsupported_media_type', { detail: `Bytes of an upload have the type ${type}.` })
}

/** A client that sends these relies on them. */
function refuseUnsupported (headers: Headers): void {
  if (headers['upload-concat'] !== undefined) refuseField('The concatenation extension is not supported.')
  if (headers['upload-checksum'] !== undefined) refuseField('The checksum extension is not supported.')
}

/** Huge numbers are clamped. @throws upload_header_invalid. */
function findTusCount (headers: Headers, name: string): number | undefined {
  const text = fieldOf(headers, name)?.trim()
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text)) refuseField(`${name} is not a whole number.`)
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER)
}

/**
 * The completion that a request of the draft tells. With its last byte the file has `endBytes`, if that is known.
 * @throws upload_length_inconsistent.
 */
export function draftContent (headers: Headers, endBytes: number | undefined, { isWhole = false } = {}): Completion {
  const isLast = isWhole || findBoolean(headers, 'upload-complete') === true
  const announced = findCount(headers, 'upload-length')
  const implied = isLast ? endBytes : undefined
  if (announced !== undefined && implied !== undefined && announced !== implied) {
    const detail = `Upload-Length is ${announced}, but with this content the file has ${implied} bytes.`
    throw new Problem('upload_length_inconsistent', { detail })
  }
  return { length: announced ?? implied, isLast }
}

/** What a `POST` of the draft says about the file that it creates. @throws upload_header_invalid. */
function draftFile (headers: Headers): DeclaredFile {
  const declared = declaredFile(headers)
  const isOfFile = ![DRAFT_BYTES, TUS_BYTES, FORM_FIELDS].some(type => hasType(headers, type))
  return {
    ...declared,
    name: dispositionName(headers) || declared.name,
    type: (isOfFile ? fieldOf(headers, 'content-type') : undefined) ?? declared.type
  }
}

/** The file name in `Content-Disposition`, if any. Raw UTF-8 is accepted: curl sends what was typed. */
function dispositionName (headers: Headers): string | undefined {
  const field = fieldOf(headers, 'content-disposition') ?? ''
  const text = Buffer.from(field, 'latin1').toString()
  return parse(text.includes('\uFFFD') ? field : text).parameters.filename
}

/** The value of a structured field with a Boolean. Others are ignored (section 4.1.2 of the draft). */
function findBoolean (headers: Headers, name: string): boolean | undefined {
  const value = findItem(headers, name)
  return typeof value === 'boolean' ? value : undefined
}

/** The value of a structured field with a non-negative integer. Others are ignored (section 4.1.1 of the draft). */
function findCount (headers: Headers, name: string): number | undefined {
  const value = findItem(headers, name)
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined
}

function findItem (headers: Headers, name: string): unknown {
  try {
    return parseItem(fieldOf(headers, name) ?? '')[0]
  } catch {
    return undefined
  }
}

/** `Upload-Metadata` as sent. @throws upload_header_invalid if it is too long. */
export function findUploadMetadata (headers: Headers): string | undefined {
  const field = fieldOf(headers, 'upload-metadata')
  if (field !== undefined && field.length > MAX_METADATA_BYTES) {
    refuseField(`Upload-Metadata is longer than ${MAX_METADATA_BYTES} bytes.`)
  }
  return field
}

/**
 * Reads `Upload-Metadata` of tus: pairs of a key and a Base64 value. Name and type have two keys each in use;
 * `lastModified` is in milliseconds since 1970, as that of a `File`.
 * @throws upload_header_invalid.
 */
function declaredFile (headers: Headers): DeclaredFile {
  const values = new Map<string, string>()
  const pairs = findUploadMetadata(headers)?.trim() ?? ''
  for (const pair of pairs === '' ? [] : pairs.split(',')) {
    const [key = '', value = '', ...rest] = pair.trim().split(/ +/)
    if (key === '' || rest.length > 0 || values.has(key)) {
      refuseField('Upload-Metadata needs distinct keys, each with at most one value.')
    }
    if (!BASE64.test(value)) refuseField('A value of Upload-Metadata is not Base64.')
    values.set(key, value)
  }
  return {
    name: textOf(values, ['filename', 'name']),
    type: textOf(values, ['filetype', 'type']),
    // Not `textOf`: what is no time is ignored, as an unknown key is.
    modifiedAt: parseMilliseconds(Buffer.from(values.get('lastModified') ?? '', 'base64').toString()) ?? null
  }
}

/** The first text that is not empty. */
function textOf (values: Map<string, string>, keys: string[]): string | undefined {
  const value = keys.map(key => values.get(key)).find(text => text !== undefined && text !== '')
  if (value === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'base64'))
  } catch {
    return refuseField('A value of Upload-Metadata is not UTF-8.')
  }
}

/**
 * The rest of a file, of a `PUT` with `Content-Range`, which `curl -C OFFSET -T FILE` sends; undefined if there is no
 * range, or it is the whole file (`curl -C -`).
 * @throws content_range_invalid if the range does not end with the file, or has another length than the content.
 */
export function findRest (headers: Headers, announcedBytes: number | undefined): Continuation | undefined {
  const text = fieldOf(headers, 'content-range')
  if (text === undefined) return undefined
  const [offset = NaN, last = NaN, length = NaN] = RANGE.exec(text.trim())?.slice(1).map(Number) ?? []
  if (last !== length - 1 || announcedBytes !== length - offset) {
    const detail = 'The range must reach the last byte of the file, and the content must have the length of the range.'
    throw new Problem('content_range_invalid', { detail })
  }
  return offset === 0 ? undefined : { offset, length, isLast: true }
}

/** For a range that continues no upload: the client must send the whole file. */
export function nothingToContinue (offset: number): Problem {
  return new Problem('upload_offset_mismatch', {
    detail: 'No unfinished upload of this name was begun with PUT: send the file from its beginning.',
    members: { 'expected-offset': 0, 'provided-offset': offset },
    headers: { 'upload-offset': '0', 'upload-complete': '?0' }
  })
}
