import type { TSchema } from '@sinclair/typebox'
import { etag, location, nextPage, StoredFile } from '../files/schemas.ts'
import { headRoute, operationLinks } from '../openapi/operation.ts'
import { addHeaders, answer, noContent, problems } from '../openapi/responses.ts'
import type { FailureCode } from '../problems.ts'
import { DRAFT_BYTES, TUS_BYTES } from './protocols.ts'
import {
  createdUpload, echoedMetadata, failureHeaders, OverrideHeaders, tusHeaders, Upload, UploadAppendHeaders, UploadBytes,
  UploadCreationHeaders, uploadHeaders, UploadFolderQuery, UploadList, UploadListQuery, uploadLocation,
  UploadLookupHeaders, UploadParams
} from './schemas.ts'

// The operations of resumable uploads, as `routes.ts` registers them.

/** What can refuse the content of a request. */
const refusedContent: FailureCode[] = [
  'upload_header_invalid', 'upload_protocol_missing', 'partial_upload', 'upload_length_inconsistent',
  'name_taken', 'upload_incomplete', 'digest_malformed', 'digest_mismatch', 'not_found', 'upload_taken_over',
  'precondition_failed', 'tus_version_unsupported', 'file_too_large', 'quota_exceeded', 'unsupported_media_type',
  'content_encoding_unsupported', 'file_locked', 'too_many_transfers', 'storage_full'
]

/** What can refuse a file whose bytes are all there. */
const refusedLookups: FailureCode[] = [
  'not_found', 'name_taken', 'precondition_failed', 'tus_version_unsupported', 'quota_exceeded', 'file_locked'
]

/** Paths of which clients of tus ask for more than the file. */
export const TUS_PATH = /^\/(?:api|s)\//

/** Statuses of a refused content: the upload may have been created before. */
const CONTENT_REFUSED = new Set([400, 404, 409, 412, 413, 423, 500, 503, 507])

/** Documents the headers that the responses of a route about uploads have, failures included. */
export function describeUploadHeaders (route: Parameters<typeof addHeaders>[0]): void {
  const { method, url } = route
  const isCreation = method === 'PUT' || (method === 'POST' && url.endsWith('/uploads'))
  addHeaders(route, status => ({
    ...failureHeaders[status],
    ...(isCreation && CONTENT_REFUSED.has(status) && createdUpload),
    ...(TUS_PATH.test(url) && tusHeaders)
  }))
}

interface Words {
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly curl: string | string[]
}

/** What the document says of the uploads of one kind of uploader. */
interface OperationOptions {
  readonly words: Record<'create' | 'get' | 'head' | 'append' | 'override' | 'cancel', Words>
  /** The parameters and headers of a creation. */
  readonly creation: object
  readonly params: TSchema & { static: { id: string } }
  /** The parameters of an operation on the upload in a response (OpenAPI links). */
  readonly parameters: Record<string, string>
  /** The responses to the request that completes an upload. */
  readonly completed: object
  /** The failures, given those of owners. */
  readonly failuresOf: (own: FailureCode[]) => FailureCode[]
}

/** The operations on uploads, but for their list. */
export function resumableOperations ({
  words, creation, params, parameters, completed, failuresOf
}: OperationOptions) {
  const content = { consumes: [DRAFT_BYTES, TUS_BYTES], body: UploadBytes }
  const upload = { params, headers: UploadLookupHeaders }
  const refused = failuresOf(refusedContent)
  const appendFailures = problems([...refused, 'upload_offset_mismatch', 'upload_completed'])
  const lookupFailures = problems(failuresOf(refusedLookups))
  const headResponses = {
    200: { ...noContent('The headers.'), headers: { ...uploadHeaders, ...echoedMetadata } },
    ...lookupFailures
  }
  const { operationId: headId, ...head } = words.head
  return {
    create: {
      ...words.create,
      ...creation,
      ...content,
      response: {
        201: { ...answer(Upload, 'The upload.'), headers: { ...uploadLocation, ...uploadHeaders } },
        ...problems([...refused, 'name_invalid', 'extension_not_allowed', 'too_many_uploads'])
      }
    },
    get: {
      ...words.get,
      ...upload,
      response: { 200: { ...answer(Upload, 'The upload.'), headers: uploadHeaders }, ...lookupFailures }
    },
    head: headRoute(headId, { ...head, ...upload, response: headResponses }),
    append: {
      ...words.append,
      ...upload,
      headers: UploadAppendHeaders,
      ...content,
      response: {
        ...completed,
        204: { ...noContent('The bytes are stored.'), headers: uploadHeaders },
        ...appendFailures
      }
    },
    override: {
      ...words.override,
      ...upload,
      headers: OverrideHeaders,
      ...content,
      consumes: [TUS_BYTES],
      response: {
        ...headResponses,
        204: { ...noContent('The bytes are stored, or the upload is cancelled.'), headers: uploadHeaders },
        ...appendFailures
      }
    },
    cancel: {
      ...words.cancel,
      ...upload,
      response: {
        204: noContent('The upload is cancelled.'),
        ...problems(['not_found', 'tus_version_unsupported'])
      }
    },
    links: operationLinks(parameters, {
      [headId]: 'Get its offset.',
      [words.append.operationId]: 'Send more bytes.',
      [words.cancel.operationId]: 'Cancel it.'
    })
  }
}

export const listUploads = {
  operationId: 'listUploads',
  summary: 'List unfinished uploads',
  description: 'Lists your unfinished uploads, newest first.',
  curl: 'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/uploads?name=large.bin"',
  querystring: UploadListQuery,
  headers: UploadLookupHeaders,
  response: {
    200: { ...answer(UploadList, 'A page.'), headers: nextPage },
    ...problems(['tus_version_unsupported'])
  }
}

/** The operations on uploads of the caller. */
export const ownOperations = resumableOperations({
  words: {
    create: {
      operationId: 'createUpload',
      summary: 'Create a resumable upload',
      description: 'Creates an upload with the tus protocol (`Tus-Resumable`) or, experimentally, ' +
        'draft-ietf-httpbis-resumable-upload (`Upload-Complete`). The content, if any, is the beginning of the file. ' +
        'The upload becomes a file when its last byte is stored; if no name is given, its id is the name. The name ' +
        'is the whole path; missing folders are created with the file. With `folderId`, the folder must be there, ' +
        'when the upload is created and when it becomes a file; no folders are created. Without a precondition, a ' +
        'file of this name must not exist, unless it has the same bytes. A lock of the file, or of the folder if the ' +
        'file is new, refuses the creation with 423; one that is set later refuses the last request, and the upload ' +
        'stays: ask for its offset once the lock has ended.',
      curl: 'curl -f -u test_user:pwd -X POST -H "Upload-Complete: ?0" -H "Content-Disposition: inline; ' +
          'filename=large.bin" http://127.0.0.1:5000/api/uploads'
    },
    get: {
      operationId: 'getUpload',
      summary: 'Get an upload',
      description: 'Returns the upload as it is. An append in progress goes on. If all bytes are there and the file ' +
        'was refused, the response is the refusal, such as 412, or 423 while a lock refuses it.',
      curl: [
        'upload=$(curl -f -u test_user:pwd "http://127.0.0.1:5000/api/uploads?name=large.bin" | grep -Eo ' +
          '"[0-9a-f]{32}" | head -n 1)',
        'curl -f -u test_user:pwd http://127.0.0.1:5000/api/uploads/$upload'
      ]
    },
    head: {
      operationId: 'headUpload',
      summary: 'Get the offset of an upload',
      description: 'Returns the offset to continue from. An append in progress ends: its bytes up to this offset are ' +
        'stored. If all bytes are there and the file was refused, the response is the refusal, such as 412, or 423 ' +
        'while a lock refuses it. A complete upload is found until `Upload-Expires`; the server remembers at most ' +
        '1,000 of an account. The rate limit counts only requests with Basic credentials.',
      curl: 'curl -f -I -u test_user:pwd http://127.0.0.1:5000/api/uploads/$upload'
    },
    append: {
      operationId: 'appendUpload',
      summary: 'Continue an upload',
      description: 'Appends the content at `Upload-Offset`. If the connection is lost, what arrived is kept. With ' +
        'the last byte, or the end of content with `Upload-Complete: ?1`, the upload becomes a file; the response to ' +
        'a client of the draft is then that of `PUT /uploads/{name}`. Another append in progress ends.',
      curl: 'curl -f -u test_user:pwd -X PATCH -H "Upload-Complete: ?1" -H "Upload-Offset: 0" -H "Content-Type: ' +
          'application/partial-upload" --data-binary @report.pdf http://127.0.0.1:5000/api/uploads/$upload'
    },
    override: {
      operationId: 'overrideUpload',
      summary: 'Continue or cancel an upload with POST',
      description: 'For clients of tus behind proxies that refuse `PATCH`, `HEAD` or `DELETE`: ' +
        '`X-HTTP-Method-Override` names the method.',
      curl: [
        'upload=$(curl -f -u test_user:pwd -X POST -H "Tus-Resumable: 1.0.0" -H "Upload-Length: 9" -H ' +
          '"Upload-Metadata: filename YS50eHQ=" http://127.0.0.1:5000/api/uploads | grep -Eo "[0-9a-f]{32}" | head ' +
          '-n 1)',
        'curl -f -u test_user:pwd -X POST -H "Tus-Resumable: 1.0.0" -H "X-HTTP-Method-Override: HEAD" ' +
          'http://127.0.0.1:5000/api/uploads/$upload'
      ]
    },
    cancel: {
      operationId: 'cancelUpload',
      summary: 'Cancel an upload',
      description: 'Ends the upload and deletes its bytes. A file that it became stays.',
      curl: 'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/uploads/$upload'
    }
  },
  creation: { querystring: UploadFolderQuery, headers: UploadCreationHeaders },
  params: UploadParams,
  parameters: { id: '$response.body#/id' },
  completed: {
    200: {
      ...answer(StoredFile, 'The upload is complete and replaced the file.'),
      headers: { ...etag, ...uploadHeaders }
    },
    201: {
      ...answer(StoredFile, 'The upload is complete: the new file.'),
      headers: { ...location, ...etag, ...uploadHeaders }
    }
  },
  failuresOf: own => own
})
