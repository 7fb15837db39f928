import type { Draft, DraftPart } from '../blob-store.ts'
import type { SentPart } from './multipart.ts'
import type { StoredBytes } from './part-buffer.ts'

/**
 * A draft has the parts of one upload in parts. What is shorter than a part is an object of its own, the tail. Their
 * SHA-256 is missing in a state that an earlier version saved.
 */
interface DraftState {
  readonly uploadId: string | null
  readonly parts: readonly SentPart[]
  readonly tail: StoredBytes | null
  /**
   * Part numbers below this one may be in use by an append that was superseded and does not know it yet: a part that it
   * still sends must not replace that of another append.
   */
  readonly next: number
  /** The tail of the draft before, which is not needed once this draft is saved. */
  readonly formerTail: string | null
}

export function stateOf ({ state }: Draft): DraftState {
  return state === null
    ? { uploadId: null, parts: [], tail: null, next: 1, formerTail: null }
    : JSON.parse(state) as DraftState
}

export function draftOf (size: number, state: DraftState): Draft {
  return { size, state: JSON.stringify(state) }
}

/** Like {@link BlobStore.partsOf}. The tail is the last part of the object. */
export function partsOf (draft: Draft): DraftPart[] {
  const { parts, tail } = stateOf(draft)
  const sent = parts.map(([, , size, sha256]) => ({ size, sha256 }))
  return tail === null ? sent : [...sent, { size: tail.size, sha256: tail.sha256 }]
}
