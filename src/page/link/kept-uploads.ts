/*
 * Which file an unfinished upload belongs to, so that the same file continues it after a reload. The storage of the
 * session ends with the window: on a computer that people share, nothing is left. It has ids, and not the secret of the
 * link, to which an id belongs.
 */

interface KeptUpload { readonly name: string, readonly size: number, readonly lastModified: number }

const KEY = 'uploads by link'

/** The id of the unfinished upload of a file; undefined if there is none. */
export function findUpload ({ name, size, lastModified }: File): string | undefined {
  const isSame = (kept: KeptUpload) => kept.name === name && kept.size === size && kept.lastModified === lastModified
  return Object.entries(load()).find(([, kept]) => isSame(kept))?.[0]
}

export function keepUpload (id: string, { name, size, lastModified }: File): void {
  save({ ...load(), [id]: { name, size, lastModified } })
}

export function forgetUpload (id: string): void {
  const { [id]: _gone, ...rest } = load()
  save(rest)
}

function load (): Record<string, KeptUpload> {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as Record<string, KeptUpload>
  } catch {
    // The browser does not allow storage.
    return {}
  }
}

function save (kept: Record<string, KeptUpload>): void {
  try {
    if (Object.keys(kept).length === 0) sessionStorage.removeItem(KEY)
    else sessionStorage.setItem(KEY, JSON.stringify(kept))
  } catch {
    // The browser does not allow storage, or it is full.
  }
}
