import { isBlobId } from '../blobs/blob-writer.ts'
import type { Conditions, EntryChange } from '../metadata/conditions.ts'
import type { AccountRecord, FileRecord, NewFile } from '../metadata/records.ts'
import type { StoreResult } from '../metadata/upload-records.ts'
import { Problem, refuseSize } from '../problems.ts'
import type { AppServices } from '../services.ts'
import type { IncomingFile, StoreRequest, Uploader } from './incoming-file.ts'
import { extensionOf, fileName, getName, mediaTypeOf, segmentName } from './names.ts'
import type { Allowance } from './space.ts'

/** A stored file. `requestedName`: by a link, the file may have another. */
interface Stored extends StoreResult { readonly requestedName: string }

/** A file whose bytes have been read. Its time may follow them in the body. */
type ReceivedFile = Omit<NewFile, 'modifiedAt'>

export type Files = ReturnType<typeof createFiles>

/** The ownership rule: every method takes the owner, and files of other accounts do not exist. */
export function createFiles ({ metadata, blobs, incoming, space, linkUses, config }:
Pick<AppServices, 'metadata' | 'blobs' | 'incoming' | 'space' | 'linkUses'> & {
  readonly config: Pick<AppServices['config'], 'maxFileBytes' | 'allowedExtensions'>
}) {
  const { maxFileBytes, allowedExtensions } = config

  /** The name of a new file, as it is stored; by a link, one segment. @throws name_invalid, extension_not_allowed. */
  function acceptName (
    text: string, { linkId, onlyName = null }: Pick<Uploader, 'linkId' | 'onlyName'> = { linkId: null }
  ): string {
    const name = linkId === null ? fileName(text) : segmentName(text)
    if (onlyName !== null && name !== onlyName) {
      throw new Problem('name_invalid', { detail: `The link accepts only the name ${onlyName}.` })
    }
    if (allowedExtensions !== undefined && !allowedExtensions.includes(extensionOf(name))) {
      throw new Problem('extension_not_allowed', {
        detail: `Allowed are: ${allowedExtensions.join(', ')}.`, members: { extensions: allowedExtensions }
      })
    }
    return name
  }

  /** @throws not_found. */
  async function get (ownerId: number, name: string): Promise<FileRecord> {
    const file = await metadata.files.find(ownerId, getName(name))
    if (file === undefined) throw new Problem('not_found')
    return file
  }

  /** Refuses what can't be stored as announced, before the body is read. Returns the file to be replaced, if known. */
  async function admit (
    { uploader, upload, put }: StoreRequest, allowance: Allowance
  ): Promise<FileRecord | undefined> {
    const { owner, linkId } = uploader
    const { minBytes, maxBytes } = upload
    let file: FileRecord | undefined
    let newFolders = 0
    if ('name' in upload) {
      const name = acceptName(upload.name, uploader)
      const announced = { conditions: put?.conditions ?? {}, lockedUntil: owner.lockedUntil }
      // By a link, a free name is found at the end.
      if (linkId === null) ({ file, newFolders } = await metadata.files.findPlace(owner.id, name, announced))
    } else if (linkId === null) {
      // The file may be a retry of one that is stored, which succeeds even if the quota is used up.
      if (await metadata.files.hasOfSize(owner.id, { folder: upload.folder, minBytes, maxBytes })) return undefined
    }
    if (minBytes > maxFileBytes) refuseSize(maxFileBytes)
    await allowance.check(file === undefined
      ? { bytes: minBytes, files: newFolders + 1 }
      : { bytes: minBytes - file.size, files: 0 })
    await allowance.requireDisk(minBytes)
    return file
  }

  /** Reads the bytes of a file to stable storage. */
  async function receive (
    { uploader, upload }: StoreRequest, { name: text, type, bytes, source }: IncomingFile,
    { allowance, announced }: { allowance: Allowance, announced: FileRecord | undefined }
  ): Promise<ReceivedFile> {
    const { owner, linkId } = uploader
    const name = acceptName(text, uploader)
    const isUnknown = 'folder' in upload && linkId === null
    const current = isUnknown ? (await metadata.files.findPlace(owner.id, name)).file : announced
    // The same size as that of the file always fits, for retries.
    const limit = await allowance.limitOf(current?.size ?? 0)
    try {
      const { id: blobId, size, sha256 } = await incoming.put(bytes, {
        maxBytes: limit.bytes, source, ...allowance.disk
      })
      const isLeased = blobs.needsLeases
      return { ownerId: owner.id, name, type: mediaTypeOf(name, type), blobId, isLeased, size, sha256 }
    } catch (error) {
      if (error instanceof Problem && error.code === 'file_too_large') return limit.refuse(error)
      throw error
    }
  }

  return {
    acceptName,
    get,

    /**
     * Stores an upload: checks what is announced, reads the bytes to stable storage, then records the file. If anything
     * fails, nothing is stored. Creating a file that exists with the same bytes returns that file.
     * @throws name_invalid, extension_not_allowed, file_too_large, quota_exceeded, link_limit_reached, storage_full,
     * name_taken, precondition_failed, file_locked, not_found if the account was deleted or the link ended meanwhile,
     * and what the upload throws.
     */
    async store (request: StoreRequest): Promise<Stored> {
      const { uploader: { owner, linkId, onlyName = null }, upload, put } = request
      const allowance = space.of(request.uploader)
      const announced = await admit(request, allowance)
      const received: ReceivedFile[] = []
      try {
        for await (const file of upload.read()) received.push(await receive(request, file, { allowance, announced }))
      } catch (error) {
        for (const { blobId } of received) await incoming.discard(blobId)
        throw error
      }
      const [only] = received as [ReceivedFile]
      const file = { ...only, modifiedAt: upload.modifiedAt?.() ?? null }
      const quota = space.quotaOf(owner)
      const record = async () => {
        if (linkId !== null) return metadata.links.store(linkId, file, quota)
        return put === undefined
          ? metadata.files.add(file, quota)
          : metadata.files.put(file, quota, put.conditions, put.lock)
      }
      const stored = await incoming.commitWith(file.blobId, allowance.record(record))
      if (linkId !== null && onlyName === null) linkUses.add(linkId, stored.file.createdAt)
      return { ...stored, requestedName: file.name }
    },

    /**
     * A version as a file: its content is that of the version, and so is the date.
     * @throws not_found.
     */
    async getVersion (ownerId: number, name: string, id: string): Promise<FileRecord> {
      const found = isBlobId(id) ? await metadata.versions.find(ownerId, getName(name), id) : undefined
      if (found === undefined) throw new Problem('not_found')
      const { file, version: { size, type, sha256, storedAt, modifiedAt } } = found
      return { ...file, size, type, sha256, storedAt, modifiedAt, blobId: id, updatedAt: storedAt }
    },

    /**
     * Renames or moves a file.
     * @throws not_found, name_invalid, extension_not_allowed, name_taken, quota_exceeded, and as its destination says.
     */
    async rename (
      owner: AccountRecord, name: string, newName: string | undefined, change: EntryChange = {}
    ): Promise<FileRecord> {
      const file = await get(owner.id, name)
      const accepted = newName === undefined ? file.name : acceptName(newName)
      return metadata.files.rename(owner.id, file.name, accepted, space.quotaOf(owner), change)
    },

    /**
     * Moves a file with its versions to the trash, or deletes them for good.
     * @throws not_found, precondition_failed, file_locked.
     */
    async remove (
      ownerId: number, name: string, removal: { precondition: Conditions, isPermanent: boolean }
    ): Promise<void> {
      // Checked first: a transaction waits for other writers and empties the row cache, even if it changes nothing.
      const file = await get(ownerId, name)
      await metadata.files.remove(ownerId, file.name, removal)
    }
  }
}
