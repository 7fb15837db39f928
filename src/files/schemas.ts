import type { IncomingMessage } from 'node:http'
import { Type, type Static } from '@sinclair/typebox'
import type { Links } from '../http/links.ts'
import { PageSize } from '../http/pagination.ts'
import { Count, MAX_FIELD_LENGTH, MAX_TEXT_POINTS, NullableText, Timestamp } from '../http/wire-values.ts'
import { fileOrders, type FileRecord } from '../metadata/records.ts'
import { codeSamples } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import { MAX_TYPE_LENGTH } from './media-type.ts'
import { MAX_NAME_BYTES } from './names.ts'

/** A string enum. Client generators turn a union of constants into one type for each. */
const OneOf = <const Word extends string>(
  words: readonly Word[], options: { default: NoInfer<Word>, description: string }
) => Type.Unsafe<Word>({ type: 'string', enum: [...words], ...options })

/** Any field value (RFC 9110 section 5.5). The code that reads a header ignores or refuses what it can't parse. */
const FIELD_VALUE = '^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$'

/** An optional request header. It has no example, because Swagger UI would send it. */
export const Field = (description: string, maxLength = MAX_FIELD_LENGTH) =>
  Type.Optional(Type.String({ pattern: FIELD_VALUE, maxLength, description }))

/** Bytes. The operator sets the maximum (MAX_FILE_BYTES). */
export const Bytes = (description: string) => Type.String({ format: 'binary', description })

/** A name as stored. */
const StoredName = Type.String({ minLength: 1, maxLength: MAX_NAME_BYTES, pattern: '^(?!\\.{1,2}$)[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+$', description: 'Name of the file, unique within its account: NFC, 1 to 255 bytes of UTF-8, no `/`, `\\` or control characters, not `.` or `..`.', examples: ['report.pdf'] })

export const StoredFile = Type.Object({
  name: StoredName,
  size: Count('Bytes.', 52417),
  type: Type.String({ maxLength: MAX_TYPE_LENGTH, pattern: '^[^/\\s]+/[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]+$', description: 'Media type: as declared, else from the extension, else `application/octet-stream`.', examples: ['application/pdf'] }),
  sha256: Type.String({ maxLength: 64, pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the bytes, in hex. In quotes, it is the entity tag.', examples: ['149b16dc441e3140c89fe4f164ea23a8ba80bb5e79c780f97b24ecf95e253095'] }),
  createdAt: Timestamp('When the file was created. New content does not change it.'),
  updatedAt: Timestamp('When these bytes were stored, or the file was renamed or restored.'),
  url: Type.String({ format: 'uri-reference', maxLength: 4096, description: 'URL of the bytes: absolute if PUBLIC_URL is set or the request was sent to the address the server listens on, else a path.', examples: ['http://127.0.0.1:5000/uploads/report.pdf'] })
}, { $id: 'StoredFile', additionalProperties: false, description: 'Metadata of a stored file.' })
export type StoredFile = Static<typeof StoredFile>

/** The form of an opaque cursor. */
const CURSOR = { pattern: '^[A-Za-z0-9_-]+$', maxLength: 2048 }

/** The cursor of the next page. */
export const NextCursor = NullableText({ ...CURSOR, description: 'The `cursor` of the next page; null on the last page.', examples: [null] })

/** The cursor of a listing, as a parameter. */
export const Cursor = (description: string) => Type.Optional(Type.String({ ...CURSOR, minLength: 1, description }))

export const FileList = Type.Object({
  files: Type.Array(Type.Ref(StoredFile), { maxItems: 1000, description: 'The files on this page.' }),
  next: NextCursor
}, { $id: 'FileList', additionalProperties: false, description: 'A page of files.' })

const FileListQuery = Type.Object({
  limit: Type.Optional(PageSize('Files on a page')),
  cursor: Cursor('`next` of the previous page. Use it with the same `order` and `prefix`.'),
  order: Type.Optional(OneOf(fileOrders, { default: 'name', description: 'By name (code point order), by creation time, or by size.' })),
  prefix: Type.Optional(Type.String({ format: 'file-name-prefix', maxLength: 1024, description: 'Only names with this prefix. Needs an order by name.' }))
}, { additionalProperties: false })

// Not a pattern: a lookup by a name that no file can have is 404, not 400.
export const FileParams = Type.Object({
  name: Type.String({ format: 'file-name', maxLength: MAX_FIELD_LENGTH, description: 'Name of the file: in NFC, 1 to 255 bytes of UTF-8, without `/`, `\\` or control characters. Clients that swagger-typescript-api, orval, kubb or openapi-zod-client generate do not percent-encode it, so `#` and `?` would cut it: pass them `encodeURIComponent(name)`.', examples: ['report.pdf'] })
})

// Not a pattern: a lookup by an id that nothing can have is 404, not 400.
const AnyContentId = (description: string) => Type.String({ format: 'content-id', maxLength: MAX_FIELD_LENGTH, description })

export const ContentId = (description: string) => Type.String({ ...AnyContentId(description), examples: ['6f1ed002ab5595859014ebf0951522d9'] })

export const DownloadQuery = Type.Object({
  // Without an example: Swagger UI would send it.
  version: Type.Optional(AnyContentId('Download this version instead of the current content. `Last-Modified` is when the version was stored.')),
  disposition: Type.Optional(OneOf(['attachment', 'inline'], { default: 'attachment', description: '`inline` lets a browser display images (except SVG), audio, video, PDF and plain text. Other types remain attachments.' }))
})

/** The query of a deletion. */
const DeletionQuery = Type.Object({
  permanent: Type.Optional(Type.Boolean({ default: false, description: 'Delete the file and its versions for good, instead of moving them to the trash.' }))
})

/** Headers for ranges and conditions of a download. */
const DownloadHeaders = Type.Object({
  range: Field('Range of bytes, such as `bytes=0-1023` (RFC 9110 section 14.2).'),
  'if-range': Field('Apply `Range` only if the file has this entity tag; else send the whole file. A date never matches.'),
  'if-none-match': Field('Only if the file has none of these entity tags; else 304.'),
  'if-modified-since': Field('Only if the file changed after this date; else 304.'),
  'if-match': Field('Only if the file has one of these entity tags; else 412.'),
  'if-unmodified-since': Field('Only if the file did not change after this date; else 412.'),
  'want-repr-digest': Field('Preferred digest algorithms (RFC 9530 section 4). `sha-256` is available.')
})

/** The same for HEAD, which has no ranges (RFC 9110 section 14.2). */
const HeadHeaders = Type.Omit(DownloadHeaders, ['range', 'if-range'])

/** Headers for conditions of a change. */
export const ChangeHeaders = Type.Object({
  'if-match': Field('Only if the file has one of these entity tags, or exists for `*`; else 412.'),
  'if-none-match': Field('Only if the file has none of these entity tags, or does not exist for `*`; else 412.'),
  'if-unmodified-since': Field('Only if the file did not change after this date; else 412.')
})

export const Rename = Type.Object({
  name: Type.String({ format: 'file-name', minLength: 1, maxLength: MAX_TEXT_POINTS, description: 'The new name: normalised to NFC, then 1 to 255 bytes of UTF-8 without `/`, `\\` or control characters.', examples: ['report-2026.pdf'] })
}, { $id: 'Rename', additionalProperties: false, description: 'A new name.' })

/** The header that identifies the bytes of a file. */
export const etag = { ETag: { type: 'string', maxLength: 66, pattern: '^"[0-9a-f]{64}"$', description: 'Strong entity tag: the SHA-256 of the bytes, in hex, in quotes.' } }

/** Headers that identify a version of a file. */
export const validators = {
  ...etag,
  'Last-Modified': { type: 'string', maxLength: 29, pattern: '^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$', description: 'When the bytes were stored, or the file was renamed or restored (RFC 9110 section 5.6.7).' }
}

/** Headers that describe a file, for the whole file and for ranges alike. */
const representation = {
  'Accept-Ranges': { type: 'string', enum: ['bytes'], description: 'Byte ranges are supported.' },
  'Content-Disposition': { type: 'string', maxLength: 2048, pattern: '^(?:attachment|inline); filename=', description: 'The name of the file (RFC 6266, RFC 8187).' },
  'Repr-Digest': { type: 'string', maxLength: 54, pattern: '^sha-256=:[A-Za-z0-9+/]{43}=:$', description: 'SHA-256 of the whole file, in Base64 (RFC 9530). Absent if `Want-Repr-Digest` declines it.' }
}

/** The header of a response with one range. */
export const contentRange = { 'Content-Range': { type: 'string', maxLength: 64, pattern: '^bytes [0-9]+-[0-9]+/[0-9]+$', description: 'For a single range: its bytes and the size of the file.' } }

/** The temporary address of a download. */
export const presigned = { Location: { type: 'string', format: 'uri', maxLength: 8192, pattern: '^https?://[^\\s]+$', description: 'A URL of the file storage that needs no credentials. The response to it has the name and media type of the file.' } }

/** The path of a new file. */
export const location = { Location: { type: 'string', format: 'uri-reference', maxLength: 1024, pattern: '^/uploads/[^/]+$', description: 'Path of the file.' } }

/** The header of a listing that links its next page. */
export const nextPage = { Link: { type: 'string', maxLength: 8192, pattern: '^<[^<>\\s]+>; rel="next"$', description: 'The next page, `rel="next"` (RFC 8288). Absent on the last page.' } }

/** Operations on the file in a response (OpenAPI links). */
export const fileLinks = Object.fromEntries(Object.entries({
  downloadFile: 'Download the file.',
  getFile: 'Get its metadata.',
  renameFile: 'Rename it.',
  deleteFile: 'Delete it.'
}).map(([operationId, description]) => [operationId, { operationId, parameters: { name: '$response.body#/name' }, description }]))

const whole = {
  description: 'The whole file.',
  content: { '*/*': { schema: Bytes('The bytes of the file.'), example: 'the bytes' } },
  headers: { ...validators, ...representation }
}
const headResponses = {
  200: whole,
  304: { description: 'The client has the current content.', type: 'null', headers: validators },
  ...problems(['validation_failed', 'not_found', 'precondition_failed', 'file_damaged'])
}
const downloadResponses = {
  ...headResponses,
  206: { ...whole, description: 'The requested ranges; several of them as `multipart/byteranges`.', headers: { ...whole.headers, ...contentRange } },
  307: { description: 'The bytes are at another address, for this request and a limited time. Only if the server is set up for it.', type: 'null', headers: presigned },
  ...problems(['range_not_satisfiable', 'too_many_transfers'])
}

export const downloadFile = {
  operationId: 'downloadFile',
  summary: 'Download a file',
  description: 'Returns the bytes as an attachment, with headers that prevent HTML and SVG from running scripts in a browser. Supports conditional and range requests (RFC 9110). More than 32 ranges are ignored. With `version`, returns a former content of the file.',
  ...codeSamples(
    'curl -f -u test_user:pwd -o copy.pdf http://127.0.0.1:5000/uploads/report.pdf',
    'curl -f -u test_user:pwd -r 0-8 http://127.0.0.1:5000/uploads/report.pdf'
  ),
  tags: ['Files'],
  params: FileParams,
  querystring: DownloadQuery,
  headers: DownloadHeaders,
  response: downloadResponses
}

export const headFile = {
  summary: 'Get the headers of a file',
  description: 'Returns the headers of a download without the bytes. Ranges are ignored.',
  ...codeSamples('curl -f -I -u test_user:pwd http://127.0.0.1:5000/uploads/report.pdf'),
  tags: ['Files'],
  params: FileParams,
  querystring: DownloadQuery,
  headers: HeadHeaders,
  response: headResponses
}

export const listFiles = {
  operationId: 'listFiles',
  summary: 'List files',
  description: 'Lists your files, page by page. Pagination is constant-time and stable under concurrent changes.',
  ...codeSamples('curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?order=newest&limit=10"'),
  tags: ['Files'],
  querystring: FileListQuery,
  response: {
    200: { ...Type.Ref(FileList), description: 'A page.', headers: nextPage },
    ...problems(['validation_failed'])
  }
}

export const getFile = {
  operationId: 'getFile',
  summary: 'Get file metadata',
  description: 'Returns name, size, media type, SHA-256, timestamps and URL of a file.',
  ...codeSamples('curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/report.pdf'),
  tags: ['Files'],
  params: FileParams,
  response: {
    200: { ...Type.Ref(StoredFile), description: 'The file.' },
    ...problems(['validation_failed', 'not_found'])
  }
}

export const deleteFile = {
  operationId: 'deleteFile',
  summary: 'Delete a file',
  description: 'Moves the file with its versions to the trash, from which it can be restored for some time, 30 days by default. With `permanent=true`, deletes them for good. With `If-Match`, only if the file still has that content. Downloads in progress complete.',
  ...codeSamples('curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/uploads/second.pdf'),
  tags: ['Files'],
  params: FileParams,
  querystring: DeletionQuery,
  headers: ChangeHeaders,
  response: {
    204: { description: 'The file was deleted.', type: 'null' },
    ...problems(['validation_failed', 'not_found', 'precondition_failed', 'storage_full'])
  }
}

export const renameFile = {
  operationId: 'renameFile',
  summary: 'Rename a file',
  description: 'Renames the file. The new name must be free. Bytes, media type, SHA-256 and creation time stay the same.',
  ...codeSamples(
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/draft.pdf',
    'curl -f -u test_user:pwd -X PATCH -H "Content-Type: application/json" -d \'{"name":"final.pdf"}\' http://127.0.0.1:5000/api/files/draft.pdf'
  ),
  tags: ['Files'],
  params: FileParams,
  body: Type.Ref(Rename),
  response: {
    200: { ...Type.Ref(StoredFile), description: 'The renamed file.' },
    ...problems([
      'malformed_json', 'validation_failed', 'name_invalid', 'not_found', 'name_taken', 'body_too_large',
      'unsupported_media_type', 'extension_not_allowed', 'storage_full'
    ])
  }
}

/** The path of a file's bytes. */
export function pathOf ({ name }: FileRecord): string {
  return `/uploads/${encodeURIComponent(name)}`
}

/** A file as clients see it. */
export function fileOf (file: FileRecord, request: IncomingMessage, links: Links): StoredFile {
  const { name, size, type, sha256, createdAt, updatedAt } = file
  return {
    name,
    size,
    type,
    sha256,
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
    url: links.to(request, pathOf(file))
  }
}
