import { Type, type Static } from '@sinclair/typebox'
import { PageSize } from '../http/pagination.ts'
import {
  Count, dateOf, ExactObject, knownDateOf, NullableText, OneOf, SharedObject, Timestamp
} from '../http/wire-values.ts'
import { MAX_FOLDER_BYTES } from '../metadata/paths.ts'
import {
  type DeletionRecord, MAX_RETAINED, type TrashRecord, type VersionRecord
} from '../metadata/retention-records.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import {
  AnyContentId, ChangeHeaders, ContentId, Cursor, FileParams, NewName, NextCursor, nextPage, PATH_PATTERN,
  State, StoredFile, StoredId
} from './schemas.ts'

/** The paths of versions and of the trash. */
export const VERSIONS_PATH = '/api/files/:name/versions'
export const TRASH_PATH = '/api/trash'
export const DELETIONS_PATH = `${TRASH_PATH}/deletions`

const { name, size, type, sha256, modifiedAt } = StoredFile.properties

const expiresAt = Timestamp('When it is deleted for good, at the latest. Changes with the settings of the server.')

export const Version = SharedObject('Version', 'A former content of a file.', {
  id: ContentId('Id of the version, which is no id of a file. Opaque.'),
  size,
  type,
  sha256,
  createdAt: Timestamp('When these bytes were stored.'),
  modifiedAt,
  replacedAt: Timestamp('When other bytes replaced them.'),
  expiresAt
})

export const VersionList = SharedObject('VersionList', 'A page of versions.', {
  versions: Type.Array(Type.Ref(Version), { maxItems: 1000, description: 'Newest replaced first.' }),
  next: NextCursor
})

export const DeletedFile = SharedObject('DeletedFile', 'A file in the trash.', {
  id: ContentId('Id of the entry of the trash, which is not that of the file. Opaque.'),
  name,
  size,
  type,
  sha256,
  modifiedAt,
  deletedAt: Timestamp('When the file was deleted.'),
  deletedWith: NullableText({
    pattern: '^[0-9a-f]{32}$',
    maxLength: 32,
    description: 'Id of the deletion of a folder, or of many files, that took the file; null if it was deleted alone.',
    examples: [null]
  }),
  expiresAt,
  versions: Count('Versions that are restored with the file.', 0)
})

export const DeletedFileList = SharedObject('DeletedFileList', 'A page of the trash.', {
  files: Type.Array(Type.Ref(DeletedFile), { maxItems: 1000, description: 'Newest deleted first.' }),
  next: NextCursor
})

const kinds = ['file', 'folder', 'many'] as const

export const Deletion = SharedObject('Deletion', 'What one deletion has in the trash.', {
  deletedWith: {
    ...DeletedFile.properties.deletedWith,
    description: 'Id of the deletion, with which it is restored. ' +
    'Null for a file that was deleted alone.',
    examples: ['5b1c3f0e9d8a4c7fb2e6a1d0c9f8e7b6']
  },
  kind: OneOf(kinds, {
    description: 'What was deleted: a file, a folder with all that was in it, or many files and folders.',
    examples: ['folder']
  }),
  name: Type.String({
    maxLength: name.maxLength as number,
    pattern: `${PATH_PATTERN}|^$`,
    description: 'Name of the file or folder. Of many, the folder that all of them were in; empty for the root.',
    examples: ['reports/2026']
  }),
  files: Count('Files of it that are in the trash.', 12),
  folders: Count('Folders of it that are in the trash.', 3),
  size: Count('Bytes of these files, without their versions.', 52417),
  deletedAt: Timestamp('When the deletion began.'),
  expiresAt,
  file: Type.Optional(Type.Ref(DeletedFile))
})

export const DeletionList = SharedObject('DeletionList', 'A page of deletions.', {
  deletions: Type.Array(Type.Ref(Deletion), { maxItems: 1000, description: 'Newest first.' }),
  next: NextCursor
})

export const DeletionContent = SharedObject('DeletionContent', 'A page of what one deletion has in the trash.', {
  deletion: Type.Ref(Deletion),
  folders: Type.Array(Type.String({
    minLength: 1,
    maxLength: MAX_FOLDER_BYTES,
    pattern: PATH_PATTERN,
    description: 'Path of a folder.',
    examples: ['reports/2026']
  }), { maxItems: 1000, description: 'Folders on this page. They come before files.' }),
  files: Type.Array(Type.Ref(DeletedFile), {
    maxItems: 1000, description: 'Files on this page, newest deleted first.'
  }),
  next: NextCursor
})

export const FileRestore = SharedObject('FileRestore', 'How to restore a file.', {
  name: Type.Optional({
    ...NewName,
    description: 'Another name for the file: the whole path. The rules are those of a rename.'
  })
})

export const DeletionRestore = SharedObject('DeletionRestore', 'Which deletion to restore.', {
  deletedWith: {
    ...AnyContentId('`deletedWith` of deleted files.'),
    minLength: 1,
    examples: ['5b1c3f0e9d8a4c7fb2e6a1d0c9f8e7b6']
  }
})

const codes = ['name_taken', 'quota_exceeded', 'file_locked'] as const

export const RestoredFiles = SharedObject('RestoredFiles', 'What was restored.', {
  restored: Count('Files that were restored.', 2),
  kept: Type.Array(ExactObject('A file or folder that stays in the trash.', {
    name: { ...name, description: 'Its whole path.', examples: ['reports/2026/q1.pdf'] },
    code: OneOf(codes, {
      description: 'Why it was not restored: the `code` that restoring it alone is refused with.',
      examples: ['name_taken']
    })
  }), { maxItems: MAX_RETAINED, description: 'Files and folders that could not be restored.' }),
  placed: Type.Array(ExactObject('A file or folder that was restored.', {
    name: { ...name, description: 'Its whole path.', examples: ['reports/2026'] },
    id: StoredId('Its id.', 'Ob8Ln2fVxZ0cYdQ3wTgkRA'),
    state: { ...State, description: 'What it was like when it was restored. Opaque.' }
  }), {
    maxItems: MAX_RETAINED,
    description: 'Files and folders that were restored, without those in a folder that is listed. `items` of a ' +
      '`POST /api/trash` that takes the restore back, as far as nothing of it has changed.'
  })
})

const ContentListQuery = Type.Object({
  limit: Type.Optional(PageSize('Page size')),
  cursor: Cursor('`next` of the previous page.')
}, { additionalProperties: false })

const VersionParams = Type.Object({ ...FileParams.properties, id: ContentId('Id of the version.') })

const DeletionParams = Type.Object({ id: ContentId('`deletedWith` of the deletion.') })

const TrashParams = Type.Object({ id: ContentId('Id of the deleted file.') })

export const listVersions = {
  operationId: 'listVersions',
  summary: 'List the versions of a file',
  description: 'Lists earlier versions of a file, most recently replaced first. They stay with the file when it is ' +
    'renamed. Storing the same bytes again creates no version. The server keeps them for some time (30 days by ' +
    'default), and a limited number for each file (10 by default). An account keeps at most 100,000 versions and ' +
    'deleted files; beyond that, the oldest are deleted. Download one with `GET /uploads/{name}?version={id}`.',
  curl: [
    'printf one | curl -f -u test_user:pwd -T - http://127.0.0.1:5000/uploads/notes.txt',
    'printf two | curl -f -u test_user:pwd -T - http://127.0.0.1:5000/uploads/notes.txt',
    'curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/notes.txt/versions'
  ],
  params: FileParams,
  querystring: ContentListQuery,
  response: {
    200: { ...answer(VersionList, 'A page.'), headers: nextPage },
    ...problems(['not_found'])
  }
}

export const listTrash = {
  operationId: 'listTrash',
  summary: 'List deleted files',
  description: 'Lists the trash, newest deleted first. A deleted file stays there with its versions for some time, ' +
    '30 days by default. Trash counts towards the quota in bytes. If an upload needs the space, the oldest versions ' +
    'and deleted files are removed first. An account keeps at most 100,000 of both; beyond that, the oldest are ' +
    'deleted.',
  curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash',
  querystring: ContentListQuery,
  response: {
    200: { ...answer(DeletedFileList, 'A page.'), headers: nextPage }
  }
}

export const deleteVersion = {
  operationId: 'deleteVersion',
  summary: 'Delete a version',
  description: 'Deletes a version for good. The file does not change.',
  curl: [
    'version=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/notes.txt/versions | grep -Eo "[0-9a-f]{32}" ' +
      '| head -n 1)',
    'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/files/notes.txt/versions/$version'
  ],
  params: VersionParams,
  response: {
    204: noContent('The version was deleted.'),
    ...problems(['not_found'])
  }
}

export const restoreFile = {
  operationId: 'restoreFile',
  summary: 'Restore a deleted file',
  description: 'Restores a file with its versions, under its name or another one. Missing folders are created. ' +
    '`createdAt` stays, `updatedAt` is now. The name must be free: if it is taken, the response is 409, and nothing ' +
    'changes.',
  curl: [
    'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/uploads/notes.txt',
    'deleted=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash | grep -Eo "[0-9a-f]{32}" | head -n 1)',
    'curl -f -u test_user:pwd -X POST -H "Content-Type: application/json" -d \'{"name":"restored.txt"}\' ' +
      'http://127.0.0.1:5000/api/trash/$deleted/restore'
  ],
  params: TrashParams,
  body: Type.Ref(FileRestore),
  response: {
    200: answer(StoredFile, 'The file.'),
    ...problems(['name_invalid', 'not_found', 'name_taken', 'quota_exceeded', 'extension_not_allowed', 'file_locked'])
  }
}

export const restoreDeletion = {
  operationId: 'restoreDeletion',
  summary: 'Restore a deletion',
  description: 'Restores the files that one deletion of a folder, or of many files, took, under their names, and its ' +
    'folders, also those that were empty. Files and folders whose name is taken, which the quota does not allow, or ' +
    'whose folder is locked stay in the trash and are listed. After an interruption, the request can be repeated.',
  curl: [
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/box/inner/notes.pdf',
    'curl -f -u test_user:pwd -X DELETE "http://127.0.0.1:5000/api/folders/box?recursive=true"',
    'deletion=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash | grep -Eo "deletedWith\\":\\"[0-9a-f]{32}" ' +
      '| head -n 1 | cut -c 15-)',
    'curl -f -u test_user:pwd -X POST -H "Content-Type: application/json" -d "{\\"deletedWith\\":\\"$deletion\\"}" ' +
      'http://127.0.0.1:5000/api/trash/restore'
  ],
  body: Type.Ref(DeletionRestore),
  response: {
    200: answer(RestoredFiles, 'What was restored.'),
    ...problems(['not_found'])
  }
}

export const listDeletions = {
  operationId: 'listDeletions',
  summary: 'List deletions',
  description: 'Lists the trash by deletion, newest first: a folder that was deleted with all that was in it, and ' +
    'many files and folders that one request deleted, are one entry. A file that was deleted alone is one too, and ' +
    'is in `file`.',
  curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash/deletions',
  querystring: ContentListQuery,
  response: {
    200: { ...answer(DeletionList, 'A page.'), headers: nextPage }
  }
}

export const getDeletion = {
  operationId: 'getDeletion',
  summary: 'List what a deletion took',
  description: 'Lists what one deletion has in the trash, page by page. What was restored, deleted for good or has ' +
    'expired is not there.',
  curl: [
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/crate/inner/notes.pdf',
    'curl -f -u test_user:pwd -X DELETE "http://127.0.0.1:5000/api/folders/crate?recursive=true"',
    'deletion=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash/deletions | ' +
      'grep -Eo "deletedWith\\":\\"[0-9a-f]{32}" | head -n 1 | cut -c 15-)',
    'curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash/deletions/$deletion'
  ],
  params: DeletionParams,
  querystring: ContentListQuery,
  response: {
    200: { ...answer(DeletionContent, 'A page.'), headers: nextPage },
    ...problems(['not_found'])
  }
}

export const deleteDeletion = {
  operationId: 'deleteDeletion',
  summary: 'Delete a deletion from the trash',
  description: 'Deletes all that one deletion has in the trash for good, with its versions. After an interruption, ' +
    'the request can be repeated.',
  curl: [
    'deletion=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash/deletions | ' +
      'grep -Eo "deletedWith\\":\\"[0-9a-f]{32}" | head -n 1 | cut -c 15-)',
    'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/trash/deletions/$deletion'
  ],
  params: DeletionParams,
  response: {
    204: noContent('It was deleted for good.'),
    ...problems(['not_found'])
  }
}

export const deleteFromTrash = {
  operationId: 'deleteFromTrash',
  summary: 'Delete a file from the trash',
  description: 'Deletes a file in the trash for good, with its versions.',
  curl: [
    'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/uploads/restored.txt',
    'deleted=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/trash | grep -Eo "[0-9a-f]{32}" | head -n 1)',
    'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/trash/$deleted'
  ],
  params: TrashParams,
  response: {
    204: noContent('The file was deleted for good.'),
    ...problems(['not_found'])
  }
}

export const emptyTrash = {
  operationId: 'emptyTrash',
  summary: 'Empty the trash',
  description: 'Deletes all files in the trash for good, with their versions. Versions of other files stay. After an ' +
    'interruption, the request can be repeated.',
  curl: 'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/trash',
  response: {
    204: noContent('The trash is empty.')
  }
}

export const restoreVersion = {
  operationId: 'restoreVersion',
  summary: 'Restore a version',
  description: 'Restores the content of a version. The version leaves the list, and the current content becomes a ' +
    'version. `createdAt` stays, `updatedAt` is now. With `If-Match`, only if the file still has that content.',
  curl: [
    'version=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/files/notes.txt/versions | grep -Eo "[0-9a-f]{32}" ' +
      '| head -n 1)',
    'curl -f -u test_user:pwd -X POST http://127.0.0.1:5000/api/files/notes.txt/versions/$version/restore'
  ],
  params: VersionParams,
  headers: ChangeHeaders,
  response: {
    200: answer(StoredFile, 'The file.'),
    ...problems(['not_found', 'precondition_failed', 'quota_exceeded', 'file_locked'])
  }
}

/** A version as clients see it. */
export function versionOf ({
  id, size, type, sha256, storedAt, modifiedAt, keptAt, expiresAt
}: VersionRecord): Static<typeof Version> {
  return {
    id,
    size,
    type,
    sha256,
    createdAt: dateOf(storedAt),
    modifiedAt: knownDateOf(modifiedAt),
    replacedAt: dateOf(keptAt),
    expiresAt: dateOf(expiresAt)
  }
}

/** A deleted file as clients see it. */
export function deletedFileOf ({
  id, name, size, type, sha256, modifiedAt, keptAt, deletedWith, expiresAt, versions
}: TrashRecord): Static<typeof DeletedFile> {
  return {
    id,
    name,
    size,
    type,
    sha256,
    modifiedAt: knownDateOf(modifiedAt),
    deletedAt: dateOf(keptAt),
    deletedWith,
    expiresAt: dateOf(expiresAt),
    versions
  }
}

/** A deletion as clients see it. */
export function deletionOf (
  { deletedWith, kind, name, files, folders, size, keptAt, expiresAt, file }: DeletionRecord
): Static<typeof Deletion> {
  return {
    deletedWith,
    kind,
    name,
    files,
    folders,
    size,
    deletedAt: dateOf(keptAt),
    expiresAt: dateOf(expiresAt),
    ...file && { file: deletedFileOf(file) }
  }
}
