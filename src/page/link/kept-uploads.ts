import { createStoredMap } from '../stored-texts.ts'

interface KeptUpload { readonly name: string, readonly size: number, readonly lastModified: number }

/**
 * The files of unfinished uploads by id, so that the same file continues its upload after a reload. The session storage
 * ends with the window: nothing is left on a shared computer. The ids are of no use without the secret of the link,
 * which is not stored.
 */
const [load, save] = createStoredMap<KeptUpload>('uploads by link', 'sessionStorage')

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
