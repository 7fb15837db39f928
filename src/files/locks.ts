import { randomUUID } from 'node:crypto'
import type { Conditions, StateList } from '../metadata/conditions.ts'
import type { LockOwner, LockRecord, NewLock } from '../metadata/lock-records.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { ifNot } from '../problems.ts'
import type { Files } from './files.ts'
import type { IncomingBody } from './incoming-file.ts'
import { getName } from './names.ts'

interface LocksOptions {
  readonly metadata: Metadata
  readonly files: Pick<Files, 'acceptName' | 'store'>
}

/** Locks. Every method takes the owner, and locks of other accounts do not exist. */
export class Locks {
  readonly #options: LocksOptions

  constructor (options: LocksOptions) {
    this.#options = options
  }

  /** The locks whose root is one of these paths, or a folder above one. */
  async listFor (owner: LockOwner, paths: readonly string[]): Promise<LockRecord[]> {
    return this.#options.metadata.locks.listFor(owner, paths)
  }

  /** @throws precondition_failed unless one of the lists of `If` holds. For what changes no file. */
  async judge (ownerId: number, lists: readonly StateList[]): Promise<void> {
    return this.#options.metadata.locks.judge(ownerId, lists)
  }

  /**
   * Locks a file or folder, or makes an empty file of a free name together with its lock.
   * @throws as `LockRepository.add` and `Files.store`.
   */
  async lock (
    owner: AccountRecord, wanted: Omit<NewLock, 'token'>, conditions: Conditions
  ): Promise<{ lock: LockRecord, isNew: boolean }> {
    const { metadata, files } = this.#options
    const lock = { ...wanted, token: `urn:uuid:${randomUUID()}` }
    for (;;) {
      const found = await ifNot('not_found', metadata.locks.add(owner.id, lock, conditions))
      if (found !== undefined) return { lock: found, isNew: false }
      const request = { owner, upload: emptyFile(lock.path), mode: 'put', precondition: conditions, lock } as const
      const made = await ifNot('name_taken', files.store(request))
      if (made === undefined) continue
      return { lock: { ...lock, isFolder: false, expiresAt: made.file.createdAt + lock.seconds * 1000 }, isNew: true }
    }
  }

  /** @throws precondition_failed. */
  async refresh (ownerId: number, path: string, seconds: number, conditions: Conditions): Promise<LockRecord> {
    const { metadata } = this.#options
    return metadata.locks.refresh(ownerId, path, seconds, conditions)
  }

  /** @throws precondition_failed, lock_token_mismatch. */
  async unlock (ownerId: number, path: string, token: string, conditions: Conditions): Promise<void> {
    const { metadata } = this.#options
    return metadata.locks.remove(ownerId, path, token, conditions)
  }

  /** Ends the locks of a file or folder, whoever has them. @throws not_found. */
  async break (ownerId: number, name: string, nameOf?: (text: string) => string): Promise<void> {
    const { metadata } = this.#options
    return metadata.locks.break(ownerId, getName(name, nameOf))
  }
}

function emptyFile (name: string): IncomingBody {
  return {
    name,
    minBytes: 0,
    maxBytes: 0,
    read: use => use({ name, type: undefined, bytes: noBytes() })
  }
}

async function * noBytes (): AsyncGenerator<never> {}
