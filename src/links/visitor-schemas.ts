import { Type, type Static } from '@sinclair/typebox'
import { directResponses, disposition, DownloadHeaders, HeadHeaders, headResponses } from '../files/download-schemas.ts'
import { Folder } from '../files/folder-schemas.ts'
import { Cursor, FileParams, FolderQuery, NextCursor, nextPage, StoredFile } from '../files/schemas.ts'
import { THUMBNAIL } from '../files/thumbnail-schemas.ts'
import { ZIP_RULES, zipFile } from '../files/zip-schemas.ts'
import { Html } from '../http/html.ts'
import { PageSize } from '../http/pagination.ts'
import type { Visit } from '../http/caller.ts'
import {
  Count, dateOf, knownDateOf, knownLocalTimeOf, MAX_FIELD_LENGTH, MAX_TEXT_POINTS, NullableText, NullableTimestamp,
  SharedObject
} from '../http/wire-values.ts'
import { splitPath } from '../metadata/paths.ts'
import type { Amount, FileRecord, FolderRecord } from '../metadata/records.ts'
import { headRoute } from '../openapi/operation.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { Kind } from './schemas.ts'
import type { SharedEntry } from './shared-content.ts'

/** The paths of a link and what it gives. */
export const LINK_PATH = '/s/:secret'
export const LINK_FILE_PATH = `${LINK_PATH}/files/:name`
export const LINK_THUMBNAIL_PATH = `${LINK_PATH}/thumbnails/:name`

const { name, size, type } = StoredFile.properties

/** Ids and stars are for the owner. */
const fileProperties = Type.Omit(StoredFile, ['id', 'folderId', 'starred']).properties
const folderProperties = Type.Omit(Folder, ['id', 'parentId', 'starred']).properties

/** A name without its folders. */
export const Segment = (description: string) => Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+$',
  description,
  examples: ['report.pdf']
})

export const SharedLink = SharedObject('SharedLink', 'What a link gives.', {
  needsPassword: Type.Boolean({
    description: 'Whether the password must be given first. Then everything else is absent.',
    examples: [false]
  }),
  kind: Type.Optional(Kind('`download`: the bytes of a file, or of what is in a folder. `upload`: files can be added ' +
    'to a folder, and nothing can be read.')),
  name: Type.Optional(Segment('Last segment of the name of the file or folder.')),
  isFolder: Type.Optional(Type.Boolean({ description: 'Whether it is a folder.', examples: [false] })),
  size: Type.Optional(Type.Unsafe<number | null>({
    ...size,
    type: ['integer', 'null'],
    description: 'Bytes of the file; null for a folder.'
  })),
  type: Type.Optional(NullableText({
    pattern: String(type.pattern),
    maxLength: Number(type.maxLength),
    description: 'Media type of the file; null for a folder.',
    examples: ['application/pdf']
  })),
  expiresAt: Type.Optional(NullableTimestamp('When the link ends (RFC 3339, UTC); null if it does not end by ' +
    'itself.', '2099-11-24T09:30:00.000Z')),
  owner: Type.Optional(Type.String({
    minLength: 1,
    maxLength: 255,
    description: 'Username of the account whose link it is. Absent if the owner hides it.',
    examples: ['test_user']
  })),
  fileName: Type.Optional(Segment('The name that the file must have, of a link for one upload; absent for others.')),
  accepts: Type.Optional(Type.Unsafe<{ files: number, bytes: number } | null>({
    type: ['object', 'null'],
    properties: { files: Count('Files.', 100), bytes: Count('Bytes of all of them.', 1_073_741_824) },
    required: ['files', 'bytes'],
    additionalProperties: false,
    description: 'How much the link still accepts; null for `download`.',
    examples: [null]
  }))
})

export const LinkPassword = SharedObject('LinkPassword', 'The password of a link.', {
  password: Type.String({
    format: 'password',
    minLength: 1,
    maxLength: MAX_TEXT_POINTS,
    description: 'The password of the link.',
    examples: ['tell it by phone']
  })
})

export const SharedFile = SharedObject('SharedFile', 'Metadata of a file that a link gives.', {
  ...fileProperties,
  name: {
    ...name,
    description:
      'Path of the file from the linked folder, for `downloadSharedFile`. For a link of a file, its last segment.'
  },
  url: {
    ...StoredFile.properties.url,
    description: 'URL of the bytes by this link.',
    examples: ['http://127.0.0.1:5000/s/0123456789ABCDEFGHIJKL/files/report.pdf']
  }
})

export const SharedFolder = SharedObject('SharedFolder', 'A folder in a linked folder.', {
  ...folderProperties,
  name: {
    ...Folder.properties.name,
    description: 'Path of the folder from the linked folder, for `folder` of `listSharedFolder`.'
  },
  url: {
    ...Folder.properties.url,
    description: 'URL of the listing of this folder.',
    examples: ['http://127.0.0.1:5000/s/0123456789ABCDEFGHIJKL/list?folder=2026']
  }
})

export const SharedList = SharedObject('SharedList', 'A page of what is in a folder.', {
  folders: Type.Array(Type.Ref(SharedFolder), { maxItems: 1000, description: 'The folders on this page, by name.' }),
  files: Type.Array(Type.Ref(SharedFile), {
    maxItems: 1000,
    description: 'The files on this page, by name. They come after the last folder.'
  }),
  next: NextCursor
})
export type SharedList = Static<typeof SharedList>

/** The shared schemas of visitors who read, for the document. */
export const visitorSchemas = [SharedLink, LinkPassword, SharedFile, SharedFolder, SharedList]

// Not a pattern: a secret that no link can have is 404, not 400.
export const SecretParams = Type.Object({
  secret: Type.String({
    maxLength: MAX_FIELD_LENGTH,
    description: 'The secret of the link.',
    examples: ['0123456789ABCDEFGHIJKL']
  })
})

const SharedFileParams = Type.Object({
  ...SecretParams.properties,
  name: {
    ...FileParams.properties.name,
    description: 'Path of the file from the linked folder as one segment, with `%2F` for `/`; a plain `/` is the ' +
      'same. For a link of a file, any name returns that file.'
  }
})

const SharedFileQuery = Type.Object({ disposition: disposition('PDF') })

const SharedListQuery = Type.Object({
  limit: Type.Optional(PageSize('Folders and files on a page')),
  cursor: Cursor('`next` of the previous page. Use it with the same `folder`.'),
  ...FolderQuery('The folder to list, by its path from the linked folder. The linked folder if absent, empty or `/`.')
}, { additionalProperties: false })

/** Sets `$secret` to that of a new link, for the samples of visitors. */
export const newSecret = (link: string) =>
  `secret=$(curl -s -f -u test_user:pwd -H "Content-Type: application/json" -d '${link}' ` +
    'http://127.0.0.1:5000/api/links | sed \'s|.*/s/\\([0-9A-Za-z]*\\)".*|\\1|\')'

const reportSecret = newSecret('{"name":"report.pdf","kind":"download"}')
const folderSecret = newSecret('{"name":"reports","kind":"download"}')

const password = 'If the link has a password, unlock it first, or send the password with each request in ' +
  '`Authorization: Basic`, with an empty username.'

export const getSharedLink = {
  operationId: 'getSharedLink',
  summary: 'Open a link',
  description: 'Tells what a link gives. Browsers get a page, the same for every link; `Accept` decides between ' +
    `JSON and HTML. Counts no use. ${password} Links that are unknown, expired or revoked have one response, 404.`,
  curl: [reportSecret, 'curl -f "http://127.0.0.1:5000/s/$secret"'],
  params: SecretParams,
  querystring: Type.Object({
    download: Type.Optional(Type.String({
      maxLength: 16,
      description: 'Redirects to the file, with any value, if it is a `download` link of a file that needs no ' +
        'password. For pages without scripts.'
    }))
  }),
  response: {
    200: {
      description: 'What the link gives, or the page.',
      content: { 'application/json': { schema: Type.Ref(SharedLink) }, 'text/html': { schema: Html } }
    },
    303: {
      ...noContent('The address of the file, for `download`.'),
      headers: {
        Location: {
          type: 'string',
          format: 'uri-reference',
          maxLength: 4096,
          pattern: '^[0-9A-Za-z]+/files/[^/]+$',
          description: 'The file, relative to the link.'
        }
      }
    },
    404: { description: '', content: { 'text/html': { schema: Html } } }
  }
}

export const unlockLink = {
  operationId: 'unlockLink',
  summary: 'Give the password of a link',
  description: 'Sets a cookie that unlocks this link for 12 hours, or until its password changes. Wrong passwords ' +
    'are limited for each link and network. Programs can send the password with each request instead, in ' +
    '`Authorization: Basic`, with an empty username.',
  curl: [
    newSecret('{"name":"report.pdf","kind":"download","password":"tell it by phone"}'),
    'curl -f -c link.txt -H "Content-Type: application/json" -d \'{"password":"tell it by phone"}\' ' +
      '"http://127.0.0.1:5000/s/$secret/unlock"',
    'curl -f -b link.txt -o copy.pdf "http://127.0.0.1:5000/s/$secret/files/report.pdf"',
    'curl -f -u ":tell it by phone" -o copy.pdf "http://127.0.0.1:5000/s/$secret/files/report.pdf"'
  ],
  params: SecretParams,
  body: Type.Ref(LinkPassword),
  response: {
    204: {
      ...noContent('The link is unlocked, or has no password.'),
      headers: {
        'Set-Cookie': {
          type: 'string',
          maxLength: 4096,
          pattern: '^(?:__Secure-)?magicstore_link=[A-Za-z0-9_-]+; ',
          description: 'The cookie: `HttpOnly`, `SameSite=Strict`, only for the path of this link; over TLS ' +
            '`Secure`, with the prefix `__Secure-`. Absent if the link has no password.'
        }
      }
    }
  }
}

export const listSharedFolder = {
  operationId: 'listSharedFolder',
  summary: 'List a linked folder',
  description: 'Lists the folders and files directly in the linked folder, or in a folder below it, page by page: ' +
    `folders by name, then files by name. Of a link of a file, lists that. ${password}`,
  curl: [folderSecret, 'curl -f "http://127.0.0.1:5000/s/$secret/list"'],
  params: SecretParams,
  querystring: SharedListQuery,
  response: { 200: { ...answer(SharedList, 'A page.'), headers: nextPage } }
}

export const downloadSharedFile = {
  operationId: 'downloadSharedFile',
  summary: 'Download a file by a link',
  description: 'Returns the bytes as an attachment. Supports conditional and range requests (RFC 9110), as ' +
    '`downloadFile` does. A link of a file follows it when it is renamed, moved or replaced. Versions and the ' +
    `trash can't be reached. ${password}`,
  curl: [
    reportSecret,
    'curl -f -o copy.pdf "http://127.0.0.1:5000/s/$secret/files/report.pdf"',
    folderSecret,
    'curl -f -o first.pdf "http://127.0.0.1:5000/s/$secret/files/first.pdf"'
  ],
  params: SharedFileParams,
  querystring: SharedFileQuery,
  headers: DownloadHeaders,
  response: directResponses
}

export const getSharedThumbnail = {
  operationId: 'getSharedThumbnail',
  summary: 'Get a thumbnail by a link',
  description: 'Returns the small picture of a file, as `getThumbnail` does; `hasThumbnail` of the file tells ' +
    `whether there is one. Counts no use. ${password}`,
  curl: [reportSecret, 'curl -f -o copy.webp "http://127.0.0.1:5000/s/$secret/thumbnails/report.pdf"'],
  params: Type.Object({
    ...SecretParams.properties,
    name: {
      ...FileParams.properties.name,
      description: 'Path of the file from the linked folder as one segment, with `%2F` for `/`. For a link of a ' +
        'file, any name returns the thumbnail of that file.'
    }
  }),
  response: {
    200: THUMBNAIL,
    ...problems(['not_found'])
  }
}

export const downloadSharedZip = {
  operationId: 'downloadSharedZip',
  summary: 'Download a linked folder as a zip',
  description: 'Returns all that is in the linked folder, or in a folder below it, as a zip, with paths from that ' +
    `folder. ${ZIP_RULES} A link gives 2 zips at once, 1 of them to a network, and all links together 8. ` +
    'Each is one use. A link of a file has none: 404. ' +
    password,
  curl: [folderSecret, 'curl -f -o reports.zip "http://127.0.0.1:5000/s/$secret/zip"'],
  params: SecretParams,
  querystring: Type.Object({
    ...FolderQuery('The folder, by its path from the linked folder. The linked folder if absent, empty or `/`.')
  }, { additionalProperties: false }),
  response: { 200: zipFile, ...problems(['zip_too_large', 'too_many_transfers', 'file_damaged']) }
}

export const headSharedFile = headRoute('headSharedFile', {
  summary: 'Get the headers of a file by a link',
  description: `Returns the headers of a download without the bytes. Ranges are ignored. Counts no use. ${password}`,
  curl: [reportSecret, 'curl -f -I "http://127.0.0.1:5000/s/$secret/files/report.pdf"'],
  params: SharedFileParams,
  querystring: SharedFileQuery,
  headers: HeadHeaders,
  response: headResponses
})

/** What visitors see of a link; `accepts`: how much one of the kind `upload` has room for. */
export function sharedLinkOf (
  { link, account, file, folder, isUnlocked }: Visit, accepts: Amount | null
): Static<typeof SharedLink> {
  if (!isUnlocked) return { needsPassword: true }
  return {
    needsPassword: false,
    kind: link.kind,
    name: splitPath(link.name).name,
    isFolder: folder !== undefined,
    size: file?.size ?? null,
    type: file?.type ?? null,
    expiresAt: knownDateOf(link.expiresAt),
    ...(link.showsOwner && { owner: account.username }),
    ...(link.fileName !== null && { fileName: link.fileName }),
    // Less than nothing, if the owner has lowered a limit.
    accepts: accepts && { files: Math.max(accepts.files, 0), bytes: Math.max(accepts.bytes, 0) }
  }
}

/** A page of a listing as visitors see it; `urlOf` makes an address from what follows the path of the link. */
export function sharedListOf (
  entries: readonly SharedEntry[], urlOf: (path: string) => string
): Omit<SharedList, 'next'> {
  return {
    folders: entries.flatMap(entry => entry.kind === 'folder' ? [sharedFolderOf(entry.folder, urlOf)] : []),
    files: entries.flatMap(entry => entry.kind === 'file' ? [sharedFileOf(entry.file, urlOf)] : [])
  }
}

function sharedFolderOf (
  { path, createdAt }: FolderRecord, urlOf: (path: string) => string
): Static<typeof SharedFolder> {
  return { name: path, createdAt: dateOf(createdAt), url: urlOf(`/list?folder=${encodeURIComponent(path)}`) }
}

function sharedFileOf (file: FileRecord, urlOf: (path: string) => string): Static<typeof SharedFile> {
  const { name, size, type, sha256, createdAt, updatedAt, modifiedAt, changedAt, takenAt, hasThumbnail } = file
  return {
    name,
    size,
    type,
    sha256,
    createdAt: dateOf(createdAt),
    updatedAt: dateOf(updatedAt),
    modifiedAt: knownDateOf(modifiedAt),
    changedAt: dateOf(changedAt),
    takenAt: knownLocalTimeOf(takenAt),
    hasThumbnail,
    url: urlOf(`/files/${name.split('/').map(encodeURIComponent).join('/')}`)
  }
}
