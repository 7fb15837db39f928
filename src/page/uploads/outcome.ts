import { bodyOf, type StoredFile } from 'magicstore'
import { statusOf } from '../errors.ts'
import { entries, isListed, placeEntry } from '../files/entries.ts'
import { searchText } from '../files/list-choice.ts'
import { call } from '../session.ts'
import { removeFingerprints } from './fingerprints.ts'
import { nextName } from './names.ts'
import { EndedElsewhere } from './obstacles.ts'
import { transfer } from './transfer.ts'
import { cancelUnfinished, loadUnfinished } from './unfinished.ts'
import type { Upload, UploadState } from './upload.ts'
import { uploads } from './upload-list.ts'
import { isArrived } from './whole-file.ts'

/** Told of each file that is stored, with the same file on this device. */
type StoredListener = (file: StoredFile, local: File) => void

let tellStored: StoredListener = () => {}

/** Sets what is told of files that are stored. */
export function watchStored (listener: StoredListener): void {
  tellStored = listener
}

/** Sends an upload. Resolves to the state that follows. */
export async function stateAfter (upload: Upload, aborter: AbortController): Promise<UploadState> {
  const wasBegun = upload.id !== undefined
  try {
    return stored(upload, await transfer(upload, aborter))
  } catch (error) {
    const status = statusOf(error)
    if (status === 404) return afterEnd(upload, { wasBegun })
    if (status !== 412) return { kind: 'failed', error }
    discard(upload)
    return afterTaken(upload).catch((error: unknown) => ({ kind: 'failed', error }))
  }
}

function stored (upload: Upload, file: StoredFile): UploadState {
  const { file: local } = upload
  upload.sentBytes.value = file.size
  tellStored(file, local)
  // An empty list would say for a moment that there are no files.
  const isEmpty = entries.entries.peek().length === 0 && searchText.peek() === ''
  if (isEmpty && isListed(file)) placeEntry(file)
  return { kind: 'stored' }
}

/** Makes an upload start from the beginning. */
export function startAgain (upload: Upload): UploadState {
  if (upload.id !== undefined) forgetUpload(upload, upload.id)
  upload.isDoubtful = false
  upload.replacedTag = undefined
  return { kind: 'waiting' }
}

/** Forgets the unfinished upload on the server, which the next upload of this name ends. */
export function forgetUpload (upload: Upload, id: string): void {
  removeFingerprints(id)
  upload.id = undefined
  upload.sentBytes.value = 0
}

/**
 * Ends the unfinished upload on the server, if there is one, which frees its space. If that fails, it is listed as
 * unfinished.
 */
export function discard (upload: Upload): void {
  const { id } = upload
  if (id === undefined) return
  upload.id = undefined
  upload.sentBytes.value = 0
  cancelUnfinished(id).catch(() => { void refreshUnfinished().catch(() => {}) })
}

/** Loads the unfinished uploads, without those of this window. @throws what `call` throws. */
export async function refreshUnfinished (): Promise<void> {
  await loadUnfinished(id => uploads.peek().some(upload => upload.id === id))
}

/**
 * After a 404. An upload that existed before this transfer has expired, and starts again. An upload that this transfer
 * created was ended by another client. It must not start again by itself: that would end the other client's upload of
 * this name, which might do the same.
 */
function afterEnd (upload: Upload, { wasBegun }: { wasBegun: boolean }): UploadState {
  const next = startAgain(upload)
  return wasBegun ? next : { kind: 'failed', error: new EndedElsewhere() }
}

/** After a 412: the name is taken, or the file is no longer the one that the user agreed to replace. */
async function afterTaken (upload: Upload): Promise<UploadState> {
  const name = upload.name.peek()
  if (upload.keepsBoth && !upload.isDoubtful) return afterOtherName(upload)
  const answer = await call(store => store.api.GET('/api/files/{name}', { params: { path: { name } } }))
  // It has been deleted.
  if (answer.response.status === 404) return startAgain(upload)
  const current = bodyOf(answer)
  if (isArrived(upload, current)) return stored(upload, current)
  upload.isDoubtful = false
  return upload.keepsBoth ? afterOtherName(upload) : { kind: 'conflict', current }
}

function afterOtherName (upload: Upload): UploadState {
  upload.name.value = nextName(upload.name.peek())
  return { kind: 'waiting' }
}
