import { session } from '../session.ts'

/**
 * With the name and the size, which the server knows, it identifies a file when the user chooses it again after a reload. It stays in the
 * browser after the user has signed out, so that it must not tell others the names of files.
 */
interface FileTraits { readonly lastModified: number }

/** Keeps the traits of the file of an unfinished upload. */
export function remember (id: string, { lastModified }: FileTraits): void {
  write({ ...remembered(), [id]: { lastModified } })
}

/** Drops the traits of uploads that have ended. */
export function forget (...ids: string[]): void {
  const traits = remembered()
  const rest = Object.entries(traits).filter(([id]) => !ids.includes(id))
  if (rest.length < Object.keys(traits).length) write(Object.fromEntries(rest))
}

/** The key of what is kept for this account on this server. Another server may share the origin, under another path. */
export function uploadsKey (): string {
  const state = session.peek()
  return `uploads ${new URL('.', location.href).pathname} ${'username' in state ? state.username : ''}`
}

/** The traits by the id of the upload. */
export function remembered (): Record<string, FileTraits> {
  try {
    return JSON.parse(localStorage.getItem(uploadsKey()) ?? '{}') as Record<string, FileTraits>
  } catch {
    // The browser does not allow storage, or the value is not ours. Without the traits, the page asks whether a file is the same.
    return {}
  }
}

function write (traits: Record<string, FileTraits>): void {
  try {
    if (Object.keys(traits).length === 0) localStorage.removeItem(uploadsKey())
    else localStorage.setItem(uploadsKey(), JSON.stringify(traits))
  } catch {
    // As above.
  }
}
