import type { Room } from '../blobs/blob-store.ts'
import { type LinkRoom, refuseAnnounced, refuseBeyondRoom } from '../metadata/link-records.ts'
import type { AccountRecord, Amount } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import type { Uploader } from './uploader.ts'

/** Where less than double the space is free, housekeeping deletes what is kept: visitors must not cause that. */
const FOR_VISITORS: Room = { leavesDouble: true }

/** The most bytes that an upload may have. `refuse` throws why it may have no more; `cause` is `file_too_large`. */
export interface UploadLimit { readonly bytes: number, readonly refuse: (cause: Problem) => Promise<never> | never }

export type UploadSpace = ReturnType<typeof createUploadSpace>

/**
 * The space for uploads, on the disk and by the quota of an owner or the limits of a link. Kept content is deleted for
 * uploads of the owner, never for those by a link. This is an early check; the transaction decides.
 */
export function createUploadSpace ({ metadata, blobs, room, quotas, limits }: Pick<AppServices, 'blobs' | 'room' | 'quotas'> & {
  readonly metadata: Pick<AppServices['metadata'], 'links'>
  readonly limits: { readonly maxFileBytes: number }
}) {
  async function limitByQuota (owner: AccountRecord, ownBytes: number): Promise<UploadLimit> {
    const bytes = Math.max(ownBytes, await quotas.availableBytes(owner, ownBytes))
    const detail = `The quota leaves ${bytes} bytes for this file.`
    return { bytes, refuse (cause) { throw new Problem('quota_exceeded', { detail, cause }) } }
  }

  function roomOf ({ owner, linkId }: Uploader & { linkId: number }): Promise<LinkRoom> {
    return metadata.links.room(owner.id, linkId, quotas.of(owner))
  }

  return {
    /** @throws quota_exceeded, link_limit_reached, not_found if the link has ended. */
    async check ({ owner, linkId }: Uploader, added: Amount): Promise<void> {
      if (linkId === null) return quotas.check(owner, added)
      refuseAnnounced(await roomOf({ owner, linkId }), added)
    },

    /** Checks that so many bytes could be stored. @throws storage_full. */
    async requireDisk ({ linkId }: Uploader, bytes: number): Promise<void> {
      await (linkId === null ? room.requireSpace(bytes) : blobs.requireSpace(bytes, FOR_VISITORS))
    },

    /**
     * The limit of an upload, of which `ownBytes` are counted already: so many always fit. `announcedBytes`: by a link,
     * the bytes that the link counts.
     * @throws not_found.
     */
    async limitOf ({ owner, linkId }: Uploader, ownBytes: number, announcedBytes = ownBytes): Promise<UploadLimit> {
      const { maxFileBytes } = limits
      const limit = linkId === null
        ? await limitByQuota(owner, ownBytes)
        : limitBy(await roomOf({ owner, linkId }), { arrived: ownBytes, announced: announcedBytes })
      return limit.bytes < maxFileBytes ? limit : { bytes: maxFileBytes, refuse (cause) { throw cause } }
    },

    /** Which space the store of the bytes may take. */
    roomFor ({ owner, linkId }: Uploader): Room {
      return linkId === null ? { makeRoom: room.makerFor(owner.id) } : FOR_VISITORS
    },

    /** Runs `work`, which records an upload. @throws storage_full, and what `work` throws. */
    record<T> ({ owner, linkId }: Uploader, work: () => Promise<T>): Promise<T> {
      return linkId === null ? room.withRoom(owner.id, work) : work()
    }
  }
}

/** `announced` and `arrived`: the bytes of the upload that its link and its owner count already. */
function limitBy (room: LinkRoom, { announced, arrived }: { announced: number, arrived: number }): UploadLimit {
  const bytes = Math.min(announced + room.link.bytes, arrived + room.owner.bytes)
  return {
    bytes,
    refuse (cause) {
      refuseBeyondRoom(room, { files: 0, bytes: bytes + 1 - announced }, { files: 0, bytes: bytes + 1 - arrived })
      throw cause
    }
  }
}
