import type { IncomingMessage } from 'node:http'
import { Type, type Static } from '@sinclair/typebox'
import { PageSize } from '../http/pagination.ts'
import { Count, dateOf, MAX_FIELD_LENGTH, OneOf, SharedObject, Timestamp } from '../http/wire-values.ts'
import { MAX_FOLDER_BYTES } from '../metadata/paths.ts'
import { type FolderRecord, folderOrders } from '../metadata/records.ts'
import { operationLinks } from '../openapi/operation.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import {
  Cursor, DeletionQuery, type Describing, Field, FileList, FolderIdMember, FolderIdQuery, FolderQuery, IdQuery,
  NewName, NextCursor, nextPage, ParentId, PATH_PATTERN, Starred, StarredMember, StarredQuery, StoredId, WordsQuery
} from './schemas.ts'

/** The paths of folders. */
export const FOLDERS_PATH = '/api/folders'
export const FOLDER_PATH = `${FOLDERS_PATH}/:name`
export const FOLDER_USAGE_PATH = `${FOLDER_PATH}/usage`

export const Folder = SharedObject('Folder', 'A folder.', {
  id: StoredId('Id of the folder. It stays the same when the folder is renamed or moved. No other folder ever has ' +
    'it, not even one that is made again by restoring files. After a backup of the whole store was restored, all ids ' +
    'are new. Opaque.', 'hT5cV9dLw1Rk7uQeXoNyMg'),
  parentId: ParentId('Id of the folder that the folder is in'),
  name: Type.String({
    minLength: 1,
    maxLength: MAX_FOLDER_BYTES,
    pattern: PATH_PATTERN,
    description: 'Path of the folder, unique within its account: up to 31 segments joined by `/`, up to 768 bytes of ' +
      'UTF-8 in all. Segments follow the rules of those of a file.',
    examples: ['reports/2026']
  }),
  createdAt: Timestamp('When the folder was created.'),
  starred: Starred('folder', 'A folder that is made again by restoring it from the trash has it too. A copy has none.'),
  url: Type.String({
    format: 'uri-reference',
    maxLength: 4096,
    description: 'URL of the folder: absolute if PUBLIC_URL is set or the request was sent to the address the server ' +
      'listens on, else a path.',
    examples: ['http://127.0.0.1:5000/api/folders/reports%2F2026']
  })
})

export const FolderList = SharedObject('FolderList', 'A page of folders.', {
  folders: Type.Array(Type.Ref(Folder), { maxItems: 1000, description: 'The folders on this page.' }),
  next: NextCursor,
  searched: FileList.properties.searched
})

export const FolderUsage = SharedObject('FolderUsage', 'What is in a folder and below it.', {
  files: Count('Number of files.', 3),
  folders: Count('Number of folders, without the folder itself.', 1),
  bytes: Count('Total size of the files, in bytes, without their versions.', 52417)
})

export const FolderMove = SharedObject('FolderMove', 'A new path of a folder, or a star. At least one member.', {
  name: Type.Optional({ ...NewName, examples: ['archive/2026'] }),
  ...FolderIdMember,
  ...StarredMember
}, { minProperties: 1 })

export const FolderListQuery = Type.Object({
  limit: Type.Optional(PageSize('Folders on a page')),
  cursor: Cursor('`next` of the previous page. Use it with the same `folder`, `order` and other parameters.'),
  ...FolderQuery('The folder whose folders are listed. The root if it is absent, empty or `/`; a search without it ' +
    'finds folders everywhere.'),
  all: Type.Optional(Type.Boolean({
    default: false,
    description: 'List all folders, in the order of their creation. Not together with `folder`, `order` or `words`.'
  })),
  order: Type.Optional(OneOf(folderOrders, {
    default: 'name',
    description: '`name`: by code point; of a search, by path. `natural`: as people sort names. A minus reverses these.'
  })),
  ...WordsQuery('folders'),
  ...StarredQuery('folders')
}, { additionalProperties: false })

// Not a pattern: a lookup by a name that no folder can have is 404, not 400.
export const FolderParams = Type.Object({
  name: Type.String({
    format: 'file-name',
    maxLength: MAX_FIELD_LENGTH,
    description: 'Path of the folder as one segment, with `%2F` for `/`.',
    examples: ['reports/2026']
  })
})

const FolderDeletionQuery = Type.Object({
  recursive: Type.Optional(Type.Boolean({
    default: false,
    description: 'Also delete the files and folders in the folder.'
  })),
  ...DeletionQuery.properties,
  ...IdQuery('folder')
})

const FolderHeaders = Type.Object({
  'if-match': Field('`*` matches every folder. Anything else is 412: folders have no entity tags.')
})

export const listFolders = {
  operationId: 'listFolders',
  summary: 'List folders',
  description: 'Lists the folders directly in a folder by name, page by page; with `all=true`, all folders in the ' +
    'order of their creation. Use it to list all folders: listing one folder after another can miss what is in a ' +
    'folder that is moved meanwhile. With `words`, searches for folders by name, as `GET /api/files` does for files: ' +
    'everywhere, directly in `folder`, or with `below=true` in all folders below it too. Then the order `name` is by ' +
    'path, and another order has one page.',
  curl: [
    'curl -f -u test_user:pwd http://127.0.0.1:5000/api/folders',
    'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/folders?words=2026+reports"'
  ],
  querystring: FolderListQuery,
  response: {
    200: { ...answer(FolderList, 'A page.'), headers: nextPage },
    ...problems(['not_found'])
  }
}

export const getFolder = {
  operationId: 'getFolder',
  summary: 'Get a folder',
  description: 'Returns name, creation time and URL of a folder. List what is in it with `GET /api/files?folder=…` ' +
    'and `GET /api/folders?folder=…`.',
  curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/folders/reports',
  params: FolderParams,
  response: {
    200: answer(Folder, 'The folder.'),
    ...problems(['not_found'])
  }
}

export const getFolderUsage = {
  operationId: 'getFolderUsage',
  summary: 'Get the size of a folder',
  description: 'Counts the files and folders in a folder and below it, and the bytes of the files. Of a large folder ' +
    'this takes a while: what changes meanwhile may be counted or not. An account counts one folder at a time, and ' +
    'all together 16; a quarter of them are for one client address, or IPv6 /56. `GET /api/account` has the usage of ' +
    'the whole account.',
  curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/folders/reports/usage',
  params: FolderParams,
  response: {
    200: answer(FolderUsage, 'What is in the folder.'),
    ...problems(['not_found', 'too_many_requests'])
  }
}

export const putFolder = {
  operationId: 'putFolder',
  summary: 'Create a folder',
  description: 'Creates a folder and its missing parents. Uploads create the folders that they need, so this is for ' +
    'empty ones. If the folder exists, the response is 200. With `folderId`, the parent must be that folder.',
  curl: 'curl -f -u test_user:pwd -X PUT http://127.0.0.1:5000/api/folders/reports%2F2026',
  params: FolderParams,
  querystring: Type.Object(FolderIdQuery),
  response: {
    200: answer(Folder, 'The folder exists.'),
    201: answer(Folder, 'The new folder.'),
    ...problems(['name_invalid', 'name_taken', 'precondition_failed', 'quota_exceeded', 'file_locked'])
  }
}

export const moveFolder = {
  operationId: 'moveFolder',
  summary: 'Move, rename or star a folder',
  description: 'Moves the folder with all that is in it. The new name is the whole path, and must be free; missing ' +
    'parents are created, but not with `folderId`. Files, versions and their times stay the same. With `starred`, ' +
    'the folder gets a star or loses it; what is in it does not. Both are one change. With `id`, only if it is that ' +
    'folder.',
  curl: [
    'curl -f -u test_user:pwd -X PUT http://127.0.0.1:5000/api/folders/old',
    'curl -f -u test_user:pwd -X PATCH -H "Content-Type: application/json" -d \'{"name":"archive/old"}\' ' +
      'http://127.0.0.1:5000/api/folders/old'
  ],
  params: FolderParams,
  querystring: Type.Object(IdQuery('folder')),
  headers: FolderHeaders,
  body: Type.Ref(FolderMove),
  response: {
    200: answer(Folder, 'The changed folder.'),
    ...problems([
      'name_invalid', 'folder_into_itself', 'not_found', 'name_taken', 'precondition_failed', 'quota_exceeded',
      'file_locked'
    ])
  }
}

export const deleteFolder = {
  operationId: 'deleteFolder',
  summary: 'Delete a folder',
  description: 'Deletes an empty folder. With `id`, only if it is that folder. With `recursive=true`, moves its ' +
    'files to the trash with their versions, and then deletes it; with `permanent=true` too, deletes them for good. ' +
    'A file that is added during the request stays, and the response is 409: repeat the request, also after an ' +
    'interruption. What is replaced, moved or restored in the folder during the request may be deleted too. If the ' +
    'folder itself is moved, the response is 404, and what is left is in its new place. What one request takes has ' +
    'one `deletedWith`, with which `POST /api/trash/restore` brings it back. An account keeps 100,000 contents in ' +
    'versions and trash, so of more files only the last to be deleted can be restored: `POST /api/trash` tells ' +
    'before.',
  curl: 'curl -f -u test_user:pwd -X DELETE "http://127.0.0.1:5000/api/folders/archive?recursive=true"',
  params: FolderParams,
  querystring: FolderDeletionQuery,
  headers: FolderHeaders,
  response: {
    204: noContent('The folder was deleted.'),
    ...problems(['not_found', 'precondition_failed', 'folder_not_empty', 'file_locked'])
  }
}

/** Operations on the folder in a response (OpenAPI links). */
export const folderLinks = operationLinks({ name: '$response.body#/name' }, {
  getFolder: 'Get the folder.',
  moveFolder: 'Move, rename or star it.',
  deleteFolder: 'Delete it.'
})

/** A folder as clients see it. */
export function folderOf (
  { id, parentId, path, createdAt, isStarred }: FolderRecord, request: IncomingMessage, { links, ids }: Describing
): Static<typeof Folder> {
  return {
    // A stored folder is not the root.
    id: ids.folder(id) as string,
    parentId: ids.folder(parentId),
    name: path,
    createdAt: dateOf(createdAt),
    starred: isStarred,
    url: links.to(request, FOLDER_PATH.replace(':name', () => encodeURIComponent(path)))
  }
}
