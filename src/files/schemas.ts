import type { IncomingMessage } from 'node:http'
import { Type, type Static } from '@sinclair/typebox'
import type { Links } from '../http/links.ts'
import { PageSize } from '../http/pagination.ts'
import {
  Count, dateOf, ExactObject, knownDateOf, knownLocalTimeOf, MAX_FIELD_LENGTH, MAX_TEXT_POINTS, NullableText,
  NullableTimestamp, OneOf, SharedObject, Timestamp
} from '../http/wire-values.ts'
import type { Ids } from '../metadata/ids.ts'
import { fileOrders, type FileRecord } from '../metadata/records.ts'
import { MAX_MONTHS, takenOrders } from '../metadata/timelines.ts'
import { operationLinks } from '../openapi/operation.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { MAX_NAME_BYTES, MAX_TYPE_LENGTH } from './names.ts'
import { MAX_WORDS } from './searches.ts'

/** Any field value (RFC 9110 section 5.5). The code that reads a header ignores or refuses what it can't parse. */
const FIELD_VALUE = '^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$'

/** An optional request header. It has no example, because Swagger UI would send it. */
export const Field = (description: string, maxLength = MAX_FIELD_LENGTH) =>
  Type.Optional(Type.String({ pattern: FIELD_VALUE, maxLength, description }))

/** Bytes. The operator sets the maximum (MAX_FILE_BYTES). */
export const Bytes = (description: string) => Type.String({ format: 'binary', description })

/** Segments joined by `/`. */
export const PATH_PATTERN = '^(?!(?:[^]*/)?\\.{1,2}(?:/|$))' +
  '[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+(?:/[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+)*$'

/** What a segment of a name may be. */
const SEGMENT_RULES = '1 to 255 bytes of UTF-8 in NFC, no `\\` or control characters, not `.` or `..`'

/** A name as stored. */
const StoredName = Type.String({
  minLength: 1,
  maxLength: MAX_NAME_BYTES,
  pattern: PATH_PATTERN,
  description: 'Name of the file, unique within its account: its path, up to 32 segments joined by `/`, the last ' +
    `of which is the file's own name. A segment has ${SEGMENT_RULES}. The folders before the last \`/\` have up to ` +
    '768 bytes in all. Before you use a name as a path on a disk, check what your system makes of it, such as `C:` ' +
    'or a trailing dot.',
  examples: ['report.pdf']
})

/** The form of an id of a file or folder. */
export const ID = { pattern: '^[A-Za-z0-9_-]{1,64}$', maxLength: 64 }

/** An id of a file or folder in a response. */
export const StoredId = (description: string, example: string) =>
  Type.String({ ...ID, description, examples: [example] })

/** What a file or folder was like. */
export const State = Type.String({
  minLength: 1, maxLength: 64, pattern: '^[0-9a-f-]+$', description: 'Opaque.', examples: ['4711-3']
})

/** The id of a folder in a response; null for the root. */
export const ParentId = (description: string) => NullableText({
  ...ID,
  description: `${description}; null for the root.`,
  examples: ['W2sXrZ0qTn6bYJmV4hCk8Q']
})

/** Whether a file or folder in a response has a star. */
export const Starred = (kind: 'file' | 'folder', more: string) => Type.Boolean({
  description: `Whether the owner has given the ${kind} a star. It stays when the ${kind} is renamed or moved. ${more}`,
  examples: [false]
})
/** A local time, without a zone. */
export const LOCAL_TIME = { pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$', maxLength: 19 }

export const NullableLocalTime = (description: string, example: string | null = null) =>
  NullableText({ ...LOCAL_TIME, description, examples: [example] })

export const StoredFile = SharedObject('StoredFile', 'Metadata of a stored file.', {
  id: StoredId('Id of the file. It stays the same when the file is renamed, moved, replaced, or restored from the ' +
    'trash. No other file ever has it. After a backup of the whole store was restored, all ids are new. Opaque.',
  'pYqjv5mGf3K0bJ2tW8sZcA'),
  folderId: ParentId('Id of the folder that the file is in'),
  name: StoredName,
  size: Count('Bytes.', 52417),
  type: Type.String({
    maxLength: MAX_TYPE_LENGTH,
    pattern: '^[^/\\s]+/[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]+$',
    description: 'Media type: as declared, else from the extension, else `application/octet-stream`.',
    examples: ['application/pdf']
  }),
  sha256: Type.String({
    maxLength: 64,
    pattern: '^[0-9a-f]{64}$',
    description: 'SHA-256 of the bytes, in hex. In quotes, it is the entity tag.',
    examples: ['149b16dc441e3140c89fe4f164ea23a8ba80bb5e79c780f97b24ecf95e253095']
  }),
  createdAt: Timestamp('When the file was created. New content does not change it.'),
  updatedAt: Timestamp('When these bytes were stored, or the file was renamed or restored. A move to another folder ' +
    'does not change it.'),
  modifiedAt: NullableTimestamp('When the content was last changed, as the client that stored it told; null if it ' +
    'did not tell. RFC 3339, UTC, with milliseconds.'),
  changedAt: Timestamp('When the content was last changed, as far as it is known: `modifiedAt`, or if that is null, ' +
    'when these bytes were stored.'),
  starred: Starred('file', 'New content and a restore from the trash keep it. A copy has none.'),
  takenAt: NullableLocalTime('When a picture or video was taken, in local time without a zone, as a client has told ' +
    'it; null if none has.'),
  hasThumbnail: Type.Boolean({
    description: 'Whether a client has stored a thumbnail of these bytes.',
    examples: [false]
  }),
  url: Type.String({
    format: 'uri-reference',
    maxLength: 4096,
    description: 'URL of the bytes: absolute if PUBLIC_URL is set or the request was sent to the address the server ' +
      'listens on, else a path.',
    examples: ['http://127.0.0.1:5000/uploads/report.pdf']
  })
})
export type StoredFile = Static<typeof StoredFile>

/** The form of an opaque cursor. */
export const CURSOR = { pattern: '^[A-Za-z0-9_-]+$', maxLength: 2048 }

/** The cursor of the next page. */
export const NextCursor = NullableText({
  ...CURSOR,
  description: 'The `cursor` of the next page; null on the last page.',
  examples: [null]
})

/** The cursor of a listing, as a parameter. */
export const Cursor = (description: string) => Type.Optional(Type.String({ ...CURSOR, minLength: 1, description }))

export const FileList = SharedObject('FileList', 'A page of files.', {
  files: Type.Array(Type.Ref(StoredFile), { maxItems: 1000, description: 'The files on this page.' }),
  next: NextCursor,
  searched: Type.Optional(Type.Integer({
    format: 'int32',
    minimum: 0,
    maximum: 100_000,
    description: 'Of a search: the names that this request looked at.',
    examples: [1200]
  }))
})

/** The query parameter `folder`. It has no example, because Swagger UI would send it. */
export const FolderQuery = (description: string) =>
  ({ folder: Type.Optional(Type.String({ format: 'file-name', maxLength: MAX_FIELD_LENGTH, description })) })

/** Longest text to search for, in code points. */
const MAX_SEARCH_POINTS = 200

const SearchText = (description: string) => Type.Optional(Type.String({
  minLength: 1,
  maxLength: MAX_SEARCH_POINTS,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
  description
}))

/** The query parameters of a search by words. They have no example, because Swagger UI would send it. */
export const WordsQuery = (entries: 'files' | 'folders') => ({
  words: SearchText(`Only ${entries} whose last segment contains all of these words, up to ${MAX_WORDS}, in any ` +
    'order, with spaces between them. Upper and lower case and accents make no difference. Without `folder`, ' +
    'searches everywhere.'),
  below: Type.Optional(Type.Boolean({
    description: entries === 'files'
      ? 'Those in all folders below `folder` too. Needs `words` or `kind`.'
      : 'Search with `words` in all folders below `folder` too.'
  }))
})

/** The query parameter `kind`. It has no example, because Swagger UI would send it. */
export const KindQuery = (description: string) => ({
  kind: Type.Optional(Type.String({
    pattern: '^(?:image|video)(?:,(?:image|video))?$',
    maxLength: 11,
    description: `${description} \`image\`, \`video\`, or both with a comma, by the first part of the media type.`
  }))
})

/** The query parameter `starred`. */
export const StarredQuery = (entries: 'files' | 'folders') => ({
  starred: Type.Optional(Type.Boolean({
    description: `Only ${entries} that have a star: directly in \`folder\`, or without it everywhere, then in the ` +
      'order `name` those in the root first, then folder after folder. An order other than by name takes the first ' +
      `10,000 by name. Not together with a search${entries === 'files' ? ' or a `prefix`' : ' or `all`'}.`
  }))
})

export const FileListQuery = Type.Object({
  limit: Type.Optional(PageSize('Files on a page')),
  cursor: Cursor('`next` of the previous page. Use it with the same `folder`, `order` and other parameters.'),
  ...FolderQuery('Only files directly in this folder; the root if it is empty or `/`. Without it, the orders `name` ' +
    'and `-name` list all files: those in the root, then folder after folder. `changed` and `-changed` list all ' +
    'files too. Another order, or a `prefix`, lists the root. A search without it finds files in all folders, in ' +
    'every order.'),
  order: Type.Optional(OneOf([...fileOrders, ...takenOrders], {
    default: 'name',
    description: '`name`: by code point. `natural`: as people sort names, `file 2` before `file 10` and `apple` ' +
      'before `Zebra`, in one folder. `changed`: by `changedAt`, the earliest first. `taken`: pictures and videos by ' +
      '`takenAt`, or where that is null, `changedAt`; needs `kind`. A minus reverses these. By creation time, or by ' +
      'size.'
  })),
  prefix: Type.Optional(Type.String({
    format: 'file-name-prefix',
    maxLength: 1024,
    description: 'Only files whose last segment has this prefix. Needs the order `name` or `-name`. To list a ' +
      'folder, use `folder`.'
  })),
  contains: SearchText('Only files whose last segment contains this text. Upper and lower case and accents make no ' +
    'difference: `strasse` finds `Straße.jpg`, `lodz` finds `Łódź.txt`. Not together with `prefix` or `words`.'),
  ...WordsQuery('files'),
  ...StarredQuery('files'),
  ...KindQuery('Only pictures, only videos, or both. Needs the order `taken` or `-taken`.')
}, { additionalProperties: false })

// Not a pattern: a lookup by a name that no file can have is 404, not 400.
export const FileParams = Type.Object({
  name: Type.String({
    format: 'file-name',
    maxLength: MAX_FIELD_LENGTH,
    description: 'Name of the file as one segment, with `%2F` for `/`. Only under `/uploads/`, a plain `/` is the ' +
      'same. Clients that swagger-typescript-api, orval, kubb or openapi-zod-client generate do not percent-encode ' +
      'it, so `#` and `?` would cut it: pass them `encodeURIComponent(name)`.',
    examples: ['report.pdf']
  })
})

// Not a pattern: a lookup by an id that nothing can have is 404, not 400.
export const AnyContentId = (description: string) => Type.String({
  format: 'content-id',
  maxLength: MAX_FIELD_LENGTH,
  description
})

export const ContentId = (description: string) => Type.String({
  ...AnyContentId(description),
  examples: ['6f1ed002ab5595859014ebf0951522d9']
})

/** The query of a deletion. */
export const DeletionQuery = Type.Object({
  permanent: Type.Optional(Type.Boolean({
    default: false,
    description: 'Delete files and their versions for good, instead of moving them to the trash.'
  }))
})

/** The query parameter `id` of a change. It has no example, because Swagger UI would send it. */
export const IdQuery = (kind: 'file' | 'folder') =>
  ({
    id: Type.Optional(Type.String({
      ...ID,
      minLength: 1,
      description: `Only if the ${kind} with this name has this id; else 412.`
    }))
  })

const FOLDER_ID = Type.String({
  ...ID,
  minLength: 1,
  description: 'Id of the folder that the new name must be in, `root` for the root; else 412. No folders are created.'
})

/** The query parameter `folderId`. It has no example, because Swagger UI would send it. */
export const FolderIdQuery = { folderId: Type.Optional(FOLDER_ID) }

/** The member `folderId` of a new name. */
export const FolderIdMember = { folderId: Type.Optional({ ...FOLDER_ID, examples: ['root'] }) }

/** Headers for conditions of a change. */
export const ChangeHeaders = Type.Object({
  'if-match': Field('Only if the file has one of these entity tags, or exists for `*`; else 412.'),
  'if-none-match': Field('Only if the file has none of these entity tags, or does not exist for `*`; else 412.'),
  'if-unmodified-since': Field('Only if the file did not change after this date; else 412, also for a date in the ' +
    'future.')
})

const FileDeletionQuery = Type.Object({ ...DeletionQuery.properties, ...IdQuery('file') })

/** A new name of a file, as a member of a body. */
export const NewName = Type.String({
  format: 'file-name',
  minLength: 1,
  maxLength: MAX_TEXT_POINTS,
  description: `The new name, which is the whole path. It is normalised to NFC; then a segment has ${SEGMENT_RULES}.`,
  examples: ['report-2026.pdf']
})

/** The member `starred` of a change. */
export const StarredMember = {
  starred: Type.Optional(Type.Boolean({
    description: 'Gives it a star, or takes it. Changes nothing else, and no lock refuses it.',
    examples: [true]
  }))
}

export const Rename = SharedObject('Rename', 'A new name or a star. At least one member.', {
  name: Type.Optional(NewName),
  ...FolderIdMember,
  ...StarredMember
}, { minProperties: 1 })

export const FileCopy = SharedObject('FileCopy', 'The name of a copy.', { name: NewName })

/** The header that identifies the bytes of a file. */
export const etag = {
  ETag: {
    type: 'string',
    maxLength: 66,
    pattern: '^"[0-9a-f]{64}"$',
    description: 'Strong entity tag: the SHA-256 of the bytes, in hex, in quotes.'
  }
}

/** The path of a new file. */
export const location = {
  Location: {
    type: 'string',
    format: 'uri-reference',
    maxLength: 4096,
    pattern: '^/uploads/[^/]+(?:/[^/]+)*$',
    description: 'Path of the file.'
  }
}

/** The header of a listing that links its next page. */
export const nextPage = {
  Link: {
    type: 'string',
    maxLength: 8192,
    pattern: '^<[^<>\\s]+>; rel="next"$',
    description: 'The next page, `rel="next"` (RFC 8288). Absent on the last page.'
  }
}

/** Operations on the file in a response (OpenAPI links). */
export const fileLinks = operationLinks({ name: '$response.body#/name' }, {
  downloadFile: 'Download the file.',
  getFile: 'Get its metadata.',
  renameFile: 'Rename, move or star it.',
  deleteFile: 'Delete it.'
})

export const listFiles = {
  operationId: 'listFiles',
  summary: 'List files',
  description: 'Lists your files, all of them or those in one folder, page by page. Pagination is constant-time. A ' +
    'file that stays in its folder is neither skipped nor repeated, whatever changes meanwhile. With `contains` or ' +
    '`words`, searches for files by name: everywhere, directly in `folder`, or with `below=true` in all folders ' +
    'below it too. One request looks at no more than 100,000 names, to which the folders below count, and `searched` ' +
    'tells at how many. In the order `name`, and in `-name` without `below`, the next page goes on with the others, ' +
    'so a page can have fewer files than `limit`, or none: only `next: null` is the end. In another order `next` is ' +
    'always null, and the page has the first files of that order among these names, which are those of the root, ' +
    'then of folder after folder: if `searched` is more than 98,000, or if there are `limit` files, search in the ' +
    'order `name` to find all. A file that is renamed or moved during a search can be missing.\n\nWith `kind`, ' +
    'lists the pictures and videos directly in `folder` or in the root, or with `below=true` also those below it, in ' +
    'the order in which they were taken. One request looks at no more than 100,000 pictures and videos of the ' +
    'account, so here too a page can be short, and only `next: null` is the end. `GET /api/timeline` counts them by ' +
    'month.',
  curl: [
    'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?order=newest&limit=10"',
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/reports/first.pdf',
    'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?folder=reports"',
    'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?folder=reports&order=natural"',
    'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?contains=report&order=newest"',
    'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?words=pdf+first&folder=reports&below=true"',
    'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/files?kind=image,video&below=true&order=-taken"'
  ],
  querystring: FileListQuery,
  response: {
    200: { ...answer(FileList, 'A page.'), headers: nextPage },
    ...problems(['not_found'])
  }
}

export const Timeline = SharedObject('Timeline', 'How many pictures and videos there are of each month.', {
  months: Type.Array(ExactObject('A month.', {
    month: Type.String({
      pattern: '^[0-9]{4}-[0-9]{2}$', maxLength: 7, description: 'Year and month.', examples: ['2024-07']
    }),
    files: Count('Pictures and videos of this month.', 312),
    cursor: Type.String({
      ...CURSOR,
      minLength: 1,
      description: 'With it, the same `folder`, `below` and `kind`, and the order `-taken`, `GET /api/files` begins ' +
        'with this month. Without `kind`, that is `image,video`.'
    })
  }), {
    maxItems: MAX_MONTHS,
    description: `The months that have some, the newest first. Of more than ${MAX_MONTHS}, the newest.`
  })
})

export const getTimeline = {
  operationId: 'getTimeline',
  summary: 'Count pictures by month',
  description: 'Counts the pictures and videos of each month, by `takenAt`, or where that is null, by `changedAt` in ' +
    'UTC. `GET /api/files` with `kind` and the order `-taken` lists them in this order, from any month on.',
  curl: 'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/timeline?below=true"',
  querystring: Type.Object({
    ...FolderQuery('Those directly in this folder; in the root without it.'),
    below: Type.Optional(Type.Boolean({ description: 'Those in all folders below `folder` too.' })),
    ...KindQuery('Both by default.')
  }, { additionalProperties: false }),
  response: {
    200: answer(Timeline, 'The months.'),
    ...problems(['not_found'])
  }
}

export const getFile = {
  operationId: 'getFile',
  summary: 'Get file metadata',
  description: 'Returns name, size, media type, SHA-256, timestamps and URL of a file.',
  curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/report.pdf',
  params: FileParams,
  response: {
    200: answer(StoredFile, 'The file.'),
    ...problems(['not_found'])
  }
}

export const deleteFile = {
  operationId: 'deleteFile',
  summary: 'Delete a file',
  description: 'Moves the file with its versions to the trash, from which it can be restored for some time, 30 days ' +
    'by default. With `permanent=true`, deletes them for good. With `If-Match`, only if the file still has that ' +
    'content; with `id`, only if it is that file. Downloads in progress complete.',
  curl: 'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/uploads/second.pdf',
  params: FileParams,
  querystring: FileDeletionQuery,
  headers: ChangeHeaders,
  response: {
    204: noContent('The file was deleted.'),
    ...problems(['not_found', 'precondition_failed', 'file_locked'])
  }
}

export const renameFile = {
  operationId: 'renameFile',
  summary: 'Rename, move or star a file',
  description: 'Renames the file, or moves it: the new name is the whole path, and must be free. Missing folders are ' +
    'created, but not with `folderId`. Bytes, media type, SHA-256 and creation time stay the same. With `starred`, ' +
    'the file gets a star or loses it; both are one change: if the new name is refused, the star stays as it was. ' +
    'With `If-Match`, only if the file still has that content; with `id`, only if it is that file.',
  curl: [
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/draft.pdf',
    'curl -f -u test_user:pwd -X PATCH -H "Content-Type: application/json" -d \'{"name":"final.pdf"}\' ' +
      'http://127.0.0.1:5000/api/files/draft.pdf',
    'curl -f -u test_user:pwd -X PATCH -H "Content-Type: application/json" -d \'{"starred":true}\' ' +
      'http://127.0.0.1:5000/api/files/final.pdf'
  ],
  params: FileParams,
  querystring: Type.Object(IdQuery('file')),
  headers: ChangeHeaders,
  body: Type.Ref(Rename),
  response: {
    200: answer(StoredFile, 'The changed file.'),
    ...problems([
      'name_invalid', 'not_found', 'name_taken', 'precondition_failed', 'quota_exceeded', 'extension_not_allowed',
      'file_locked'
    ])
  }
}

export const copyFile = {
  operationId: 'copyFile',
  summary: 'Copy a file',
  description: 'Copies the file on the server: no bytes are sent or received. The name of the copy is the whole ' +
    'path, and must be free; missing folders are created. The copy counts in full towards the quota, and each of the ' +
    'two can be changed or deleted without the other. Media type, SHA-256, `modifiedAt` and WebDAV properties are ' +
    'copied, versions are not. `createdAt` is now.',
  curl: 'curl -f -u test_user:pwd -H "Content-Type: application/json" -d \'{"name":"copies/report.pdf"}\' ' +
      'http://127.0.0.1:5000/api/files/report.pdf/copy',
  params: FileParams,
  body: Type.Ref(FileCopy),
  response: {
    201: { ...answer(StoredFile, 'The copy.'), headers: { ...location, ...etag } },
    ...problems([
      'name_invalid', 'not_found', 'name_taken', 'quota_exceeded', 'extension_not_allowed', 'file_locked',
      'too_many_transfers', 'file_damaged'
    ])
  }
}

/** The path of a file's bytes. */
export function pathOf ({ name }: FileRecord): string {
  return `/uploads/${name.split('/').map(encodeURIComponent).join('/')}`
}

/** What a description of a file or folder needs. */
export interface Describing { readonly links: Links, readonly ids: Ids }

/** A file as clients see it. */
export function fileOf (file: FileRecord, request: IncomingMessage, { links, ids }: Describing): StoredFile {
  const {
    id, folderId, name, size, type, sha256, createdAt, updatedAt, modifiedAt, changedAt, takenAt, hasThumbnail,
    isStarred
  } = file
  return {
    id: ids.file(id),
    folderId: ids.folder(folderId),
    name,
    size,
    type,
    sha256,
    createdAt: dateOf(createdAt),
    updatedAt: dateOf(updatedAt),
    modifiedAt: knownDateOf(modifiedAt),
    changedAt: dateOf(changedAt),
    starred: isStarred,
    takenAt: knownLocalTimeOf(takenAt),
    hasThumbnail,
    url: links.to(request, pathOf(file))
  }
}
