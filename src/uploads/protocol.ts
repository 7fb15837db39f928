import { Problem } from '../problems.ts'
import { draftAppend, draftContent, draftFile, isDraft } from './draft.ts'
import type { UploadAppend } from './upload-append.ts'
import type { UploadCreation } from './resumable.ts'
import { isTus, protocolMissing, requireTusBytes, tusAppend, tusCreation } from './tus.ts'
import type { Headers } from './upload-fields.ts'

/** What the content of a request says about the file. */
export type Completion = Pick<UploadAppend, 'length' | 'isLast'>

type Creation = Pick<UploadCreation, 'name' | 'type' | 'modifiedAt'> & Completion
type Append = Pick<UploadAppend, 'offset'> & Completion

/**
 * Reads the headers of a creation by `POST`, of tus or the IETF draft.
 * @throws upload_protocol_missing, partial_upload, tus_version_unsupported, upload_header_invalid,
 * unsupported_media_type, upload_length_inconsistent.
 */
export function creationOf (headers: Headers, announcedBytes: number | undefined): Creation {
  if (protocolOf(headers) === 'draft') return { ...draftFile(headers), ...draftContent(headers, announcedBytes) }
  // Without a Content-Type, the protocol decides.
  if (announcedBytes !== 0 && headers['content-type'] !== undefined) requireTusBytes(headers)
  return { ...tusCreation(headers), isLast: false }
}

/** Reads the headers of an append by `PATCH`. @throws as `creationOf`. */
export function appendOf (headers: Headers, announcedBytes: number | undefined): Append {
  return protocolOf(headers) === 'tus' ? tusAppend(headers) : draftAppend(headers, announcedBytes)
}

function protocolOf (headers: Headers): 'tus' | 'draft' {
  if (headers['content-range'] !== undefined) throw new Problem('partial_upload', { detail: 'Content-Range is for PUT only.' })
  if (isTus(headers)) return 'tus'
  if (isDraft(headers)) return 'draft'
  throw protocolMissing('Send Tus-Resumable: 1.0.0 for tus, or Upload-Complete for the IETF draft.')
}
