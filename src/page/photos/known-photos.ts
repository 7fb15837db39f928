import type { StoredFile } from 'magicstore'
import { lastOf } from '../paths.ts'
import { keyOf } from '../uploads/names.ts'

/** Larger files are compared by name, size and time alone: the browser hashes a file only as a whole, in memory. */
const MAX_HASHED_BYTES = 64 * 1024 * 1024

type Stored = Pick<StoredFile, 'name' | 'size' | 'modifiedAt' | 'sha256'>

/** Returns a function that tells whether a file of this device is among the stored ones, whatever its name there. */
export function createMatcher (stored: readonly Stored[]): (file: File) => Promise<boolean> {
  const bySize = new Map<number, Stored[]>()
  for (const file of stored) {
    const others = bySize.get(file.size)
    if (others === undefined) bySize.set(file.size, [file])
    else others.push(file)
  }
  return async file => {
    const candidates = bySize.get(file.size) ?? []
    if (candidates.some(candidate => isSame(candidate, file))) return true
    if (candidates.length === 0 || file.size > MAX_HASHED_BYTES) return false
    const digest = await digestOf(file)
    return candidates.some(({ sha256 }) => sha256 === digest)
  }
}

/** The name first: it decides most often. */
function isSame ({ name, modifiedAt }: Stored, file: File): boolean {
  return keyOf(lastOf(name)) === keyOf(file.name) && modifiedAt !== null && Date.parse(modifiedAt) === file.lastModified
}

/** The SHA-256 in hexadecimal; undefined over plain HTTP, where browsers hash nothing. */
async function digestOf (file: File): Promise<string | undefined> {
  const subtle = crypto.subtle as SubtleCrypto | undefined
  if (subtle === undefined) return undefined
  const digest = await subtle.digest('SHA-256', await file.arrayBuffer())
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('')
}
