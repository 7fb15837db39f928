import { Problem } from '../problems.ts'
import { draftAppend, draftContent, draftFile, isDraft } from './draft.ts'
import type { UploadAppend } from './upload-append.ts'
import type { UploadCreation } from './resumable.ts'
import { isTus, protocolMissing, requireTusBytes, tusAppend, tusCreation } from './tus.ts'
import type { Headers } from './upload-fields.ts'

/** What the content of a request says about the file. */
export type Completion = Pick<UploadAppend, 'length' | 'isLast'>

/**
 * What a creation by `POST` says about the file and its beginning.
 * @throws upload_protocol_missing, partial_upload, tus_version_unsupported, upload_header_invalid,
 * unsupported_media_type, upload_length_inconsistent.
 */
export function startOf (headers: Headers, announcedBytes: number | undefined): Pick<UploadCreation, 'name' | 'type'> & Completion {
  if (protocolOf(headers) === 'draft') return { ...draftFile(headers), ...draftContent(headers, announcedBytes) }
  // Without a type it is what the protocol says.
  if (announcedBytes !== 0 && headers['content-type'] !== undefined) requireTusBytes(headers)
  return { ...tusCreation(headers), isLast: false }
}

/** What an append by `PATCH` says about its bytes. @throws as `startOf`. */
export function partOf (headers: Headers, announcedBytes: number | undefined): Pick<UploadAppend, 'offset'> & Completion {
  return protocolOf(headers) === 'tus' ? tusAppend(headers) : draftAppend(headers, announcedBytes)
}

function protocolOf (headers: Headers): 'tus' | 'draft' {
  if (headers['content-range'] !== undefined) throw new Problem('partial_upload', { detail: 'Content-Range is for PUT only.' })
  if (isTus(headers)) return 'tus'
  if (isDraft(headers)) return 'draft'
  throw protocolMissing('Send Tus-Resumable: 1.0.0 for tus, or Upload-Complete for the IETF draft.')
}
