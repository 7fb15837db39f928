import { rm } from 'node:fs/promises'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  paginateListObjectsV2,
  PutObjectCommand
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { StorageUrl } from '../../config/storage-url.ts'
import { writeDurably } from '../../data-folder/durable-files.ts'
import { Problem } from '../../problems.ts'
import { type AppendOptions, type BlobStore, createBlobId, type Draft, type Presigned, type PutOptions, type StoredBlob } from '../blob-store.ts'
import { appendBytes, putBytes } from '../blob-writer.ts'
import { finishDraft } from './assembly.ts'
import { openBucket, type Bucket } from './bucket.ts'
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
}

/**
 * Blobs as objects in a bucket, named `<prefix><first two digits>/<id>`, without any metadata. An object appears when all of its
 * bytes are stored. Whether a file refers to it is known to the database only, so that the caller needs leases.
 * @throws {ConfigError} or {OperatorError} with the reason if the bucket can't be used.
 */
export async function openS3Blobs ({ graceSeconds, ...options }: S3BlobsOptions): Promise<BlobStore> {
  const bucket = openBucket(options)
  const writing = new Set<Promise<unknown>>()
  await checkRights(bucket).catch((error: unknown) => {
    bucket.close()
    failAsUnusable(error, bucket.place)
  })

  async function copyTo ({ id, size, sha256 }: StoredBlob, path: string): Promise<'copied'> {
    const bytes = await readPieces(bucket, { key: bucket.keyOf(id), size }, [{ start: 0, end: size - 1 }])
    const copied = await writeDurably(path, Buffer.isBuffer(bytes) ? [bytes] : bytes)
    if (copied.sha256 === sha256) return 'copied'
    await rm(path)
    throw new Problem('file_damaged', { cause: new Error(`blob ${id} has other bytes than recorded`) })
  }

  async function put (id: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob> {
    const maxBytes = Math.min(options.maxBytes, MAX_OBJECT_BYTES)
    return { id, ...await putBytes(new ObjectWriter(bucket, id, { maxBytes }), bytes, maxBytes) }
  }

  async function append (id: string, draft: Draft, bytes: AsyncIterable<Uint8Array>, options: AppendOptions): Promise<Draft> {
    const maxBytes = Math.min(options.maxBytes, MAX_OBJECT_BYTES)
    return appendBytes(new ObjectWriter(bucket, id, { maxBytes, draft, save: options.save }), bytes, { ...options, draft, maxBytes })
  }

  function counted<T> (writes: Promise<T>): Promise<T> {
    writing.add(writes)
    return writes.finally(() => writing.delete(writes))
  }

  return {
    needsLeases: true,

    graceSeconds,

    put: (id, bytes, options) => counted(put(id, bytes, options)),

    append: (id, draft, bytes, options) => counted(append(id, draft, bytes, options)),

    finish: (id, draft) => counted(finishDraft(bucket, id, draft)),

    partsOf,

    // A bucket has no limit that could be asked for.
    requireSpace: async () => {},

    // The lease ends with the commit of the metadata; the object stays as it is.
    commit: () => {},

    check: (id, size) => checkObject(bucket, { key: bucket.keyOf(id), size }),

    read: (id, size, pieces) => readPieces(bucket, { key: bucket.keyOf(id), size }, pieces),

    readWhole: ({ id, ...content }) => readWhole(bucket, { key: bucket.keyOf(id), ...content }),

    copyTo,

    remove: ids => removeObjects(bucket, ids),

    pending: async () => [],

    async * committed () {
      const pages = paginateListObjectsV2({ client: bucket.requests }, { Bucket: bucket.name, Prefix: bucket.prefix })
      for await (const { Contents = [] } of pages) {
        for (const { Key = '' } of Contents) {
          const id = bucket.idOf(Key)
          if (id !== undefined) yield id
        }
      }
    },

    has: id => checkExists(bucket, new HeadObjectCommand({ Bucket: bucket.name, Key: bucket.keyOf(id) })),

    ...createMarks(bucket),

    quarantine: id => quarantineObject(bucket, id),

    presign: (id, options) => presignObject(bucket, bucket.keyOf(id), options),

    probe: () => probe(bucket).catch(failAsUnavailable),

    watchRequests: bucket.watch,

    async close () {
      await Promise.allSettled(writing)
      bucket.close()
    }
  }
}

async function checkExists ({ requests }: Bucket, command: HeadObjectCommand | GetObjectCommand): Promise<boolean> {
  return requests.send(command as HeadObjectCommand).then(() => true, failAsUnavailable).catch((error: unknown) => {
    ignoreMissing(error)
    return false
  })
}

/** Marks as objects named `<prefix>installations/<mark>`. There are few. */
function createMarks ({ requests, name: Bucket, prefix }: Bucket): Pick<BlobStore, 'marks' | 'mark' | 'unmark'> {
  const Prefix = `${prefix}installations/`

  return {
    async marks () {
      const { Contents = [] } = await requests.send(new ListObjectsV2Command({ Bucket, Prefix })).catch(failAsUnavailable)
      return Contents.map(({ Key = '' }) => Key.slice(Prefix.length))
    },

    async mark (name) {
      await requests.send(new PutObjectCommand({ Bucket, Key: Prefix + name, Body: Buffer.from(name) })).catch(failAsUnavailable)
    },

    async unmark (name) {
      await requests.send(new DeleteObjectCommand({ Bucket, Key: Prefix + name })).catch(failAsUnavailable)
    }
  }
}

/**
 * Moves an object to `<prefix>quarantine/<id>`. False for one of more than 5 GiB: a copy in parts would need its own recovery, for what
 * hardly ever occurs.
 */
async function quarantineObject ({ requests, name: Bucket, prefix, keyOf }: Bucket, id: string): Promise<boolean> {
  try {
    const CopySource = `${Bucket}/${keyOf(id)}`
    await requests.send(new CopyObjectCommand({ Bucket, Key: `${prefix}quarantine/${id}`, CopySource })).catch(failAsUnavailable)
    await requests.send(new DeleteObjectCommand({ Bucket, Key: keyOf(id) })).catch(failAsUnavailable)
    return true
  } catch (error) {
    const { code, cause } = error as Problem
    if (code === 'file_damaged') return true
    if (TOO_LARGE.has((cause as Error).name)) return false
    throw error
  }
}

/** A URL of an object, with a signature that covers the headers of the response too. Sends no request. */
async function presignObject (bucket: Bucket, key: string, { seconds, type, disposition }: Presigned): Promise<string> {
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: key,
    ResponseContentType: type,
    ResponseContentDisposition: disposition,
    ResponseCacheControl: 'private, no-cache'
  })
  return getSignedUrl(bucket.downloads, command, { expiresIn: seconds })
}

/** An object that is written and removed to check that the bucket can be written to. */
async function probe ({ requests, name, prefix }: Bucket): Promise<void> {
  const target = { Bucket: name, Key: `${prefix}probe` }
  await requests.send(new PutObjectCommand({ ...target, Body: Buffer.from('probe') }))
  await requests.send(new DeleteObjectCommand(target))
}

/** Sends a request of each kind. Listing comes first: its errors name the bucket and the credentials. */
async function checkRights (bucket: Bucket): Promise<void> {
  const { requests, name: Bucket, prefix: Prefix } = bucket
  await requests.config.region().catch((cause: unknown) => { throw Object.assign(new Error('the region is missing', { cause }), { name: 'RegionMissing' }) })
  await requests.send(new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: 1 }))
  await requests.send(new ListMultipartUploadsCommand({ Bucket, Prefix, MaxUploads: 1 }))
  // An answer to HEAD would not tell why it was refused.
  await checkExists(bucket, new GetObjectCommand({ Bucket, Key: bucket.keyOf(createBlobId()) }))
  await probe(bucket)
}
