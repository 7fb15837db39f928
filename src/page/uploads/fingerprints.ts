import { folder } from '../folder.ts'

/**
 * With the name and the size, which the server knows, it identifies a file when the user chooses it again after a
 * reload. It stays in the browser after the user has signed out, so it must not contain names of files or users.
 */
interface Fingerprint { readonly lastModified: number }

/** Saves the fingerprint of the file of an unfinished upload. */
export function saveFingerprint (id: string, { lastModified }: Fingerprint): void {
  write({ ...loadFingerprints(), [id]: { lastModified } })
}

/** Removes the fingerprints of uploads that have ended. */
export function removeFingerprints (...ids: string[]): void {
  const fingerprints = loadFingerprints()
  const rest = Object.entries(fingerprints).filter(([id]) => !ids.includes(id))
  if (rest.length < Object.keys(fingerprints).length) write(Object.fromEntries(rest))
}

/** The storage key. It contains the path, because several servers can share an origin. */
const KEY = `uploads ${folder.pathname}`

/** Removes what a former version of the page stored under the names of users. */
export function removeNamedFingerprints (): void {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(`${KEY} `)) localStorage.removeItem(key)
  } catch {
    // The browser does not allow storage.
  }
}

/** The fingerprints by the id of the upload. */
export function loadFingerprints (): Record<string, Fingerprint> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, Fingerprint>
  } catch {
    // The browser does not allow storage, or the value is from other software. The page then asks whether a file is the
    // same.
    return {}
  }
}

function write (fingerprints: Record<string, Fingerprint>): void {
  try {
    if (Object.keys(fingerprints).length === 0) localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, JSON.stringify(fingerprints))
  } catch {
    // The browser does not allow storage, or it is full.
  }
}
