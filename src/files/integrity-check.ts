import { createHash } from 'node:crypto'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { FileRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'

/** Files or blobs in one query. */
const BATCH = 500

interface Stores { metadata: Metadata, blobs: BlobStore }

/**
 * One inconsistency: the bytes of a file are `missing`, have the `wrong_size`, are `unreadable` or have the `wrong_digest`;
 * an `orphan` is a blob without a file; a recorded `usage` is not the sum of the files; the `database` itself is damaged.
 */
export type Finding =
  | { readonly kind: Fault, readonly blobId: string, readonly ownerId: number, readonly name: string }
  | { readonly kind: 'orphan', readonly blobId: string }
  | { readonly kind: 'usage', readonly accountId: number, readonly detail: string }
  | { readonly kind: 'database', readonly detail: string }

/**
 * Compares metadata and blobs in both directions. It may run beside a server: before it reports something, it checks that it
 * was not just changed. `isDeep` reads every byte; `onLook` gets the number of files checked so far.
 */
export async function * checkIntegrity ({ metadata, blobs }: Stores, { isDeep, onLook }: { isDeep: boolean, onLook: (done: number) => void }): AsyncGenerator<Finding> {
  for (const detail of await metadata.checkIntegrity()) yield { kind: 'database', detail }
  yield * checkFiles({ metadata, blobs }, { check: isDeep ? checkDigest : checkSize, onLook })
  yield * checkBlobs({ metadata, blobs })
  for (const { accountId, recorded, actual } of await metadata.usageMismatches()) {
    yield { kind: 'usage', accountId, detail: `recorded ${recorded.bytes} bytes in ${recorded.files} files, stored ${actual.bytes} in ${actual.files}` }
  }
}

/** Repairs what can be repaired without loss: moves an orphan to the quarantine, or recomputes the usage. Returns whether it did. */
export async function repair ({ metadata, blobs }: Stores, finding: Finding): Promise<boolean> {
  switch (finding.kind) {
    case 'orphan':
      return blobs.quarantine(finding.blobId)
    case 'usage':
      await metadata.repairUsage()
      return true
    default:
      return false
  }
}

type Fault = 'missing' | 'wrong_size' | 'unreadable' | 'wrong_digest'

type Check = (file: FileRecord, blobs: BlobStore) => Promise<Fault | undefined>

async function * checkFiles ({ metadata, blobs }: Stores, { check, onLook }: { check: Check, onLook: (done: number) => void }): AsyncGenerator<Finding> {
  let afterId = 0
  let done = 0
  for (;;) {
    const files = await metadata.filesAfter(afterId, BATCH)
    for (const file of files) {
      const kind = await check(file, blobs)
      if (kind !== undefined && await isCurrent(file, metadata)) yield { kind, blobId: file.blobId, ownerId: file.ownerId, name: file.name }
      onLook(++done)
    }
    const last = files.at(-1)
    if (last === undefined) return
    afterId = last.id
  }
}

/** The blob of a file that was replaced or deleted meanwhile may be removed already. */
async function isCurrent (file: FileRecord, metadata: Metadata): Promise<boolean> {
  return (await metadata.knownBlobs([file.blobId])).has(file.blobId)
}

const checkSize: Check = async (file, blobs) => {
  try {
    await blobs.check(file.blobId, file.size)
    return undefined
  } catch (error) {
    return faultOf(error)
  }
}

const checkDigest: Check = async (file, blobs) => {
  try {
    const hash = createHash('sha256')
    const bytes = await blobs.read(file.blobId, file.size, [{ start: 0, end: file.size - 1 }])
    for await (const chunk of Buffer.isBuffer(bytes) ? [bytes] : bytes) hash.update(chunk as Buffer)
    return hash.digest('hex') === file.sha256 ? undefined : 'wrong_digest'
  } catch (error) {
    return faultOf(error)
  }
}

/** A read error is a finding, and must not end the check. A store that can't be reached ends it. */
function faultOf (error: unknown): Fault {
  if (!(error instanceof Problem)) return 'unreadable'
  if (error.code === 'unavailable') throw error
  const { code } = error.cause as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'missing'
  return code === undefined ? 'wrong_size' : 'unreadable'
}

/** Blobs are listed before the metadata is read, because the metadata of a committed blob is written first. */
async function * checkBlobs ({ metadata, blobs }: Stores): AsyncGenerator<Finding> {
  let batch: string[] = []
  for await (const id of blobs.committed()) {
    batch.push(id)
    if (batch.length < BATCH) continue
    yield * orphansAmong(batch, { metadata, blobs })
    batch = []
  }
  yield * orphansAmong(batch, { metadata, blobs })
}

async function * orphansAmong (ids: string[], { metadata, blobs }: Stores): AsyncGenerator<Finding> {
  const referenced = await metadata.referencedBlobs(ids)
  for (const blobId of ids) {
    // A blob that was discarded since it was listed is no longer referenced, and no longer there.
    if (!referenced.has(blobId) && await blobs.has(blobId)) yield { kind: 'orphan', blobId }
  }
}
