import { folder } from '../folder.ts'

/**
 * With the name and the size, which the server knows, it identifies a file when the user chooses it again after a reload. It stays in the
 * browser after the user has signed out, so it must not contain names of files or users.
 */
interface FileTraits { readonly lastModified: number }

/** Saves the traits of the file of an unfinished upload. */
export function saveTraits (id: string, { lastModified }: FileTraits): void {
  write({ ...loadTraits(), [id]: { lastModified } })
}

/** Removes the traits of uploads that have ended. */
export function removeTraits (...ids: string[]): void {
  const traits = loadTraits()
  const rest = Object.entries(traits).filter(([id]) => !ids.includes(id))
  if (rest.length < Object.keys(traits).length) write(Object.fromEntries(rest))
}

/** The storage key. It contains the path, because several servers can share an origin. */
const KEY = `uploads ${folder.pathname}`

/** Removes what a former version of the page stored under the names of users. */
export function removeNamedTraits (): void {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(`${KEY} `)) localStorage.removeItem(key)
  } catch {
    // The browser does not allow storage.
  }
}

/** The traits by the id of the upload. */
export function loadTraits (): Record<string, FileTraits> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, FileTraits>
  } catch {
    // The browser does not allow storage, or the value is from other software. The page then asks whether a file is the same.
    return {}
  }
}

function write (traits: Record<string, FileTraits>): void {
  try {
    if (Object.keys(traits).length === 0) localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, JSON.stringify(traits))
  } catch {
    // The browser does not allow storage, or it is full.
  }
}
