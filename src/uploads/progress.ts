import type { BlobStore, Draft, Reserve } from '../blobs/blob-store.ts'
import type { DiskRoom } from '../files/disk-room.ts'
import type { Quotas } from '../files/quotas.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { UploadChange, UploadProgress, UploadRecord } from '../metadata/uploads-repository.ts'
import { Problem } from '../problems.ts'

/** What is recorded of an upload while its bytes arrive, and whether more follow in this request. */
export interface SavedProgress extends UploadProgress { readonly isAppending: boolean }

/** Records what has arrived. @throws upload_taken_over, not_found, quota_exceeded, storage_full. */
export type SaveProgress = (owner: AccountRecord, upload: UploadRecord, progress: SavedProgress) => Promise<void>

/** Problems of a request whose upload another process has taken over, completed or cancelled. */
const SUPERSEDED = ['upload_taken_over', 'not_found']

interface ProgressOptions {
  metadata: Pick<Metadata, 'uploads'>
  blobs: Pick<BlobStore, 'dropUnsaved'>
  reserve: Reserve
  room: Pick<DiskRoom, 'withRoom'>
  quotas: Quotas
  changeOf: (upload: UploadRecord, progress: UploadProgress) => UploadChange
}

export function createSaveProgress ({ metadata, blobs, reserve, room, quotas, changeOf }: ProgressOptions): SaveProgress {
  /** Reads the upload again: the answer to an earlier attempt to save may have been lost, and then these bytes are in use. */
  async function dropUnsaved (owner: AccountRecord, { id, blobId }: UploadRecord, draft: Draft): Promise<void> {
    const current = await metadata.uploads.find(owner.id, id)
    await blobs.dropUnsaved?.(blobId, draft, current && { size: current.offset, state: current.state })
  }

  return async (owner, upload, { isAppending, ...progress }) => {
    const record = () => metadata.uploads.save(changeOf(upload, progress), { isAppending, quota: quotas.of(owner) })
    // What has arrived is saved also on a full disk.
    await reserve.withSpace(() => room.withRoom(owner.id, record)).catch(async (error: unknown) => {
      if (error instanceof Problem && SUPERSEDED.includes(error.code)) await dropUnsaved(owner, upload, { size: progress.offset, state: progress.state }).catch(() => {})
      throw error
    })
  }
}
