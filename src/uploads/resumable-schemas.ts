import { Type } from '@sinclair/typebox'
import { etag, location, nextPage, StoredFile } from '../files/schemas.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import type { FailureCode } from '../problems.ts'
import {
  echoedMetadata, OverrideHeaders, Upload, UploadAppendHeaders, UploadBytes, UploadCreationHeaders, uploadHeaders,
  UploadFolderQuery, uploadLinks, UploadList, UploadListQuery, uploadLocation, UploadLookupHeaders, UploadParams
} from './schemas.ts'
import { DRAFT_BYTES, TUS_BYTES } from './upload-fields.ts'

// The operations of resumable uploads, as `resumable-routes.ts` registers them.

/** What can refuse the content of a request. */
export const refusedContent: FailureCode[] = [
  'upload_header_invalid', 'upload_protocol_missing', 'partial_upload', 'upload_length_inconsistent',
  'name_taken', 'upload_incomplete', 'digest_malformed', 'digest_mismatch', 'not_found', 'upload_taken_over', 'precondition_failed',
  'tus_version_unsupported', 'file_too_large', 'quota_exceeded', 'unsupported_media_type',
  'content_encoding_unsupported', 'file_locked', 'too_many_transfers', 'storage_full'
]

const refusedAppends: FailureCode[] = [...refusedContent, 'upload_offset_mismatch', 'upload_completed']

const createUpload = {
  operationId: 'createUpload',
  summary: 'Create a resumable upload',
  description: 'Creates an upload with the tus protocol (`Tus-Resumable`) or, experimentally, draft-ietf-httpbis-resumable-upload (`Upload-Complete`). The content, if any, is the beginning of the file. The upload becomes a file when its last byte is stored; if no name is given, its id is the name. The name is the whole path; missing folders are created with the file. With `folderId`, the folder must be there, when the upload is created and when it becomes a file; no folders are created. Without a precondition, a file of this name must not exist, unless it has the same bytes. A lock of the file, or of the folder if the file is new, refuses the creation with 423; one that is set later refuses the last request, and the upload stays: ask for its offset once the lock has ended.',
  ...codeSamples('curl -f -u test_user:pwd -X POST -H "Upload-Complete: ?0" -H "Content-Disposition: inline; filename=large.bin" http://127.0.0.1:5000/api/uploads'),
  tags: ['Uploads'],
  querystring: UploadFolderQuery,
  headers: UploadCreationHeaders,
  consumes: [DRAFT_BYTES, TUS_BYTES],
  body: UploadBytes,
  response: {
    201: { ...Type.Ref(Upload), description: 'The upload.', headers: { ...uploadLocation, ...uploadHeaders } },
    ...problems([
      ...refusedContent, 'name_invalid', 'extension_not_allowed', 'too_many_uploads'
    ])
  }
}

export const listUploads = {
  operationId: 'listUploads',
  summary: 'List unfinished uploads',
  description: 'Lists your unfinished uploads, newest first.',
  ...codeSamples('curl -f -u test_user:pwd "http://127.0.0.1:5000/api/uploads?name=large.bin"'),
  tags: ['Uploads'],
  querystring: UploadListQuery,
  headers: UploadLookupHeaders,
  response: {
    200: { ...Type.Ref(UploadList), description: 'A page.', headers: nextPage },
    ...problems(['tus_version_unsupported'])
  }
}

const lookupFailures = problems([
  'not_found', 'name_taken', 'precondition_failed', 'tus_version_unsupported', 'quota_exceeded', 'file_locked'
])

const getUpload = {
  operationId: 'getUpload',
  summary: 'Get an upload',
  description: 'Returns the upload as it is. An append in progress goes on. If all bytes are there and the file was refused, the response is the refusal, such as 412, or 423 while a lock refuses it.',
  ...codeSamples('upload=$(curl -f -u test_user:pwd "http://127.0.0.1:5000/api/uploads?name=large.bin" | grep -Eo "[0-9a-f]{32}" | head -n 1)', 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/uploads/$upload'),
  tags: ['Uploads'],
  params: UploadParams,
  headers: UploadLookupHeaders,
  response: { 200: { ...Type.Ref(Upload), description: 'The upload.', headers: uploadHeaders }, ...lookupFailures }
}

const headResponses = {
  200: { description: 'The headers.', type: 'null', headers: { ...uploadHeaders, ...echoedMetadata } },
  ...lookupFailures
}

const headUpload = {
  summary: 'Get the offset of an upload',
  description: 'Returns the offset to continue from. An append in progress ends: its bytes up to this offset are stored. If all bytes are there and the file was refused, the response is the refusal, such as 412, or 423 while a lock refuses it. A complete upload is found until `Upload-Expires`; the server remembers at most 1,000 of an account. The rate limit counts only requests with Basic credentials.',
  ...codeSamples('curl -f -I -u test_user:pwd http://127.0.0.1:5000/api/uploads/$upload'),
  tags: ['Uploads'],
  params: UploadParams,
  headers: UploadLookupHeaders,
  response: headResponses
}

const appendUpload = {
  operationId: 'appendUpload',
  summary: 'Continue an upload',
  description: 'Appends the content at `Upload-Offset`. If the connection is lost, what arrived is kept. With the last byte, or the end of content with `Upload-Complete: ?1`, the upload becomes a file; the response to a client of the draft is then that of `PUT /uploads/{name}`. Another append in progress ends.',
  ...codeSamples('curl -f -u test_user:pwd -X PATCH -H "Upload-Complete: ?1" -H "Upload-Offset: 0" -H "Content-Type: application/partial-upload" --data-binary @report.pdf http://127.0.0.1:5000/api/uploads/$upload'),
  tags: ['Uploads'],
  params: UploadParams,
  headers: UploadAppendHeaders,
  consumes: [DRAFT_BYTES, TUS_BYTES],
  body: UploadBytes,
  response: {
    200: { ...Type.Ref(StoredFile), description: 'The upload is complete and replaced the file.', headers: { ...etag, ...uploadHeaders } },
    201: { ...Type.Ref(StoredFile), description: 'The upload is complete: the new file.', headers: { ...location, ...etag, ...uploadHeaders } },
    204: { description: 'The bytes are stored.', type: 'null', headers: uploadHeaders },
    ...problems(refusedAppends)
  }
}

const overrideUpload = {
  operationId: 'overrideUpload',
  summary: 'Continue or cancel an upload with POST',
  description: 'For clients of tus behind proxies that refuse `PATCH`, `HEAD` or `DELETE`: `X-HTTP-Method-Override` names the method.',
  ...codeSamples(
    'upload=$(curl -f -u test_user:pwd -X POST -H "Tus-Resumable: 1.0.0" -H "Upload-Length: 9" -H "Upload-Metadata: filename YS50eHQ=" http://127.0.0.1:5000/api/uploads | grep -Eo "[0-9a-f]{32}" | head -n 1)',
    'curl -f -u test_user:pwd -X POST -H "Tus-Resumable: 1.0.0" -H "X-HTTP-Method-Override: HEAD" http://127.0.0.1:5000/api/uploads/$upload'
  ),
  tags: ['Uploads'],
  params: UploadParams,
  headers: OverrideHeaders,
  consumes: [TUS_BYTES],
  body: UploadBytes,
  response: {
    ...headResponses,
    204: { description: 'The bytes are stored, or the upload is cancelled.', type: 'null', headers: uploadHeaders },
    ...problems(refusedAppends)
  }
}

const cancelUpload = {
  operationId: 'cancelUpload',
  summary: 'Cancel an upload',
  description: 'Ends the upload and deletes its bytes. A file that it became stays.',
  ...codeSamples('curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/uploads/$upload'),
  tags: ['Uploads'],
  params: UploadParams,
  headers: UploadLookupHeaders,
  response: {
    204: { description: 'The upload is cancelled.', type: 'null' },
    ...problems(['not_found', 'tus_version_unsupported'])
  }
}

/** The operations on uploads of the caller, but for their list. */
export const ownOperations = {
  create: createUpload,
  get: getUpload,
  head: headUpload,
  headId: 'headUpload',
  append: appendUpload,
  override: overrideUpload,
  cancel: cancelUpload,
  links: uploadLinks
}
