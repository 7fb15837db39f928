import type { Ids } from '../metadata/ids.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { ancestorsOf } from '../metadata/paths.ts'
import { Problem } from '../problems.ts'

/** Changes that are read at once. */
const PAGE = 1000

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

/** The only changes of a folder and of what is in it after a change of its account. */
interface FolderState {
  /** The id of that change; 0 for none. */
  readonly since: number
  /** How many. */
  readonly changes: number
}

/** What a folder was like when it was made: opaque to clients. That of a file is its sha256. */
export function stateOfFolder ({ since, changes }: FolderState): string {
  return `${since}-${changes}`
}

function stateIn (text = ''): FolderState | undefined {
  const [, since, changes] = STATE.exec(text) ?? []
  return since === undefined ? undefined : { since: Number(since), changes: Number(changes) }
}

/**
 * Returns what requires that one of these folders still has its state. It returns the id of the last change that it
 * has read: what comes after that is to be looked at by the act itself. Each change is read once, for all folders.
 */
export function createStateCheck (
  { changes }: Pick<Metadata, 'changes'>,
  ownerId: number,
  folders: readonly { readonly name: string, readonly state?: string | undefined }[]
) {
  const states = new Map<string, FolderState & { found: number }>(folders.flatMap(({ name, state }) => {
    const wanted = stateIn(state)
    return wanted === undefined ? [] : [[name, { ...wanted, found: 0 }]]
  }))
  let read = Array.from(states.values()).reduce((first, { since }) => Math.min(first, since), Infinity)

  /** That of the folder, of these, that a path is in. */
  const stateOf = (path: string) =>
    [...ancestorsOf(path), path].map(path => states.get(path)).find(state => state !== undefined)

  async function readOn (): Promise<void> {
    const page = await changes.pathsAfter(ownerId, read, PAGE)
    for (const { id, name, fromName } of page) {
      for (const state of new Set([name, fromName ?? name].map(stateOf))) {
        if (state !== undefined && id > state.since) state.found++
      }
      read = id
    }
    if (page.length > 0) await readOn()
  }

  /** @throws precondition_failed. */
  return async (name: string): Promise<number> => {
    const state = states.get(name)
    if (state === undefined) throw new Problem('precondition_failed')
    await readOn()
    if (state.found !== state.changes) throw new Problem('precondition_failed')
    return read
  }
}
