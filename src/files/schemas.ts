import type { IncomingMessage } from 'node:http'
import { Type, type Static } from '@sinclair/typebox'
import type { Links } from '../http/links.ts'
import { PageSize } from '../http/pagination.ts'
import { Count, MAX_TEXT_POINTS, NullableText, Timestamp } from '../http/wire-values.ts'
import { fileOrders, type FileRecord } from '../metadata/records.ts'
import { MAX_TYPE_LENGTH } from './media-type.ts'
import { MAX_NAME_BYTES } from './names.ts'

/** One of some words, as `enum`: of a union of constants, generators make as many types. */
const OneOf = <const Word extends string>(words: readonly Word[], options: { default: NoInfer<Word>, description: string }) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words], ...options })

/** What every field value is (RFC 9110 section 5.5): what a field does not understand it passes over or refuses by a code of its own. */
const FIELD_VALUE = '^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$'

/** Longest field value: no list of fields is longer over HTTP/2 (Node's default), and no head over HTTP/1.1. */
const MAX_FIELD_LENGTH = 65_535

/** A request header that may be left out; without an example, which Swagger UI would send. */
export const Field = (description: string) => Type.Optional(Type.String({ pattern: FIELD_VALUE, maxLength: MAX_FIELD_LENGTH, description }))

/** Bytes of any number: how many are taken is the operator's to say (MAX_FILE_BYTES). */
export const Bytes = (description: string) => Type.String({ format: 'binary', description })

/** A name as it is stored. */
const StoredName = Type.String({ minLength: 1, maxLength: MAX_NAME_BYTES, pattern: '^(?!\\.{1,2}$)[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+$', description: 'Key of the file within its owner: NFC, 1 to 255 bytes of UTF-8, no `/`, `\\`, control characters, `.` or `..`.', examples: ['report.pdf'] })

export const StoredFile = Type.Object({
  name: StoredName,
  size: Count('Bytes.', 52417),
  type: Type.String({ maxLength: MAX_TYPE_LENGTH, pattern: '^[^/\\s]+/[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]+$', description: 'Media type: as declared, else by the name\'s extension, else `application/octet-stream`.', examples: ['application/pdf'] }),
  sha256: Type.String({ maxLength: 64, pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the bytes, in hex; its quoted form is the entity tag.', examples: ['149b16dc441e3140c89fe4f164ea23a8ba80bb5e79c780f97b24ecf95e253095'] }),
  createdAt: Timestamp('When the name came to be; a new version does not change it.'),
  updatedAt: Timestamp('When these bytes were stored, or got this name.'),
  url: Type.String({ format: 'uri-reference', maxLength: 4096, description: 'Address of the bytes: absolute where the request names the address the server listens on, or PUBLIC_URL is set; else a path.', examples: ['http://127.0.0.1:5000/uploads/report.pdf'] })
}, { $id: 'StoredFile', additionalProperties: false, description: 'Metadata of a stored file.' })
export type StoredFile = Static<typeof StoredFile>

const CURSOR = { pattern: '^[A-Za-z0-9_-]+$', maxLength: 2048 }

export const FileList = Type.Object({
  files: Type.Array(Type.Ref(StoredFile), { maxItems: 1000, description: 'This page of the owner\'s files.' }),
  next: NullableText({ ...CURSOR, description: 'The `cursor` of the next page; null on the last one.', examples: [null] })
}, { $id: 'FileList', additionalProperties: false, description: 'A page of files.' })

export const FileListQuery = Type.Object({
  limit: Type.Optional(PageSize('Files on a page')),
  cursor: Type.Optional(Type.String({ ...CURSOR, minLength: 1, description: 'Where the last page ended: its `next`. It goes with the same `order` and `prefix`.' })),
  order: Type.Optional(OneOf(fileOrders, { default: 'name', description: 'By name (code point order), by creation time, or by size.' })),
  prefix: Type.Optional(Type.String({ format: 'file-name-prefix', maxLength: 1024, description: 'Only names that begin so; with the name orders only.' }))
}, { additionalProperties: false })

// Where something is looked up by a name that no file can have, it is not found: the rule of names is named, not checked by a pattern.
export const FileParams = Type.Object({
  name: Type.String({ format: 'file-name', maxLength: 1024, description: 'Name of the file: in NFC, 1 to 255 bytes of UTF-8, without `/`, `\\` and control characters.', examples: ['report.pdf'] })
})

export const DownloadQuery = Type.Object({
  disposition: Type.Optional(OneOf(['attachment', 'inline'], { default: 'attachment', description: '`inline` lets a browser show images (not SVG), audio, video, PDF and plain text in its window; everything else stays an attachment.' }))
})

/** What a download can be made to depend on, and how much of it is asked for. */
export const DownloadHeaders = Type.Object({
  range: Field('The bytes wanted, such as `bytes=0-1023` (RFC 9110 section 14.2).'),
  'if-range': Field('The ranges only of the version with this entity tag or date; else the whole file.'),
  'if-none-match': Field('Only if the file has none of these entity tags; else 304.'),
  'if-modified-since': Field('Only if the file changed after this date; else 304.'),
  'if-match': Field('Only if the file has one of these entity tags; else 412.'),
  'if-unmodified-since': Field('Only if the file did not change after this date; else 412.'),
  'want-repr-digest': Field('Which `Repr-Digest` the client cares for (RFC 9530 section 4); `sha-256` is at hand.')
})

/** The same for its head alone, which has no ranges (RFC 9110 section 14.2). */
export const HeadHeaders = Type.Omit(DownloadHeaders, ['range', 'if-range'])

/** What a change can be made to depend on. */
export const ChangeHeaders = Type.Object({
  'if-match': Field('Only if the file has one of these entity tags, or is there at all for `*`; else 412.'),
  'if-none-match': Field('Only if the file has none of these entity tags, or is not there at all for `*`; else 412.'),
  'if-unmodified-since': Field('Only if the file did not change after this date; else 412.')
})

export const Rename = Type.Object({
  name: Type.String({ format: 'file-name', minLength: 1, maxLength: MAX_TEXT_POINTS, description: 'The new name: brought to NFC, then 1 to 255 bytes of UTF-8 without `/`, `\\` and control characters.', examples: ['report-2026.pdf'] })
}, { $id: 'Rename', additionalProperties: false, description: 'What a file is to be called.' })

/** The header that names a file's bytes. */
export const etag = { ETag: { type: 'string', maxLength: 66, pattern: '^"[0-9a-f]{64}"$', description: 'Strong entity tag: the SHA-256 of the bytes, in hex and quotes.' } }

/** What tells one version of a file from another. */
export const validators = {
  ...etag,
  'Last-Modified': { type: 'string', maxLength: 29, pattern: '^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$', description: 'When the bytes were stored, or got this name (RFC 9110 section 5.6.7).' }
}

/** What describes a file, whichever part of it is sent. */
export const representation = {
  'Accept-Ranges': { type: 'string', enum: ['bytes'], description: 'Parts of the file can be asked for.' },
  'Content-Disposition': { type: 'string', maxLength: 2048, pattern: '^(?:attachment|inline); filename=', description: 'The exact name, for saving (RFC 6266, RFC 8187).' },
  'Repr-Digest': { type: 'string', maxLength: 54, pattern: '^sha-256=:[A-Za-z0-9+/]{43}=:$', description: 'SHA-256 of the whole file, in Base64 (RFC 9530); absent where `Want-Repr-Digest` does not ask for it.' }
}

export const contentRange = { 'Content-Range': { type: 'string', maxLength: 64, pattern: '^bytes [0-9]+-[0-9]+/[0-9]+$', description: 'Of one range: which bytes of how many.' } }

/** Where a new file is. */
export const location = { Location: { type: 'string', format: 'uri-reference', maxLength: 1024, pattern: '^/uploads/[^/]+$', description: 'Path of the file.' } }

export const nextPage = { Link: { type: 'string', maxLength: 8192, pattern: '^<[^<>\\s]+>; rel="next"$', description: 'The next page, `rel="next"`; absent on the last one (RFC 8288).' } }

/** What can be done next with the file that an answer tells of (OpenAPI links). */
export const fileLinks = Object.fromEntries(Object.entries({
  downloadFile: 'The bytes.',
  getFile: 'The metadata again, without the bytes.',
  renameFile: 'Another name for it.',
  deleteFile: 'The end of it.'
}).map(([operationId, description]) => [operationId, { operationId, parameters: { name: '$response.body#/name' }, description }]))

/** The next page of the same listing (OpenAPI links). */
export const nextPageLinks = {
  nextPage: {
    operationId: 'listFiles',
    parameters: { cursor: '$response.body#/next', limit: '$request.query.limit', order: '$request.query.order', prefix: '$request.query.prefix' },
    description: 'The next page, unless `next` is null.'
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
