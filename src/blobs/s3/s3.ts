import { rm } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import {
  DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command,
  paginateListObjectsV2, PutObjectCommand
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { StorageUrl } from '../../config/storage-url.ts'
import { isLinked, writeDurably } from '../../data-folder/durable-files.ts'
import type { RequestObserver } from '../../monitoring/request-observer.ts'
import { Problem } from '../../problems.ts'
import { createBlobId } from '../blob-store.ts'
import type { AppendOptions, BlobStore, Draft, Piece, Presigned, PutOptions, StoredBlob } from '../blob-store.ts'
import { appendBytes, putBytes } from '../blob-writer.ts'
import { finishDraft } from './assembly.ts'
import { Bucket } from './bucket.ts'
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
export async function openS3Blobs ({ graceSeconds, saveBytes, ...options }: S3BlobsOptions): Promise<BlobStore> {
  const bucket = new Bucket(options)
  await checkRights(bucket).catch((error: unknown) => {
    bucket.close()
    failAsUnusable(error, bucket.place)
  })
  return new S3Blobs(bucket, graceSeconds, saveBytes)
}

/**
 * Blobs as objects in a bucket, named `<prefix><first two digits>/<id>`, without any metadata. An object appears when
 * all of its bytes are stored. Only the database knows whether a file refers to it, so that the caller needs leases.
 */
class S3Blobs implements BlobStore {
  readonly needsLeases = true
  readonly graceSeconds: number
  readonly partsOf = partsOf
  readonly #bucket: Bucket
  readonly #saveBytes: number | undefined
  readonly #writing = new Set<Promise<unknown>>()

  constructor (bucket: Bucket, graceSeconds: number, saveBytes: number | undefined) {
    this.#bucket = bucket
    this.graceSeconds = graceSeconds
    this.#saveBytes = saveBytes
  }

  async put (id: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<StoredBlob> {
    const maxBytes = Math.min(options.maxBytes, MAX_OBJECT_BYTES)
    const writer = new ObjectWriter(this.#bucket, id, { maxBytes })
    return this.#counted(putBytes(writer, bytes, maxBytes).then(stored => ({ id, ...stored })))
  }

  async append (id: string, draft: Draft, bytes: AsyncIterable<Uint8Array>, options: AppendOptions): Promise<Draft> {
    const maxBytes = Math.min(options.maxBytes, MAX_OBJECT_BYTES)
    const writer = new ObjectWriter(this.#bucket, id, { maxBytes, draft, save: options.save })
    return this.#counted(appendBytes(writer, bytes, { ...options, draft, maxBytes, saveBytes: this.#saveBytes }))
  }

  finish (id: string, draft: Draft): Promise<void> {
    return this.#counted(finishDraft(this.#bucket, id, draft))
  }

  /** A bucket has no limit that could be asked for. */
  async requireSpace (): Promise<void> {}

  /** The lease ends with the commit of the metadata; the object stays as it is. */
  commit (): void {}

  check (id: string, size: number): Promise<void> {
    return checkObject(this.#bucket, { key: this.#bucket.keyOf(id), size })
  }

  read (id: string, size: number, pieces: readonly Piece[]): Promise<Readable | Buffer> {
    return readPieces(this.#bucket, { key: this.#bucket.keyOf(id), size }, pieces)
  }

  readWhole ({ id, ...content }: StoredBlob): Promise<Readable | Buffer> {
    return readWhole(this.#bucket, { key: this.#bucket.keyOf(id), ...content })
  }

  copy ({ id: from, size }: StoredBlob, id: string): Promise<void> {
    return this.#counted(copyBlob(this.#bucket, { source: { key: this.#bucket.keyOf(from), size }, id }))
  }

  async copyTo ({ id, size, sha256 }: StoredBlob, path: string, equal?: string): Promise<'linked' | 'copied'> {
    if (equal !== undefined && await isLinked(equal, path)) return 'linked'
    const bytes = await this.read(id, size, [{ start: 0, end: size - 1 }])
    const copied = await writeDurably(path, Buffer.isBuffer(bytes) ? [bytes] : bytes)
    if (copied.sha256 === sha256) return 'copied'
    await rm(path)
    throw new Problem('file_damaged', { cause: new Error(`blob ${id} has other bytes than recorded`) })
  }

  remove (ids: string[]): Promise<string[]> {
    return removeObjects(this.#bucket, ids)
  }

  async pending (): Promise<string[]> {
    return []
  }

  async * committed (): AsyncGenerator<string> {
    const { requests, name: Bucket, prefix: Prefix } = this.#bucket
    for await (const { Contents = [] } of paginateListObjectsV2({ client: requests }, { Bucket, Prefix })) {
      yield * Contents.map(({ Key = '' }) => this.#bucket.idOf(Key)).filter(id => id !== undefined)
    }
  }

  has (id: string): Promise<boolean> {
    return checkExists(this.#bucket, new HeadObjectCommand(this.#target(id)))
  }

  /**
   * Moves an object to `<prefix>quarantine/<id>`. False for one of more than 5 GiB: a copy in parts would need its own
   * recovery, for what hardly ever occurs.
   */
  async quarantine (id: string): Promise<boolean> {
    const { requests, prefix } = this.#bucket
    const target = this.#target(id)
    try {
      await copyObject(this.#bucket, target.Key, `${prefix}quarantine/${id}`)
      await requests.send(new DeleteObjectCommand(target)).catch(failAsUnavailable)
      return true
    } catch (error) {
      const { code, cause } = error as Problem
      if (code === 'file_damaged') return true
      if (TOO_LARGE.has((cause as Error).name)) return false
      throw error
    }
  }

  /** Marks are objects named `<prefix>installations/<mark>`. There are few. */
  async marks (): Promise<string[]> {
    const { Bucket, Key: Prefix } = this.#markTarget('')
    const command = new ListObjectsV2Command({ Bucket, Prefix })
    const { Contents = [] } = await this.#bucket.requests.send(command).catch(failAsUnavailable)
    return Contents.map(({ Key = '' }) => Key.slice(Prefix.length))
  }

  async mark (name: string): Promise<void> {
    const command = new PutObjectCommand({ ...this.#markTarget(name), Body: Buffer.from(name) })
    await this.#bucket.requests.send(command).catch(failAsUnavailable)
  }

  async unmark (name: string): Promise<void> {
    await this.#bucket.requests.send(new DeleteObjectCommand(this.#markTarget(name))).catch(failAsUnavailable)
  }

  /** A URL of an object, with a signature that covers the headers of the response too. Sends no request. */
  presign (id: string, { seconds, type, disposition }: Presigned): Promise<string> {
    const command = new GetObjectCommand({
      ...this.#target(id),
      ResponseContentType: type,
      ResponseContentDisposition: disposition,
      ResponseCacheControl: 'private, no-cache'
    })
    return getSignedUrl(this.#bucket.downloads, command, { expiresIn: seconds })
  }

  probe (): Promise<void> {
    return probe(this.#bucket).catch(failAsUnavailable)
  }

  watchRequests (observer: RequestObserver): void {
    this.#bucket.watch(observer)
  }

  async close (): Promise<void> {
    await Promise.allSettled(this.#writing)
    this.#bucket.close()
  }

  #target (id: string): { Bucket: string, Key: string } {
    return { Bucket: this.#bucket.name, Key: this.#bucket.keyOf(id) }
  }

  #markTarget (name: string): { Bucket: string, Key: string } {
    return { Bucket: this.#bucket.name, Key: `${this.#bucket.prefix}installations/${name}` }
  }

  #counted<T> (writing: Promise<T>): Promise<T> {
    this.#writing.add(writing)
    return writing.finally(() => this.#writing.delete(writing))
  }
}

async function checkExists ({ requests }: Bucket, command: HeadObjectCommand | GetObjectCommand): Promise<boolean> {
  return requests.send(command as HeadObjectCommand).then(() => true, failAsUnavailable).catch((error: unknown) => {
    ignoreMissing(error)
    return false
  })
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
