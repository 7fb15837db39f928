import { untracked, useSignalEffect } from '@preact/signals'
import { isOffline } from '../connection.ts'
import { notify } from '../notices.tsx'
import { session, usernameOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import type { NamedFile } from '../uploads/names.ts'
import { refreshUnfinished } from '../uploads/outcome.ts'
import { addFiles } from '../uploads/queue.ts'
import type { Upload } from '../uploads/upload.ts'
import { areKept, isUnsent, shownUploads, uploads } from '../uploads/upload-list.ts'
import { createKey, dropFile, holdFile, keepFile, keysOfFiles, loadFile, type FileKey } from './unsent-files.ts'

interface Kept { readonly key: FileKey, release: () => void, isWritten: boolean }

/** The uploads of this window whose files are kept. */
const kept = new Map<Upload, Kept>()

/** Files are written one after the other: there can be thousands. */
let writing = Promise.resolve()

/** Keeps the files of uploads while the server can't be reached, and continues with those of earlier windows. */
export function useUnsent (): void {
  useSignalEffect(() => {
    if (session.value.kind !== 'open') return
    const { username } = session.value
    // Again when the network comes or goes: another window, which had some, may be closed by then.
    void isOffline.value
    untracked(() => { restore(username).catch(() => {}) })
  })
  useSignalEffect(() => {
    const [all, username] = [shownUploads.value, usernameOf(session.value)]
    if (isOffline.value && username !== '') writing = writing.then(() => keepAll(all, username))
    untracked(() => { void dropEnded() })
  })
}

async function keepAll (all: readonly Upload[], username: string): Promise<void> {
  for (const upload of all) if (!kept.has(upload) && isUnsent(upload)) await keep(upload, username)
}

async function keep (upload: Upload, username: string): Promise<void> {
  const file: Kept = { key: createKey(username), release: () => {}, isWritten: false }
  kept.set(upload, file)
  try {
    // Locked first, so that no other window takes it meanwhile.
    file.release = await holdFile(file.key) ?? file.release
    const { file: bytes, name, keepsBoth } = upload
    await keepFile(file.key, { file: bytes, name: name.peek(), keepsBoth })
    file.isWritten = true
  } catch {
    notify({ text: texts.offline.notKept(upload.name.peek()) })
  }
  await dropEnded()
}

/** Forgets the files of uploads that are stored or cancelled. */
async function dropEnded (): Promise<void> {
  const unsent = new Set(kept.size === 0 ? [] : uploads.peek().filter(isUnsent))
  areKept.value = unsent.size > 0 && Array.from(unsent).every(upload => kept.get(upload)?.isWritten === true)
  for (const [upload, { key, release, isWritten }] of kept) {
    if (unsent.has(upload) || !isWritten) continue
    kept.delete(upload)
    await dropFile(key).catch(() => {})
    release()
  }
}

/** Adds the files that no window has, in the order in which they were chosen. */
async function restore (username: string): Promise<void> {
  const keys = await keysOfFiles(username)
  // Otherwise what the server has of them would not be found. Without a network, they are only shown.
  if (keys.length > 0) await refreshUnfinished().catch(() => {})
  for (const key of keys) {
    const release = isOwn(key) ? undefined : await holdFile(key)
    const found = release && await loadFile(key)
    if (release !== undefined && found !== undefined && usernameOf(session.peek()) === username) {
      adopt(found, { key, release, isWritten: true })
    } else {
      release?.()
    }
  }
}

function isOwn (key: FileKey): boolean {
  return Array.from(kept.values()).some(file => String(file.key) === String(key))
}

/** The response to it may have been lost with the former window: then the file is there already. */
function adopt (named: NamedFile, file: Kept): void {
  addFiles([{ ...named, isDoubtful: true }])
  const upload = uploads.peek().find(upload => upload.file === named.file)
  if (upload !== undefined) kept.set(upload, file)
}
