import { parse } from 'content-disposition'
import { Problem } from '../problems.ts'
import type { UploadAppend } from './upload-append.ts'
import type { UploadCreation } from './resumable.ts'
import { agreedLength, DRAFT_BYTES, fieldOf, findBoolean, findCount, FORM_FIELDS, hasType, refuseField, TUS_BYTES, type Headers } from './upload-fields.ts'
import { declaredFile } from './upload-metadata.ts'

// draft-ietf-httpbis-resumable-upload-12. Older versions, down to 05, differ from it only in what is optional.

/** The version of the draft that the interim response is for (appendix A). */
export const INTEROP_VERSION = 8

/** Whether a request asks for a resumable upload of the draft. */
export function isDraft (headers: Headers): boolean {
  return findBoolean(headers, 'upload-complete') !== undefined
}

/** Whether a client understands the interim response: its version of the draft must be the same. */
export function wantsInterim (headers: Headers): boolean {
  return findCount(headers, 'upload-draft-interop-version') === INTEROP_VERSION
}

/**
 * The length of the file, if a creation tells it, and whether its content is all of the file.
 * @throws upload_length_inconsistent.
 */
export function draftContent (headers: Headers, announcedBytes: number | undefined, { isWhole = false } = {}): Pick<UploadAppend, 'length' | 'isLast'> {
  const isLast = isWhole || findBoolean(headers, 'upload-complete') === true
  return { length: agreedLength(findCount(headers, 'upload-length'), isLast ? announcedBytes : undefined), isLast }
}

/** What a `POST` says about the file that it creates. @throws upload_header_invalid. */
export function draftFile (headers: Headers): Pick<UploadCreation, 'name' | 'type' | 'modifiedAt'> {
  const declared = declaredFile(headers)
  const isOfFile = ![DRAFT_BYTES, TUS_BYTES, FORM_FIELDS].some(type => hasType(headers, type))
  return {
    name: dispositionName(headers) || declared.name,
    type: (isOfFile ? fieldOf(headers, 'content-type') : undefined) ?? declared.type,
    modifiedAt: declared.modifiedAt
  }
}

/** @throws unsupported_media_type, upload_header_invalid, upload_length_inconsistent. */
export function draftAppend (headers: Headers, announcedBytes: number | undefined): Pick<UploadAppend, 'offset' | 'length' | 'isLast'> {
  if (!hasType(headers, DRAFT_BYTES)) throw new Problem('unsupported_media_type', { detail: `Bytes of an upload have the type ${DRAFT_BYTES}.` })
  const offset = findCount(headers, 'upload-offset') ?? refuseField('Upload-Offset is missing, or not a whole number.')
  const { length, isLast } = draftContent(headers, announcedBytes === undefined ? undefined : offset + announcedBytes)
  return { offset, length, isLast }
}

/** The file name in `Content-Disposition`, if any. Raw UTF-8 is accepted: curl sends what was typed. */
function dispositionName (headers: Headers): string | undefined {
  const field = fieldOf(headers, 'content-disposition') ?? ''
  const text = Buffer.from(field, 'latin1').toString()
  return parse(text.includes('\uFFFD') ? field : text).parameters.filename
}
