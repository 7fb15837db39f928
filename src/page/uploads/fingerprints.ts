import { folder } from '../folder.ts'
import { createStoredMap } from '../stored-texts.ts'

/**
 * With the name and the size, which the server knows, it identifies a file when the user chooses it again after a
 * reload. It stays in the browser after the user has signed out, so it must not contain names of files or users.
 */
interface Fingerprint { readonly lastModified: number }

/** The storage key. It contains the path, because several servers can share an origin. */
const KEY = `uploads ${folder.pathname}`

/** By the id of the upload. Without the fingerprint of an upload, the page asks whether a file is the same. */
const [loadFingerprints, save] = createStoredMap<Fingerprint>(KEY)

export { loadFingerprints }

/** Saves the fingerprint of the file of an unfinished upload. */
export function saveFingerprint (id: string, { lastModified }: Fingerprint): void {
  save({ ...loadFingerprints(), [id]: { lastModified } })
}

/** Removes the fingerprints of uploads that have ended. */
export function removeFingerprints (...ids: string[]): void {
  const fingerprints = loadFingerprints()
  const rest = Object.entries(fingerprints).filter(([id]) => !ids.includes(id))
  if (rest.length < Object.keys(fingerprints).length) save(Object.fromEntries(rest))
}

/** Removes what a former version of the page stored under keys with usernames. */
export function removeNamedFingerprints (): void {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(`${KEY} `)) localStorage.removeItem(key)
  } catch {
    // The browser does not allow storage.
  }
}
