import { Type } from '@sinclair/typebox'
import { Timestamp } from '../accounts/schemas.ts'
import { fileOrders } from '../metadata/metadata.ts'

/** One of some words, as `enum`: of a union of constants, generators make as many types. */
const OneOf = <const Word extends string>(words: readonly Word[], options: { default: NoInfer<Word>, description: string }) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words], ...options })

const FileName = Type.String({ description: 'Key of the file within its owner: NFC, 1 to 255 bytes of UTF-8, no `/`, `\\`, control characters, `.` or `..`.', examples: ['report.pdf'] })

export const File = Type.Object({
  name: FileName,
  size: Type.Integer({ minimum: 0, description: 'Bytes.', examples: [52417] }),
  type: Type.String({ description: 'Media type: as declared, else by the name\'s extension, else `application/octet-stream`.', examples: ['application/pdf'] }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the bytes, in hex; its quoted form is the entity tag.', examples: ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'] }),
  createdAt: Timestamp,
  updatedAt: Timestamp,
  url: Type.String({ format: 'uri-reference', description: 'Address of the bytes: absolute where the request names the address the server listens on, or PUBLIC_URL is set; else a path.', examples: ['http://127.0.0.1:5000/uploads/report.pdf'] })
}, { $id: 'File', additionalProperties: false, description: 'Facts about a stored file.' })

export const FileList = Type.Object({
  files: Type.Array(Type.Ref(File), { maxItems: 1000, description: 'This page of the owner\'s files.' }),
  next: Type.Union([Type.String(), Type.Null()], { description: 'The `cursor` of the next page; null on the last one.' })
}, { $id: 'FileList', additionalProperties: false, description: 'A page of files.' })

export const FileListQuery = Type.Object({
  limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]{0,2}|1000)$', default: '100', description: 'Files on a page, 1 to 1,000.', examples: ['50'] })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 2048, description: 'Where the last page ended: its `next`. It goes with the same `order` and `prefix`.' })),
  order: Type.Optional(OneOf(fileOrders, { default: 'name', description: 'By name (code point order), by creation time, or by size.' })),
  prefix: Type.Optional(Type.String({ maxLength: 255, description: 'Only names that begin so; with the name orders only.' }))
}, { additionalProperties: false })

export const FileParams = Type.Object({ name: FileName })

export const DownloadQuery = Type.Object({
  disposition: Type.Optional(OneOf(['attachment', 'inline'], { default: 'attachment', description: '`inline` lets a browser show images (not SVG), audio, video, PDF and plain text in its window; everything else stays an attachment.' }))
})

const Field = (description: string) => Type.Optional(Type.String({ description }))

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

/** What a change can be made to depend on. */
export const ChangeHeaders = Type.Object({
  'if-match': Field('Only if the file has one of these entity tags, or is there at all for `*`; else 412.'),
  'if-none-match': Field('Only if the file has none of these entity tags, or is not there at all for `*`; else 412.'),
  'if-unmodified-since': Field('Only if the file did not change after this date; else 412.')
})

export const Rename = Type.Object({
  name: Type.String({ minLength: 1, description: 'The new name.', examples: ['report-2026.pdf'] })
}, { $id: 'Rename', additionalProperties: false, description: 'What a file is to be called.' })
