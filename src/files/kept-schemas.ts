import { Type, type Static } from '@sinclair/typebox'
import { PageSize } from '../http/pagination.ts'
import { Count, NullableText, Timestamp } from '../http/wire-values.ts'
import type { TrashRecord, VersionRecord } from '../metadata/kept-repository.ts'
import { ContentId, Cursor, CURSOR, FileParams, Rename, StoredFile } from './schemas.ts'

/** The paths of versions and of the trash. */
export const VERSIONS_PATH = '/api/files/:name/versions'
export const TRASH_PATH = '/api/trash'

const { name, size, type, sha256 } = StoredFile.properties

const expiresAt = Timestamp('When it is deleted for good, at the latest. Changes with the settings of the server.')

export const Version = Type.Object({
  id: ContentId('Id of the version. Opaque.'),
  size,
  type,
  sha256,
  createdAt: Timestamp('When these bytes were stored.'),
  replacedAt: Timestamp('When other bytes replaced them.'),
  expiresAt
}, { $id: 'Version', additionalProperties: false, description: 'A former content of a file.' })

export const VersionList = Type.Object({
  versions: Type.Array(Type.Ref(Version), { maxItems: 1000, description: 'Newest replaced first.' }),
  next: NullableText({ ...CURSOR, description: 'The `cursor` of the next page; null on the last page.', examples: [null] })
}, { $id: 'VersionList', additionalProperties: false, description: 'A page of versions.' })

export const DeletedFile = Type.Object({
  id: ContentId('Id of the deleted file. Opaque.'),
  name,
  size,
  type,
  sha256,
  deletedAt: Timestamp('When the file was deleted.'),
  expiresAt,
  versions: Count('Versions that are restored with the file.', 0)
}, { $id: 'DeletedFile', additionalProperties: false, description: 'A file in the trash.' })

export const DeletedFileList = Type.Object({
  files: Type.Array(Type.Ref(DeletedFile), { maxItems: 1000, description: 'Newest deleted first.' }),
  next: NullableText({ ...CURSOR, description: 'The `cursor` of the next page; null on the last page.', examples: [null] })
}, { $id: 'DeletedFileList', additionalProperties: false, description: 'A page of the trash.' })

export const FileRestore = Type.Object({
  name: Type.Optional({ ...Rename.properties.name, description: 'Another name for the file: normalised to NFC, then 1 to 255 bytes of UTF-8 without `/`, `\\` or control characters.' })
}, { $id: 'FileRestore', additionalProperties: false, description: 'How to restore a file.' })

export const KeptListQuery = Type.Object({
  limit: Type.Optional(PageSize('Page size')),
  cursor: Cursor('`next` of the previous page.')
}, { additionalProperties: false })

export const VersionParams = Type.Object({ ...FileParams.properties, id: ContentId('Id of the version.') })

export const TrashParams = Type.Object({ id: ContentId('Id of the deleted file.') })

/** A version as clients see it. */
export function versionOf ({ id, size, type, sha256, storedAt, keptAt, expiresAt }: VersionRecord): Static<typeof Version> {
  return { id, size, type, sha256, createdAt: dateOf(storedAt), replacedAt: dateOf(keptAt), expiresAt: dateOf(expiresAt) }
}

/** A deleted file as clients see it. */
export function deletedFileOf ({ id, name, size, type, sha256, keptAt, expiresAt, versions }: TrashRecord): Static<typeof DeletedFile> {
  return { id, name, size, type, sha256, deletedAt: dateOf(keptAt), expiresAt: dateOf(expiresAt), versions }
}

function dateOf (milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
