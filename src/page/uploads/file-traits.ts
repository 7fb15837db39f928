import { folder, session, usernameOf } from '../session.ts'

/**
 * With the name and the size, which the server knows, it identifies a file when the user chooses it again after a reload. It stays in the
 * browser after the user has signed out, so it must not contain file names.
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

/** The storage key of this account. It contains the path, because several servers can share an origin. */
export function uploadsKey (): string {
  return `uploads ${folder.pathname} ${usernameOf(session.peek())}`
}

/** The traits by the id of the upload. */
export function loadTraits (): Record<string, FileTraits> {
  try {
    return JSON.parse(localStorage.getItem(uploadsKey()) ?? '{}') as Record<string, FileTraits>
  } catch {
    // The browser does not allow storage, or the value is from other software. The page then asks whether a file is the same.
    return {}
  }
}

function write (traits: Record<string, FileTraits>): void {
  try {
    if (Object.keys(traits).length === 0) localStorage.removeItem(uploadsKey())
    else localStorage.setItem(uploadsKey(), JSON.stringify(traits))
  } catch {
    // The browser does not allow storage, or it is full.
  }
}
