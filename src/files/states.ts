import type { Unchanged } from '../metadata/change-records.ts'
import type { Ids } from '../metadata/ids.ts'
import { Problem } from '../problems.ts'

const STATE = /^(\d{1,15})-(\d{1,15})$/

/** A file or folder that was made or moved. One of the ids is that of its row. */
export interface MadeEntry {
  readonly name: string
  readonly fileId?: number | undefined
  readonly folderId?: number | undefined
  readonly state: string
}

/** Its id, as clients see it. */
export function idOfEntry ({ fileId, folderId = 0 }: Omit<MadeEntry, 'name' | 'state'>, ids: Ids): string {
  return fileId === undefined ? String(ids.folder(folderId)) : ids.file(fileId)
}

/** What a folder was like when it was made: opaque to clients. That of a file is its sha256. */
export function stateOfFolder ({ since, changes }: Unchanged): string {
  return `${since}-${changes}`
}

/** @throws precondition_failed for what is not the state of a folder. */
export function readFolderState (state: string): Unchanged {
  const [, since, changes] = STATE.exec(state) ?? []
  if (since === undefined) throw new Problem('precondition_failed')
  return { since: Number(since), changes: Number(changes) }
}
