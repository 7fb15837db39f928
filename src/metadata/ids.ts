import { createHmac, randomBytes } from 'node:crypto'

/** Bytes of an id: nobody finds another one by guessing. */
const ID_BYTES = 16

/**
 * The ids that clients see. A file or folder has the same one as long as its row, and no other ever has it. They depend
 * on the epoch of the store, so after a whole backup was restored, all are new.
 */
export interface Ids {
  file (row: number): string
  /** Null for the root, whose row is 0. */
  folder (row: number): string | null
  /** Tells this epoch from others, without revealing it. */
  readonly epochId: string
}

/** A new epoch: 32 random bytes, in base64url. */
export function createEpoch (): string {
  return randomBytes(32).toString('base64url')
}

export function createIds (epoch: string): Ids {
  const key = Buffer.from(epoch, 'base64url')
  const idOf = (text: string) => createHmac('sha256', key).update(text).digest().subarray(0, ID_BYTES).toString('base64url')
  return {
    file: row => idOf(`file ${row}`),
    folder: row => row === 0 ? null : idOf(`folder ${row}`),
    epochId: idOf('epoch')
  }
}
