import type { IncomingMessage } from 'node:http'
import { Type, type Static } from '@sinclair/typebox'
import { PageSize } from '../http/pagination.ts'
import { dateOf, Id, OneOf, SharedObject, Timestamp } from '../http/wire-values.ts'
import { changeKinds, type ChangeRecord, resetReasons } from '../metadata/change-records.ts'
import { answer, problems } from '../openapi/responses.ts'
import { Folder, folderOf } from './folder-schemas.ts'
import { MAX_NAME_BYTES } from './names.ts'
import { Cursor, CURSOR, type Describing, fileOf, PATH_PATTERN, StoredFile, StoredId } from './schemas.ts'

export const CHANGES_PATH = '/api/changes'

const MAX_WAIT_SECONDS = 60

const Path = (description: string) => Type.String({
  minLength: 1,
  maxLength: MAX_NAME_BYTES,
  pattern: PATH_PATTERN,
  description,
  examples: ['reports/q1.pdf']
})

export const Change = SharedObject('Change', 'A change of a file or folder.', {
  id: StoredId('Id of the file or folder, also of one that is deleted.', 'pYqjv5mGf3K0bJ2tW8sZcA'),
  kind: OneOf(changeKinds, {
    description: '`stored`: a file was created, or got other bytes or another `modifiedAt`, or was restored. ' +
      '`moved`: a file got another path. `deleted`: a file was deleted. `starred`: a file got a star, or lost it, ' +
      'and nothing else. `folder_made`, `folder_moved`, `folder_deleted`, `folder_starred`: the same of a folder. ' +
      'The move of a folder is one change, whatever is in it; a deleted folder was empty, because what was in it ' +
      'was deleted by changes before. `kind`, `name` and `from` are informational; don\'t use them to update a copy.'
  }),
  name: Path('The path of the file or folder; after a move, the new one.'),
  from: Type.Optional(Path('For `moved` and `folder_moved`: the path before.')),
  at: Timestamp('When it happened.'),
  linkId: Type.Optional(Id('For `stored`: the id of the link by which a visitor sent the file. Otherwise absent.', 3)),
  file: Type.Optional(answer(StoredFile, 'The file with this `id` as it is now, whatever the kind of the change. ' +
    'Absent if there is none.')),
  folder: Type.Optional(answer(Folder, 'The same of a folder.'))
})

export const ChangeList = SharedObject('ChangeList', 'Changes, and where to go on.', {
  changes: Type.Array(Type.Ref(Change), {
    maxItems: 1000,
    description: 'The changes after the cursor, in the order in which they happened.'
  }),
  next: Type.String({ ...CURSOR, minLength: 1, description: 'The `cursor` of the next request.' }),
  reset: Type.Boolean({
    description: 'Whether the changes before `next` are not all known. List all folders and files, then go on from ' +
      '`next`.'
  }),
  reason: Type.Optional(OneOf(resetReasons, {
    description: 'Why, if `reset` is true. `first`: there was no cursor. `restored`: an older state of the store was ' +
      'restored, so that what you know may never have been; ids may be new, or of something else. `expired`: the ' +
      'cursor is older than the changes that are kept; ids are those of before.',
    examples: ['first']
  }))
})

const ChangeQuery = Type.Object({
  cursor: Cursor('`next` of the previous response.'),
  wait: Type.Optional(Type.Integer({
    format: 'int32',
    minimum: 0,
    maximum: MAX_WAIT_SECONDS,
    default: 0,
    description: 'If there are no changes, wait so many seconds for one; then the list is empty. Without a cursor ' +
      'there is nothing to wait for.',
    examples: [0]
  })),
  limit: Type.Optional(PageSize('Changes in a response'))
}, { additionalProperties: false })

export const listChanges = {
  operationId: 'listChanges',
  summary: 'List changes',
  description: 'Lists what has changed in your files and folders since an earlier request, whoever changed it: for a ' +
    'copy that is kept up to date, or a view. None is missing, and they are in order. Start without a cursor: the ' +
    'response has no changes, and `reset` is true. If `limit` is reached, more may follow. With `wait`, the response ' +
    'comes within a second of a change. Changes are kept for 30 days, and of an account the latest 100,000. After a ' +
    'response without changes use its `next` too, so that the cursor does not become too old.\n\nTo keep a copy: get ' +
    'a cursor, then list all folders (`GET /api/folders?all=true`) and all files (`GET /api/files`), and keep them ' +
    'by `id`. Then go on with `next`: for each change, set what your copy has at `id` to `file` or `folder`, and if ' +
    'the change has neither, remove it. After a response without changes the copy is right, whatever happened while ' +
    'you were listing. Until then it may mix several states. The path of a file is that of the folder `folderId` ' +
    'and the last segment of its `name`; of a folder, that of `parentId` and the last segment of `name`: the move of ' +
    'a folder changes the paths of what is in it, but is one change.',
  curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/changes',
  querystring: ChangeQuery,
  response: {
    200: answer(ChangeList, 'The changes.'),
    ...problems(['too_many_waiting'])
  }
}

/** The request that continues this one (OpenAPI links). */
export const nextChanges = {
  nextChanges: {
    operationId: 'listChanges',
    parameters: { cursor: '$response.body#/next', wait: '$request.query.wait', limit: '$request.query.limit' },
    description: 'The changes that follow.'
  }
}

/** A change as clients see it. */
export function changeOf (
  { kind, name, fromName, at, fileId, folderId, linkId, file, folder }: ChangeRecord,
  request: IncomingMessage,
  describing: Describing
): Static<typeof Change> {
  const { ids } = describing
  return {
    id: fileId === null ? ids.folder(Number(folderId)) as string : ids.file(fileId),
    kind,
    name,
    ...(fromName !== null && { from: fromName }),
    at: dateOf(at),
    ...(linkId !== null && { linkId }),
    ...(file !== null && { file: fileOf(file, request, describing) }),
    ...(folder !== null && { folder: folderOf(folder, request, describing) })
  }
}
