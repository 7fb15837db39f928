import type { UploadRecord } from '../metadata/upload-records.ts'
import { Problem } from '../problems.ts'
import type { UploadAppend } from './upload-append.ts'
import type { UploadCreation } from './resumable.ts'
import { fieldOf, hasType, refuseField, TUS_BYTES, type FieldValues, type Headers } from './upload-fields.ts'
import { declaredFile } from './upload-metadata.ts'

// The protocol of https://tus.io/protocols/resumable-upload, version 1.0.0.

export const TUS_VERSION = '1.0.0'

/** A 412 about the version must have this header. */
const versionHeader = { 'tus-version': TUS_VERSION }

/** What `OPTIONS` says about the protocol. */
export const tusDiscovery: FieldValues = {
  'tus-version': TUS_VERSION,
  'tus-extension': 'creation,creation-with-upload,creation-defer-length,expiration,termination'
}

/** Methods that `X-HTTP-Method-Override` may name. */
export const OVERRIDES = ['PATCH', 'HEAD', 'DELETE'] as const

/** Whether a client speaks tus. @throws tus_version_unsupported. */
export function isTus (headers: Headers): boolean {
  const version = fieldOf(headers, 'tus-resumable')
  if (version === undefined) return false
  if (version.trim() !== TUS_VERSION) throw new Problem('tus_version_unsupported', { headers: versionHeader })
  return true
}

/** For a request that follows no protocol: perhaps one of tus without its version. */
export function protocolMissing (detail: string): Problem {
  return new Problem('upload_protocol_missing', { detail, headers: versionHeader })
}

/**
 * What a creation says about the upload. The content, if any, is the beginning of the file.
 * @throws upload_header_invalid.
 */
export function tusCreation (headers: Headers): Pick<UploadCreation, 'name' | 'type' | 'modifiedAt' | 'length'> {
  refuseUnsupported(headers)
  const deferred = fieldOf(headers, 'upload-defer-length')?.trim()
  if (deferred !== undefined && deferred !== '1') refuseField('Upload-Defer-Length can only be 1.')
  const length = findTusCount(headers, 'upload-length')
  if ((length === undefined) === (deferred === undefined)) refuseField('Either Upload-Length or Upload-Defer-Length is needed.')
  return { ...declaredFile(headers), length }
}

/** @throws unsupported_media_type, upload_header_invalid. */
export function tusAppend (headers: Headers): Pick<UploadAppend, 'offset' | 'length' | 'isLast'> {
  requireTusBytes(headers)
  refuseUnsupported(headers)
  const offset = findTusCount(headers, 'upload-offset') ?? refuseField('Upload-Offset is missing.')
  return { offset, length: findTusCount(headers, 'upload-length'), isLast: false }
}

/** @throws unsupported_media_type. */
export function requireTusBytes (headers: Headers): void {
  if (!hasType(headers, TUS_BYTES)) throw new Problem('unsupported_media_type', { detail: `Bytes of an upload have the type ${TUS_BYTES}.` })
}

/** What each success also says to a client of tus. */
export function tusFields ({ length }: UploadRecord): FieldValues {
  return length === null ? { 'upload-defer-length': '1' } : {}
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
  return /^\d+$/.test(text) ? Math.min(Number(text), Number.MAX_SAFE_INTEGER) : refuseField(`${name} is not a whole number.`)
}
