import { MagicStoreError, type ResumableOptions, type StoredFile } from 'magicstore'
import { call } from '../session.ts'
import { removeFingerprints, saveFingerprint } from './fingerprints.ts'
import { dropReplaced } from './unfinished.ts'
import type { Upload } from './upload.ts'
import { hold } from './upload-locks.ts'

/** Thrown if another window or device sends the same upload. */
export class UploadedElsewhere extends Error {}

/** Thrown if another client ended the upload. */
export class EndedElsewhere extends Error {}

/** Thrown if the browser can't read the file any more: it was changed, moved or deleted. */
export class FileUnreadable extends Error {}

/** Thrown for a name that no URL can contain. */
export class ImpossibleName extends Error {}

/** The client would try again after these, but only the user can make space. */
const FINAL_CODES = ['too_many_uploads', 'storage_full']

/** Browsers remove these segments from URLs, escaped or not, and would request another path. */
const IMPOSSIBLE_NAMES = ['.', '..']

/**
 * Sends the bytes that the server does not have yet. It continues by itself after a network error. An abort keeps the
 * stored bytes.
 * @throws what `call` throws, ImpossibleName, UploadedElsewhere, FileUnreadable, and the reason of an abort.
 */
export async function transfer (upload: Upload, aborter: AbortController): Promise<StoredFile> {
  const name = upload.name.peek()
  if (IMPOSSIBLE_NAMES.includes(name)) throw new ImpossibleName()
  const release = await hold(name)
  if (release === undefined) throw new UploadedElsewhere()
  upload.speed.reset()
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
    // If a file can't be read, the browser reports a network error.
    await file.slice(0, 1).arrayBuffer().catch((cause: unknown) => aborter.abort(new FileUnreadable('', { cause })))
  } else if (error.code === 'upload_taken_over') {
    aborter.abort(new UploadedElsewhere())
  } else if (error.code !== undefined && FINAL_CODES.includes(error.code)) {
    aborter.abort(error)
  }
}
