import { randomUUID } from 'node:crypto'
import type { Conditions } from '../metadata/conditions.ts'
import type { LockRecord, NewLock } from '../metadata/lock-records.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { ifNot } from '../problems.ts'
import type { AppServices } from '../services.ts'
import type { IncomingBody } from './incoming-file.ts'

/**
 * Locks a file or folder, or makes an empty file of a free name together with its lock.
 * @throws as `LockRepository.add` and `Files.store`.
 */
export async function addLock (
  { files, metadata }: Pick<AppServices, 'files' | 'metadata'>,
  owner: AccountRecord,
  wanted: Omit<NewLock, 'token'>,
  conditions: Conditions
): Promise<{ lock: LockRecord, isNew: boolean }> {
  const lock = { ...wanted, token: `urn:uuid:${randomUUID()}` }
  for (;;) {
    const found = await ifNot('not_found', metadata.locks.add(owner.id, lock, conditions))
    if (found !== undefined) return { lock: found, isNew: false }
    const uploader = { owner, linkId: null }
    const request = { uploader, upload: emptyFile(lock.path), put: { conditions, lock } }
    const made = await ifNot('name_taken', files.store(request))
    if (made === undefined) continue
    return { lock: { ...lock, isFolder: false, expiresAt: made.file.createdAt + lock.seconds * 1000 }, isNew: true }
  }
}

function emptyFile (name: string): IncomingBody {
  return {
    name,
    minBytes: 0,
    maxBytes: 0,
    async * read () { yield { name, type: undefined, bytes: noBytes() } }
  }
}

async function * noBytes (): AsyncGenerator<never> {}
