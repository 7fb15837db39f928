import type { IncomingMessage } from 'node:http'
import { Type, type Static } from '@sinclair/typebox'
import {
  Bytes, ChangeHeaders, etag, Field, FileParams, FolderIdQuery, FolderQuery, location, StoredFile
} from '../files/schemas.ts'
import type { Links } from '../http/links.ts'
import { NextId, PageQuery } from '../http/pagination.ts'
import { Count, MAX_FIELD_LENGTH, SharedObject, Timestamp } from '../http/wire-values.ts'
import { type ListedUpload, MAX_METADATA_BYTES } from '../metadata/upload-records.ts'
import { answer, type Header, problems } from '../openapi/responses.ts'
import type { FailureCode } from '../problems.ts'

const bodyDigest = {
  'content-digest': Field('Digest of the body as sent, `sha-256` or `sha-512` (RFC 9530 section 2). It may be a ' +
    'trailer field, if `Trailer` announces it.')
}

/** The client's time of the content. */
export const fileModified = {
  'x-file-modified': Field('When the content was last changed, as a time of RFC 3339. It becomes `modifiedAt` of the ' +
    'file.')
}

/** Headers of a form. */
export const FormHeaders = Type.Object({
  ...fileModified,
  ...bodyDigest,
  'repr-digest': Field('The same as `Content-Digest`, because a form is always complete.')
})

/** Digests that a raw upload is verified with. */
export const DigestHeaders = Type.Object({
  ...bodyDigest,
  'repr-digest': Field('Digest of the whole file (RFC 9530 section 3). The same as `Content-Digest` if the body is ' +
    'the whole file.')
})

/** A form with one part `file`. For the document only: the parts are checked as they arrive. */
export const UploadForm = Type.Object({
  file: Bytes('The file; the last segment of its `filename` becomes the name.'),
  modifiedAt: Type.Optional(Type.String({
    format: 'date-time',
    maxLength: 64,
    description: 'When the content was last changed. RFC 3339, before or after the file. Without it, ' +
      '`X-File-Modified` counts.',
    examples: ['2026-11-24T09:30:00.000Z']
  }))
}, { description: 'Exactly one part `file`. Fields other than these are ignored.' })

/** The folder that a form's file goes to. */
const UploadFormQuery = Type.Object(FolderQuery('The folder that the file goes to; missing ones are created. The ' +
  'root if it is absent, empty or `/`.'))

/** The folder that a raw upload goes to. */
export const UploadFolderQuery = Type.Object(FolderIdQuery)

export const UploadBytes = Bytes('The bytes of the file.')

/** The paths of upload resources. */
export const UPLOADS_PATH = '/api/uploads'
export const UPLOAD_PATH = `${UPLOADS_PATH}/:id`

// Not a pattern: a lookup by an id that no upload can have is 404, not 400.
const id = Type.String({
  format: 'upload-id',
  maxLength: MAX_FIELD_LENGTH,
  description: 'Id of the upload: the last segment of its URL.',
  examples: ['0f8fad5bd9cb469fa16570867728950e']
})

export const Upload = SharedObject('Upload', 'An upload that can be continued.', {
  id,
  name: StoredFile.properties.name,
  size: Type.Unsafe<number | null>({
    type: ['integer', 'null'],
    format: 'int64',
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Bytes of the file; null while they are not announced.',
    examples: [52417]
  }),
  offset: Count('Bytes that are stored: the next append begins here.', 9),
  type: StoredFile.properties.type,
  createdAt: Timestamp('When the upload was created.'),
  expiresAt: Timestamp('When the upload ends if no more bytes arrive.')
})
export type Upload = Static<typeof Upload>

export const UploadList = SharedObject('UploadList', 'A page of unfinished uploads.', {
  uploads: Type.Array(Type.Ref(Upload), { maxItems: 1000, description: 'Newest first.' }),
  next: { ...NextId, examples: [null] }
})

export const UploadListQuery = Type.Composite([PageQuery, Type.Object({
  name: Type.Optional(Type.String({
    format: 'file-name',
    maxLength: 1024,
    description: 'Only uploads of a file with this name.',
    examples: ['report.pdf']
  }))
})], { additionalProperties: false })

export const UploadParams = Type.Object({ id })

/** Announces the protocol of tus. */
const tusResumable = { 'tus-resumable': Field('`1.0.0` for the tus protocol; else the response is 412.') }

const uploadLength = { 'upload-length': Field('Bytes of the whole file.') }

const uploadComplete = Field('`?1` if the file ends with this content, else `?0` ' +
  '(draft-ietf-httpbis-resumable-upload). Announces the protocol of the draft.')

const contentDigest = {
  'content-digest': Field('Digest of the content of this request, `sha-256` or `sha-512` (RFC 9530 section 2). If it ' +
    'does not match, none of the content is kept.')
}

const interopVersion = {
  'upload-draft-interop-version': Field('Version of the draft that the client follows. With `8`, an interim response ' +
    '104 tells the address of the upload before the content is read.')
}

/** Headers of a creation, but for its conditions. */
export const NewUploadHeaders = Type.Object({
  ...tusResumable,
  ...fileModified,
  'upload-complete': uploadComplete,
  ...uploadLength,
  'upload-defer-length': Field('`1` if the length is announced later (tus).'),
  'upload-metadata': Field('Keys with Base64 values (tus): `filename` or `name`, `filetype` or `type`, and ' +
    '`lastModified` in milliseconds since 1970. At most 4 KiB.', MAX_METADATA_BYTES),
  'content-disposition': Field('The name of the file, such as `inline; filename="report.pdf"` (draft).'),
  ...contentDigest,
  'repr-digest': Field('Digest of the whole file, `sha-256` or `sha-512` (RFC 9530 section 3). If it does not match ' +
    'at the end, the upload ends.'),
  ...interopVersion
})

export const UploadCreationHeaders = Type.Composite([NewUploadHeaders, ChangeHeaders])

export const UploadAppendHeaders = Type.Object({
  ...tusResumable,
  'upload-complete': uploadComplete,
  'upload-offset': Field('Where the content begins: the offset of the upload.'),
  ...uploadLength,
  ...contentDigest
})

/** Headers of `PUT /uploads/{name}` for uploads that can be continued. */
const ResumablePutHeaders = Type.Object({
  'upload-complete': Field('`?1` makes an upload of more than 1 MiB resumable; `?0` begins one with more content to ' +
    'follow (draft-ietf-httpbis-resumable-upload).'),
  ...uploadLength,
  'content-range': Field('`bytes 5-9/10`: the rest of a file whose unfinished upload was begun with `PUT` (RFC 9110 ' +
    'section 14.5). `curl -C OFFSET -T FILE` sends it.'),
  ...interopVersion
})

export const UploadLookupHeaders = Type.Object(tusResumable)

export const OverrideHeaders = Type.Composite([Type.Object({
  'x-http-method-override': Field('`PATCH`, `HEAD` or `DELETE`.')
}), UploadAppendHeaders])

const integer = (description: string) => ({
  type: 'integer',
  format: 'int64',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description
}) as const

/** For every response to a client of tus. */
export const tusHeaders: Record<string, Header> = {
  'Tus-Resumable': { type: 'string', enum: ['1.0.0'], description: 'For clients of tus.' }
}

const uploadLimitHeader: Header = {
  type: 'string',
  maxLength: 64,
  pattern: '^max-size=[0-9]+, max-age=[0-9]+$',
  description: 'Largest file in bytes, and seconds until the upload ends if no more bytes arrive.'
}

/** What responses say about an upload. */
export const uploadHeaders: Record<string, Header> & Record<'Upload-Offset' | 'Upload-Complete', Header> = {
  'Upload-Offset': integer('Bytes on stable storage: the next append begins here.'),
  'Upload-Length': integer('Bytes of the whole file. Absent while the client has not announced it.'),
  'Upload-Defer-Length': {
    type: 'string',
    enum: ['1'],
    description: 'For clients of tus, while the length is not announced.'
  },
  'Upload-Complete': { type: 'string', enum: ['?0', '?1'], description: 'Whether the file is stored.' },
  'Upload-Limit': uploadLimitHeader,
  'Upload-Expires': {
    type: 'string',
    maxLength: 29,
    pattern: ' GMT$',
    description: 'When the upload ends if no more bytes arrive (RFC 9110 section 5.6.7).'
  }
}

const { 'Upload-Offset': offsetHeader, 'Upload-Complete': completeHeader } = uploadHeaders

/** Headers of failures, by status. */
export const failureHeaders: Record<number, Record<string, Header>> = {
  409: { 'Upload-Offset': offsetHeader, 'Upload-Complete': completeHeader },
  412: { 'Upload-Offset': offsetHeader, 'Upload-Complete': completeHeader },
  413: { 'Upload-Offset': offsetHeader, 'Upload-Complete': completeHeader, 'Upload-Limit': uploadLimitHeader },
  423: { 'Upload-Offset': offsetHeader, 'Upload-Complete': completeHeader }
}

export const uploadLocation = {
  Location: {
    type: 'string' as const,
    format: 'uri-reference',
    maxLength: 4096,
    pattern: '/(?:api|s/[^/]+)/uploads/[^/]+$',
    description: 'Address of the upload: absolute if PUBLIC_URL is set or the request\'s Host is the server\'s own ' +
      'address; otherwise a path.'
  }
}

/** After a creation whose content was refused. */
export const createdUpload = {
  Location: {
    ...uploadLocation.Location,
    description: 'Address of the upload, if it was created before its content was refused.'
  }
}

export const echoedMetadata = {
  'Upload-Metadata': {
    type: 'string',
    maxLength: MAX_METADATA_BYTES,
    pattern: '^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$',
    description: 'As the upload was created with it; else absent.'
  }
}

/** Failures of both kinds of upload. `not_found` means that the account was deleted during the upload. */
export const refusedUploads: FailureCode[] = [
  'name_invalid', 'not_found', 'upload_incomplete', 'digest_malformed', 'digest_mismatch', 'file_too_large',
  'quota_exceeded', 'extension_not_allowed', 'content_encoding_unsupported', 'file_locked', 'storage_full',
  'too_many_transfers'
]

/** Further failures of uploads that can be continued. */
const refusedParts: FailureCode[] = [
  'content_range_invalid', 'upload_header_invalid', 'tus_version_unsupported', 'upload_length_inconsistent',
  'upload_completed', 'upload_offset_mismatch', 'upload_taken_over', 'too_many_uploads'
]

export const uploadFile = {
  operationId: 'uploadFile',
  summary: 'Upload a file',
  description: 'Creates a file from a form with one part named `file`. If a file with this name and the same bytes ' +
    'already exists, the response is 200 with that file, so retries are safe. If its bytes differ, the response is ' +
    '409 and nothing changes. `Content-Digest` and `Repr-Digest` cover the whole form as sent.',
  curl: 'curl -f -u test_user:pwd -F file=@report.pdf http://127.0.0.1:5000/',
  querystring: UploadFormQuery,
  headers: FormHeaders,
  consumes: ['multipart/form-data'],
  body: UploadForm,
  response: {
    200: {
      ...answer(StoredFile, 'A file with the same name and bytes already exists.'),
      headers: { ...location, ...etag }
    },
    201: { ...answer(StoredFile, 'The new file.'), headers: { ...location, ...etag } },
    ...problems([
      ...refusedUploads, 'upload_header_invalid', 'malformed_multipart', 'file_missing', 'file_unexpected',
      'name_taken', 'unsupported_media_type'
    ])
  }
}

export const putFile = {
  operationId: 'putFile',
  summary: 'Create or replace a file',
  description: 'Stores the request body under this name, and creates missing folders. `Content-Type` is its media ' +
    'type; without it, or with `application/x-www-form-urlencoded`, which curl and wget add to every body, the type ' +
    'of the name\'s extension is used. `If-None-Match: *` only creates, `If-Match` only replaces that content; ' +
    'otherwise the response is 412. With `folderId`, the folder must be there, and no folders are created. Replaced ' +
    'content is kept as a version of the file. `Content-Digest` and `Repr-Digest` are verified before the file ' +
    'becomes visible.\n\nAn upload of more than 1 MiB with `Upload-Complete: ?1` can be continued after a lost ' +
    'connection: find it with `GET /api/uploads?name=…`, and send the rest with `Content-Range`.\n\nClients that ' +
    'swagger-typescript-api generates, or orval for `fetch`, send a `File` or `Blob` as the JSON text `{}`. With ' +
    'them, use `uploadFile`.\n\nOver HTTP/2, a body whose length is not its `Content-Length` is never stored: ' +
    'Node.js 20 resets the stream, and newer versions end the connection with its other streams. What was ' +
    'acknowledged on it is stored.',
  curl: 'curl -f -u test_user:pwd -H "Upload-Complete: ?1" -T report.pdf http://127.0.0.1:5000/uploads/second.pdf',
  params: FileParams,
  querystring: UploadFolderQuery,
  headers: Type.Composite([ChangeHeaders, DigestHeaders, ResumablePutHeaders, Type.Object(fileModified)]),
  consumes: ['application/octet-stream'],
  body: UploadBytes,
  response: {
    200: { ...answer(StoredFile, 'The file was replaced.'), headers: { ...etag, ...uploadHeaders } },
    201: {
      ...answer(StoredFile, 'The new file. With `Upload-Complete: ?0` the response is that of `POST /api/uploads`.'),
      headers: { ...location, ...etag, ...uploadHeaders }
    },
    ...problems([...refusedUploads, ...refusedParts, 'name_taken', 'precondition_failed'])
  }
}

/** The address of an upload. */
export function uploadUrl ({ id }: { id: string }, request: IncomingMessage, links: Links): string {
  return links.to(request, `${UPLOADS_PATH}/${id}`)
}

/** An upload as clients see it. */
export function uploadOf ({ id, name, length, offset, type, createdAt, expiresAt }: ListedUpload): Upload {
  return {
    id,
    name,
    size: length,
    offset,
    type,
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString()
  }
}
