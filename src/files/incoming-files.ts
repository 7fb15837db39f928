import type { Metadata } from '../metadata/metadata.ts'
import type { FileRecord, NewFile } from '../metadata/records.ts'
import { Problem, refuseSize } from '../problems.ts'
import type { AppServices } from '../services.ts'
import type { IncomingBlobs } from './incoming-blobs.ts'
import { type IncomingFile, type StoreRequest, uploaderOf } from './incoming-file.ts'
import { mediaTypeOf } from './media-type.ts'
import { extensionOf, fileName, segmentName } from './names.ts'
import type { UploadSpace } from './upload-space.ts'
import type { Uploader } from './uploader.ts'

export type IncomingFiles = ReturnType<typeof createIncomingFiles>

/** Files whose bytes are arriving, and that no record refers to yet. */
export function createIncomingFiles ({ metadata, blobs, incoming, space, limits }: Pick<AppServices, 'metadata' | 'blobs'> & {
  readonly incoming: IncomingBlobs
  readonly space: UploadSpace
  readonly limits: Pick<AppServices['config'], 'maxFileBytes' | 'allowedExtensions'>
}) {
  /** The name of a new file, as it is stored; by a link, one segment. @throws name_invalid, extension_not_allowed. */
  function acceptName (text: string, { linkId }: Pick<Uploader, 'linkId'> = { linkId: null }): string {
    const name = linkId === null ? fileName(text) : segmentName(text)
    const { allowedExtensions } = limits
    if (allowedExtensions !== undefined && !allowedExtensions.includes(extensionOf(name))) {
      throw new Problem('extension_not_allowed', { detail: `Allowed are: ${allowedExtensions.join(', ')}.` })
    }
    return name
  }

  /** Refuses what can't be stored as announced, before the body is read. Returns the file to be replaced, if known. */
  async function checkAnnounced (request: StoreRequest): Promise<FileRecord | undefined> {
    const { files } = metadata
    const { owner, upload } = request
    const { minBytes, maxBytes } = upload
    const uploader = uploaderOf(request)
    if (request.mode === 'link') {
      if ('name' in upload) acceptName(upload.name, uploader)
      await checkLimits(uploader, minBytes, { newFolders: 0 })
      return undefined
    }
    if ('folder' in upload) {
      // The file may be a retry of one that is stored, which succeeds even if the quota is used up.
      const isRetry = await files.hasOfSize(owner.id, { folder: upload.folder, minBytes, maxBytes })
      if (!isRetry) await checkLimits(uploader, minBytes, { newFolders: 0 })
      return undefined
    }
    const conditions = request.mode === 'put' ? request.precondition : {}
    const { lockedUntil } = owner
    const place = await files.findPlace(owner.id, acceptName(upload.name), { conditions, lockedUntil })
    await checkLimits(uploader, minBytes, place)
    return fileAt(place)
  }

  async function checkLimits (uploader: Uploader, size: number, place: Place): Promise<void> {
    const { maxFileBytes } = limits
    if (size > maxFileBytes) refuseSize(maxFileBytes)
    const added = 'newFolders' in place
      ? { bytes: size, files: place.newFolders + 1 }
      : { bytes: size - place.size, files: 0 }
    await space.check(uploader, added)
    await space.requireDisk(uploader, size)
  }

  async function receiveFile (
    request: StoreRequest, { name: text, type, bytes }: IncomingFile, announced: FileRecord | undefined
  ): Promise<Omit<NewFile, 'modifiedAt'>> {
    const { owner, upload, mode } = request
    const uploader = uploaderOf(request)
    const name = acceptName(text, uploader)
    const isUnknown = 'folder' in upload && mode !== 'link'
    const current = isUnknown ? fileAt(await metadata.files.findPlace(owner.id, name)) : announced
    // The same size as that of the file always fits, for retries.
    const limit = await space.limitOf(uploader, current?.size ?? 0)
    const options = { maxBytes: limit.bytes, ...space.roomFor(uploader) }
    try {
      const { id: blobId, size, sha256 } = await incoming.put(bytes, options)
      return {
        ownerId: owner.id, name, type: mediaTypeOf(name, type), blobId, isLeased: blobs.needsLeases, size, sha256
      }
    } catch (error) {
      if (error instanceof Problem && error.code === 'file_too_large') return limit.refuse(error)
      throw error
    }
  }

  return {
    acceptName,

    /**
     * Checks what is announced, and reads the bytes to stable storage. If anything fails, nothing is stored.
     * @throws as `Files.store`, but for what the transaction decides.
     */
    async receive (request: StoreRequest): Promise<NewFile> {
      const current = await checkAnnounced(request)
      const received: Omit<NewFile, 'modifiedAt'>[] = []
      try {
        await request.upload.read(async file => { received.push(await receiveFile(request, file, current)) })
      } catch (error) {
        for (const { blobId } of received) await incoming.discard(blobId)
        throw error
      }
      const [file] = received as [Omit<NewFile, 'modifiedAt'>]
      return { ...file, modifiedAt: request.upload.modifiedAt?.() ?? null }
    }
  }
}

/** The file of a name, or how many folders would be made for it. */
type Place = Awaited<ReturnType<Metadata['files']['findPlace']>>

/** The file of the name; undefined if there is none. */
export function fileAt (place: Place): FileRecord | undefined {
  return 'newFolders' in place ? undefined : place
}
