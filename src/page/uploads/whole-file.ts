import { MagicStoreError, type StoredFile } from 'magicstore'
import { call } from '../session.ts'
import { keyOf } from './names.ts'
import { isTransient, refuseUnreadable } from './obstacles.ts'
import { unfinished } from './unfinished.ts'
import type { Upload } from './upload.ts'

/**
 * Largest file that is sent in one request instead of three. If the connection is cut, all of it is sent again, which
 * takes a second at 8 Mbit/s.
 */
export const WHOLE_BYTES = 1024 * 1024

/** Up to this size, the progress of a request is not measured: `XMLHttpRequest` takes longer than `fetch`. */
const UNMEASURED_BYTES = 64 * 1024

/** Whether an upload is to be sent in one request. A resumable one ends an unfinished one of its name on the server. */
export function isWhole ({ id, isDoubtful, file, name }: Upload): boolean {
  const isSmall = id === undefined && !isDoubtful && file.size <= WHOLE_BYTES
  return isSmall && !unfinished.peek().some(upload => upload.name === keyOf(name.peek()))
}

/**
 * Sends a file in one request. Resolves to undefined if that failed for a reason that may be over. Then, and after an
 * abort, `isDoubtful` is set.
 * @throws what `call` throws, FileUnreadable, and the reason of an abort.
 */
export async function sendWhole (upload: Upload, signal: AbortSignal): Promise<StoredFile | undefined> {
  const { file, name, replacedTag, sentBytes, speed } = upload
  const onProgress = (bytes: number) => {
    sentBytes.value = bytes
    speed.measure(bytes, performance.now())
  }
  const condition = replacedTag === undefined ? { ifNoneMatch: '*' } : { ifMatch: replacedTag }
  const options = { ...condition, signal, ...(file.size > UNMEASURED_BYTES && { onProgress }) }
  try {
    return await call(store => store.put(name.peek(), file, options))
  } catch (error) {
    sentBytes.value = 0
    upload.isDoubtful = signal.aborted || isTransient(error)
    if (signal.aborted || !isTransient(error)) throw error
    if (!(error instanceof MagicStoreError)) await refuseUnreadable(file)
    return undefined
  }
}

/** Whether a file of the server is the one that was sent in one request without a response. */
export function isArrived ({ isDoubtful, file }: Upload, { size, modifiedAt }: StoredFile): boolean {
  return isDoubtful && size === file.size && modifiedAt !== null && Date.parse(modifiedAt) === file.lastModified
}
