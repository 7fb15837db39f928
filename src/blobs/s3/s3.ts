import { rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import {
  DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command,
  paginateListObjectsV2, PutObjectCommand
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { StorageUrl } from '../../config/storage-url.ts'
import { isLinked, writeDurably } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import { type BlobStore, type Piece, type ReadBlob, wholeOf } from '../blob-store.ts'
import { appendBytes, putBytes, Writes, createBlobId } from '../blob-writer.ts'
import { finishDraft } from './assembly.ts'
import { type Bucket, createBucket } from './bucket.ts'
import { copyBlob, copyObject } from './copy.ts'
import { checkObject, readPieces, readWhole } from './download.ts'
import { partsOf } from './draft-state.ts'
import { failAsUnavailable, failAsUnusable, ignoreMissing } from './failures.ts'
import { ObjectWriter } from './object-writer.ts'
import { MAX_OBJECT_BYTES } from './parts.ts'
import { removeObjects } from './removal.ts'

/** How a store refuses to copy an object of more than 5 GiB in one request. */
const TOO_LARGE = new Set(['InvalidRequest', 'EntityTooLarge'])

interface S3BlobsOptions {
  url: StorageUrl
  /** How long the bytes of a discarded blob are kept for readers, which may be in other processes. */
  graceSeconds: number
  /** How long a request waits for the store before it is sent again. */
  idleMilliseconds: number
  /** Memory in which all uploads together collect their parts. */
  partMemoryBytes: number
  /** How many bytes of an append arrive before they are saved. Default: 64 MiB. */
  saveBytes?: number
}

/** Opens the blobs in a bucket. @throws {ConfigError} or {OperatorError} with the reason if it can't be used. */
export async function openS3Blobs (options: S3BlobsOptions): Promise<BlobStore> {
  const bucket = createBucket(options)
  await checkRights(bucket).catch((error: unknown) => {
    bucket.close()
    failAsUnusable(error, bucket.place)
  })
  return createS3Blobs(bucket, options)
}

/**
 * Blobs as objects in a bucket, named `<prefix><first two digits>/<id>`, without any metadata. An object appears when
 * all of its bytes are stored. Only the database knows whether a file refers to it, so that the caller needs leases.
 */
function createS3Blobs (
  bucket: Bucket, { graceSeconds, saveBytes }: Pick<S3BlobsOptions, 'graceSeconds' | 'saveBytes'>
): BlobStore {
  const { requests, name: Bucket, prefix } = bucket
  const writes = new Writes()
  const target = (id: string) => bucket.at(bucket.keyOf(id))
  const markTarget = (name: string) => bucket.at(`${prefix}installations/${name}`)

  function read ({ id, size, sha256 }: ReadBlob, pieces?: readonly Piece[]): Promise<Readable | Buffer> {
    const key = bucket.keyOf(id)
    return pieces === undefined && sha256 !== undefined
      ? readWhole(bucket, { key, size, sha256 })
      : readPieces(bucket, { key, size }, pieces ?? wholeOf(size))
  }

  return {
    needsLeases: true,
    graceSeconds,
    read,

    async * put (id, bytes, options) {
      const maxBytes = Math.min(options.maxBytes, MAX_OBJECT_BYTES)
      const writer = new ObjectWriter(bucket, id, { maxBytes })
      return { id, ...yield * writes.run(putBytes(writer, bytes, maxBytes)) }
    },

    // The lease ends with the commit of the metadata; the object stays as it is.
    commit () {},

    has: id => checkExists(bucket, new HeadObjectCommand(target(id))),
    check: (id, size) => checkObject(bucket, { key: bucket.keyOf(id), size }),
    remove: ids => removeObjects(bucket, ids),

    async * list () {
      for await (const { Contents = [] } of paginateListObjectsV2({ client: requests }, { Bucket, Prefix: prefix })) {
        yield * Contents.map(({ Key = '' }) => bucket.idOf(Key)).filter(id => id !== undefined)
      }
    },

    probe: () => probe(bucket).catch(failAsUnavailable),

    async close () {
      await writes.settled()
      bucket.close()
    },

    drafts: {
      partsOf,
      append (id, draft, bytes, options) {
        const maxBytes = Math.min(options.maxBytes, MAX_OBJECT_BYTES)
        const writer = new ObjectWriter(bucket, id, { maxBytes, draft })
        return writes.run(appendBytes(writer, bytes, { ...options, draft, maxBytes, saveBytes }))
      },
      finish: (id, draft) => writes.track(finishDraft(bucket, id, draft))
    },

    copies: {
      async * copy ({ id: from, size }, id) {
        await writes.track(copyBlob(bucket, { source: { key: bucket.keyOf(from), size }, id }))
      },

      async copyTo ({ id, size, sha256 }, path, equal) {
        if (equal !== undefined && await isLinked(equal, path)) return 'linked'
        const bytes = await read({ id, size })
        const copied = await writeDurably(path, Buffer.isBuffer(bytes) ? [bytes] : bytes)
        if (copied.sha256 === sha256) return 'copied'
        await rm(path)
        throw new Problem('file_damaged', { cause: new Error(`blob ${id} has other bytes than recorded`) })
      }
    },

    /** Marks are objects named `<prefix>installations/<mark>`. There are few. */
    marks: {
      async list () {
        const { Key: Prefix } = markTarget('')
        const command = new ListObjectsV2Command({ Bucket, Prefix })
        const { Contents = [] } = await requests.send(command).catch(failAsUnavailable)
        return Contents.map(({ Key = '' }) => Key.slice(Prefix.length))
      },

      async add (name) {
        const command = new PutObjectCommand({ ...markTarget(name), Body: Buffer.from(name) })
        await requests.send(command).catch(failAsUnavailable)
      },

      async remove (name) {
        await requests.send(new DeleteObjectCommand(markTarget(name))).catch(failAsUnavailable)
      }
    },

    /**
     * Moves an object to `<prefix>quarantine/<id>`. False for one of more than 5 GiB: a copy in parts would need its
     * own recovery, for what hardly ever occurs.
     */
    async quarantine (id) {
      const found = target(id)
      try {
        await copyObject(bucket, found.Key, `${prefix}quarantine/${id}`)
        await requests.send(new DeleteObjectCommand(found)).catch(failAsUnavailable)
        return true
      } catch (error) {
        const { code, cause } = error as Problem
        if (code === 'file_damaged') return true
        if (TOO_LARGE.has((cause as Error).name)) return false
        throw error
      }
    },

    /** A URL of an object, with a signature that covers the headers of the response too. Sends no request. */
    presign (id, { seconds, type, disposition }) {
      const command = new GetObjectCommand({
        ...target(id),
        ResponseContentType: type,
        ResponseContentDisposition: disposition,
        ResponseCacheControl: 'private, no-cache'
      })
      return getSignedUrl(bucket.downloads, command, { expiresIn: seconds })
    },

    watchRequests: bucket.watch
  }
}

async function checkExists ({ requests }: Bucket, command: HeadObjectCommand | GetObjectCommand): Promise<boolean> {
  return requests.send(command as HeadObjectCommand).then(() => true, failAsUnavailable).catch((error: unknown) => {
    ignoreMissing(error)
    return false
  })
}

/** An object that is written and removed to check that the bucket can be written to. */
async function probe ({ requests, prefix, at }: Bucket): Promise<void> {
  const target = at(`${prefix}probe`)
  await requests.send(new PutObjectCommand({ ...target, Body: Buffer.from('probe') }))
  await requests.send(new DeleteObjectCommand(target))
}

/** Sends a request of each kind. Listing comes first: its errors name the bucket and the credentials. */
async function checkRights (bucket: Bucket): Promise<void> {
  const { requests, name: Bucket, prefix: Prefix } = bucket
  await requests.config.region().catch((cause: unknown) => {
    throw Object.assign(new Error('the region is missing', { cause }), { name: 'RegionMissing' })
  })
  await requests.send(new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: 1 }))
  await requests.send(new ListMultipartUploadsCommand({ Bucket, Prefix, MaxUploads: 1 }))
  // An answer to HEAD would not tell why it was refused.
  await checkExists(bucket, new GetObjectCommand(bucket.at(bucket.keyOf(createBlobId()))))
  await probe(bucket)
}
