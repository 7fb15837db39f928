import { createHash } from 'node:crypto'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { FileRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'

/** Files and blobs looked at in one go. */
const BATCH = 500

interface Stores { metadata: Metadata, blobs: BlobStore }

/**
 * One thing that is not as it should be: bytes of a file that are `missing`, of the `wrong_size`, `unreadable` or
 * with the `wrong_digest`; an `orphan`, bytes of no file; a recorded `usage` that is not the sum; a fault in the `database`.
 */
export type Finding =
  | { readonly kind: Fault, readonly blobId: string, readonly ownerId: number, readonly name: string }
  | { readonly kind: 'orphan', readonly blobId: string }
  | { readonly kind: 'usage', readonly accountId: number, readonly detail: string }
  | { readonly kind: 'database', readonly detail: string }

/**
 * Holds facts and bytes against each other in both directions, beside a running server: what changes meanwhile is looked
 * at again before it is reported. `isDeep` reads every byte; `onLook` hears how many files were looked at.
 */
export async function * checkIntegrity ({ metadata, blobs }: Stores, { isDeep, onLook }: { isDeep: boolean, onLook: (done: number) => void }): AsyncGenerator<Finding> {
  for (const detail of await metadata.checkIntegrity()) yield { kind: 'database', detail }
  yield * checkFiles({ metadata, blobs }, { check: isDeep ? checkDigest : checkSize, onLook })
  yield * checkBlobs({ metadata, blobs })
  for (const { accountId, recorded, actual } of await metadata.usageMismatches()) {
    yield { kind: 'usage', accountId, detail: `recorded ${recorded.bytes} bytes in ${recorded.files} files, stored ${actual.bytes} in ${actual.files}` }
  }
}

/** Repairs what can be repaired without destroying anything: an orphan goes into quarantine, a usage is summed again. */
export async function repair ({ metadata, blobs }: Stores, finding: Finding): Promise<boolean> {
  switch (finding.kind) {
    case 'orphan':
      await blobs.quarantine(finding.blobId)
      return true
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
      if (kind !== undefined && await isStillSo(file, metadata)) yield { kind, blobId: file.blobId, ownerId: file.ownerId, name: file.name }
      onLook(++done)
    }
    const last = files.at(-1)
    if (last === undefined) return
    afterId = last.id
  }
}

/** A file that was replaced, renamed or deleted since it was read may have lost its old bytes rightly. */
async function isStillSo (file: FileRecord, metadata: Metadata): Promise<boolean> {
  return (await metadata.knownBlobs([file.blobId])).has(file.blobId)
}

const checkSize: Check = async (file, blobs) => {
  try {
    const blob = await blobs.open(file.blobId, file.size)
    await blob.close()
    return undefined
  } catch (error) {
    return faultOf(error)
  }
}

const checkDigest: Check = async (file, blobs) => {
  try {
    const blob = await blobs.open(file.blobId, file.size)
    const hash = createHash('sha256')
    for await (const chunk of blob.read({ start: 0, end: file.size - 1 })) hash.update(chunk as Buffer)
    return hash.digest('hex') === file.sha256 ? undefined : 'wrong_digest'
  } catch (error) {
    return faultOf(error)
  }
}

/** A medium that fails must not end the inspection: it is what one looks for. */
function faultOf (error: unknown): Fault {
  if (!(error instanceof Problem)) return 'unreadable'
  const { code } = error.cause as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'missing'
  return code === undefined ? 'wrong_size' : 'unreadable'
}

/** The bytes are listed before the facts are asked for: a committed blob had its fact before it was committed. */
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
    // One that was discarded since it was listed is referenced no more once its bytes are gone.
    if (!referenced.has(blobId) && await blobs.has(blobId)) yield { kind: 'orphan', blobId }
  }
}
