import { MagicStoreError, type ResumableOptions, type StoredFile } from 'magicstore'
import { call } from '../session.ts'
import { removeFingerprints, saveFingerprint } from './fingerprints.ts'
import { FINAL_CODES, ImpossibleName, refuseUnreadable, UploadedElsewhere } from './obstacles.ts'
import { dropReplaced } from './unfinished.ts'
import type { Upload } from './upload.ts'
import { hold } from './upload-locks.ts'
import { isWhole, sendWhole } from './whole-file.ts'

/** Browsers remove these segments from URLs, escaped or not, and would request another path. */
const IMPOSSIBLE_NAMES = ['.', '..']

/**
 * Sends a small file in one request. Of another one, sends the bytes that the server does not have yet, and continues
 * by itself after a network error. An abort keeps the stored bytes.
 * @throws what `call` throws, ImpossibleName, UploadedElsewhere, FileUnreadable, and the reason of an abort.
 */
export async function transfer (upload: Upload, aborter: AbortController): Promise<StoredFile> {
  const name = upload.name.peek()
  if (IMPOSSIBLE_NAMES.includes(name)) throw new ImpossibleName()
  upload.speed.reset()
  return await (isWhole(upload) ? sendWhole(upload, aborter.signal) : undefined) ?? transferResumable(upload, aborter)
}

async function transferResumable (upload: Upload, aborter: AbortController): Promise<StoredFile> {
  const name = upload.name.peek()
  const release = await hold(name)
  if (release === undefined) throw new UploadedElsewhere()
  try {
    const stored = await call(store => store.putResumable(name, upload.file, optionsOf(upload, aborter)))
    if (upload.id !== undefined) removeFingerprints(upload.id)
    return stored
  } finally {
    upload.interruption.value = undefined
    release()
  }
}

function optionsOf (upload: Upload, aborter: AbortController): ResumableOptions {
  const { id, file, name, replacedTag, sentBytes, speed, interruption } = upload
  return {
    id,
    ...(replacedTag === undefined ? { ifNoneMatch: '*' } : { ifMatch: replacedTag }),
    signal: aborter.signal,
    onCreated (id) {
      upload.id = id
      saveFingerprint(id, file)
      dropReplaced(name.peek())
    },
    onProgress (bytes) {
      interruption.value = undefined
      sentBytes.value = bytes
      speed.measure(bytes, performance.now())
    },
    onRetry (error) {
      interruption.value = error
      speed.reset()
      void abortIfFinal(error, file, aborter)
    }
  }
}

/** Stops the attempts if the next one would fail in the same way. */
async function abortIfFinal (error: unknown, file: File, aborter: AbortController): Promise<void> {
  if (!(error instanceof MagicStoreError)) {
    await refuseUnreadable(file).catch((cause: unknown) => aborter.abort(cause))
  } else if (error.code === 'upload_taken_over') {
    aborter.abort(new UploadedElsewhere())
  } else if (error.code !== undefined && FINAL_CODES.includes(error.code)) {
    aborter.abort(error)
  }
}
