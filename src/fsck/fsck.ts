import { type BlobStore, digestOf } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { StoredContent, Usage } from '../metadata/records.ts'
import { Problem } from '../problems.ts'

/** Blobs in one query. */
const BATCH = 500

interface Stores { metadata: Metadata, blobs: BlobStore }

/**
 * One inconsistency: the bytes of a file, a version or a deleted file in the trash are `missing`, have the
 * `wrong_size`, are `unreadable`, have the `wrong_digest`, or are about to be deleted (`discarded`); an `orphan` is a
 * blob that belongs to none of them; a recorded `usage` is not the sum of what is stored; the place of a `folder`, or
 * of a file in one, is wrong; the `order` of names is, or a count of the `trash`; the `database` itself is damaged.
 * `name` is that of the file; null for a version of a deleted one.
 */
export type Inconsistency =
  | { readonly kind: Fault } & Pick<StoredContent, 'content' | 'blobId' | 'ownerId' | 'name'>
  | { readonly kind: 'orphan', readonly blobId: string }
  | { readonly kind: 'usage', readonly accountId: number, readonly detail: string }
  | { readonly kind: 'folder' | 'order' | 'trash' | 'database', readonly detail: string }

/**
 * Compares metadata and blobs in both directions. It may run beside a server: before it reports something, it checks
 * that it was not just changed. `isDeep` reads every byte; `onLook` gets the number of blobs checked so far, and then
 * `onSearch` the number of those that were looked at to find orphans.
 */
export async function * checkIntegrity (
  { metadata, blobs }: Stores,
  { isDeep, onLook, onSearch }: { isDeep: boolean, onLook: (done: number) => void, onSearch?: (done: number) => void }
): AsyncGenerator<Inconsistency> {
  for (const detail of await metadata.checkIntegrity()) yield { kind: 'database', detail }
  for (const detail of await metadata.folders.listFaults()) yield { kind: 'folder', detail }
  const misplaced = await metadata.sortKeys.countWrong()
  if (misplaced > 0) yield { kind: 'order', detail: `${misplaced} files and folders are listed at a wrong place` }
  const miscounted = await metadata.deletionCounts.countWrong()
  if (miscounted > 0) yield { kind: 'trash', detail: `${miscounted} deletions in the trash have wrong counts` }
  yield * checkContents({ metadata, blobs }, isDeep ? findBadDigest : findBadSize, onLook)
  yield * findOrphans({ metadata, blobs }, onSearch)
  for (const { accountId, recorded, actual } of await metadata.accounts.usageMismatches()) {
    yield { kind: 'usage', accountId, detail: `recorded ${usageText(recorded)}; stored ${usageText(actual)}` }
  }
}

/**
 * Repairs what can be repaired without loss: moves an orphan to the quarantine, keeps the bytes of a content, or
 * recomputes the usage, the sort keys or the counts of deletions. Returns whether it did.
 */
export async function repair ({ metadata, blobs }: Stores, finding: Inconsistency): Promise<boolean> {
  switch (finding.kind) {
    case 'orphan':
      return blobs.quarantine(finding.blobId)
    case 'discarded':
      await metadata.blobs.clearDiscarded([finding.blobId])
      return true
    case 'usage':
      await metadata.accounts.repairUsage()
      return true
    case 'order':
      await metadata.sortKeys.repair()
      return true
    case 'trash':
      await metadata.deletionCounts.repair()
      return true
    default:
      return false
  }
}

function usageText ({ usedBytes, usedFiles, usedFolders, keptBytes, keptContents }: Usage): string {
  const versions = `${keptBytes} bytes in ${keptContents} versions and deleted files`
  return `${usedBytes} bytes in ${usedFiles} files, ${usedFolders} folders, and ${versions}`
}

type Fault = 'missing' | 'wrong_size' | 'unreadable' | 'wrong_digest' | 'discarded'

type Check = (
  content: Pick<StoredContent, 'blobId' | 'size' | 'sha256'>, blobs: BlobStore
) => Promise<Fault | undefined>

async function * checkContents (
  { metadata, blobs }: Stores, check: Check, onLook: (done: number) => void
): AsyncGenerator<Inconsistency> {
  let done = 0
  let afterId: string | undefined = ''
  while (afterId !== undefined) {
    const contents: StoredContent[] = await metadata.blobs.listContents(afterId, BATCH)
    const discarded = await metadata.blobs.findDiscarded(contents.map(({ blobId }) => blobId))
    for (const stored of contents) {
      const { content, blobId, ownerId, name } = stored
      const fault = await check(stored, blobs).catch(faultOf)
      for (const kind of [fault, discarded.has(blobId) ? 'discarded' as const : undefined]) {
        // A blob that was discarded meanwhile may be removed already.
        const isCurrent = kind !== undefined && (await metadata.blobs.findKnown([blobId])).has(blobId)
        if (isCurrent) yield { kind, content, blobId, ownerId, name }
      }
      onLook(++done)
    }
    afterId = contents.at(-1)?.blobId
  }
}

const findBadSize: Check = async ({ blobId, size }, blobs) => {
  await blobs.check(blobId, size)
  return undefined
}

const findBadDigest: Check = async ({ blobId, size, sha256 }, blobs) => {
  return await digestOf(await blobs.read({ id: blobId, size })) === sha256 ? undefined : 'wrong_digest'
}

/** A read error is a finding, and must not end the check. A store that can't be reached ends it. */
function faultOf (error: unknown): Fault {
  if (!(error instanceof Problem)) return 'unreadable'
  if (error.code === 'unavailable') throw error
  const { code } = error.cause as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'missing'
  return code === undefined ? 'wrong_size' : 'unreadable'
}

async function * findOrphans (
  { metadata, blobs }: Stores, onSearch?: (done: number) => void
): AsyncGenerator<Inconsistency> {
  let done = 0
  for await (const ids of batchesOf(blobs.list())) {
    // After they were listed, because the metadata of a committed blob is written first.
    const referenced = await metadata.blobs.findReferenced(ids)
    for (const blobId of ids) {
      // A blob that was discarded since it was listed is no longer referenced, and no longer there.
      if (!referenced.has(blobId) && await blobs.has(blobId)) yield { kind: 'orphan', blobId }
    }
    done += ids.length
    onSearch?.(done)
  }
}

async function * batchesOf (ids: AsyncIterable<string>): AsyncGenerator<string[]> {
  let batch: string[] = []
  for await (const id of ids) {
    if (batch.push(id) < BATCH) continue
    yield batch
    batch = []
  }
  yield batch
}
