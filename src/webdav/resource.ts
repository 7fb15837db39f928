import type { HttpServices } from '../http/services.ts'
import type { AccountRecord, FileRecord, FolderRecord } from '../metadata/records.ts'
import { ifNot } from '../problems.ts'
import type { DavTarget } from './paths.ts'

/** A file, or else a folder. The path of the root is empty. */
export interface DavResource {
  readonly id: number
  readonly path: string
  readonly createdAt: number
  readonly file: FileRecord | undefined
}

export function fileResource (file: FileRecord): DavResource {
  return { id: file.id, path: file.name, createdAt: file.createdAt, file }
}

export function folderResource ({ id, path, createdAt }: Pick<FolderRecord, 'id' | 'path' | 'createdAt'>): DavResource {
  return { id, path, createdAt, file: undefined }
}

/** What a URL names: the root, else a file if it does not end with a slash, else a folder. @throws not_found. */
export async function getResource (
  { files, folders }: Pick<HttpServices, 'files' | 'folders'>,
  owner: AccountRecord,
  { path, hasSlash }: Pick<DavTarget, 'path' | 'hasSlash'>
): Promise<DavResource> {
  if (path === '') return folderResource({ id: 0, path, createdAt: owner.createdAt })
  const file = hasSlash ? undefined : await ifNot('not_found', files.get(owner.id, path))
  return file === undefined ? folderResource(await folders.get(owner.id, path)) : fileResource(file)
}
