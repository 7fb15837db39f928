import {
  AbortMultipartUploadCommand, CopyObjectCommand, DeleteObjectCommand, UploadPartCopyCommand
} from '@aws-sdk/client-s3'
import type { Bucket } from './bucket.ts'
import { checkObject } from './download.ts'
import { failAsUnavailable } from './failures.ts'
import { atUpload, completeMultipart, createMultipart, type Multipart, type SentPart } from './multipart.ts'
import { PARTS_AT_ONCE } from './parts.ts'
import { removeUnfinished } from './removal.ts'

/**
 * What one request copies: S3 takes up to 5 GiB, but many stores answer only when all is copied, and a request waits
 * 10 s by default. 10,000 parts of this size are enough for the largest object.
 */
const COPY_BYTES = 512 * 1024 ** 2

interface Copy {
  /** Key and size of the object that is copied. */
  readonly source: { readonly key: string, readonly size: number }
  /** The new id. */
  readonly id: string
  /** What one request copies. */
  readonly copyBytes?: number
}

/**
 * Copies an object within the bucket: in one request if it is small, else in parts. If it fails, nothing is left,
 * unless the store can't be reached.
 * @throws file_damaged also if the copy has another size: a store that can't copy may make an empty object;
 * unavailable.
 */
export async function copyBlob (bucket: Bucket, { source, id, copyBytes = COPY_BYTES }: Copy): Promise<void> {
  const key = bucket.keyOf(id)
  const { size } = source
  try {
    await (size <= copyBytes ? copyObject(bucket, source.key, key) : copyParts(bucket, { source, id, copyBytes }))
    await checkObject(bucket, { key, size })
  } catch (error) {
    // The answer to a request that made the object may have been lost.
    await bucket.tryCleanup(new DeleteObjectCommand(bucket.at(key)))
    throw error
  }
}

/** Copies an object of at most 5 GiB. @throws file_damaged if it is missing, unavailable. */
export async function copyObject ({ requests, name, at }: Bucket, from: string, to: string): Promise<void> {
  const command = new CopyObjectCommand({ ...at(to), CopySource: `${name}/${from}` })
  await requests.send(command).catch(failAsUnavailable)
}

async function copyParts (bucket: Bucket, { source, id, copyBytes }: Required<Copy>): Promise<void> {
  const multipart = await createMultipart(bucket, bucket.keyOf(id))
  try {
    const count = Math.ceil(source.size / copyBytes)
    const parts: SentPart[] = []
    for (let first = 0; first < count; first += PARTS_AT_ONCE) {
      const batch = Array.from({ length: Math.min(PARTS_AT_ONCE, count - first) }, (_, index) => {
        const start = (first + index) * copyBytes
        const end = Math.min(start + copyBytes, source.size) - 1
        return copyPart(bucket, multipart, { from: source.key, number: first + index + 1, start, end })
      })
      // None may arrive after the upload in parts has been aborted.
      await Promise.allSettled(batch)
      parts.push(...await Promise.all(batch))
    }
    await completeMultipart(bucket, multipart, parts)
  } catch (error) {
    await bucket.tryCleanup(new AbortMultipartUploadCommand(atUpload(bucket, multipart)))
    throw error
  }
  // If it fails, the object is complete all the same. The upload in parts that is left is removed with it.
  if (multipart.isRepeated) await removeUnfinished(bucket, [id]).catch(() => {})
}

interface CopiedPart { readonly from: string, readonly number: number, readonly start: number, readonly end: number }

async function copyPart (
  bucket: Bucket, multipart: Multipart, { from, number, start, end }: CopiedPart
): Promise<SentPart> {
  const command = new UploadPartCopyCommand({
    ...atUpload(bucket, multipart),
    PartNumber: number,
    CopySource: `${bucket.name}/${from}`,
    CopySourceRange: `bytes=${start}-${end}`
  })
  const { CopyPartResult } = await bucket.requests.send(command).catch(failAsUnavailable)
  return [number, String(CopyPartResult?.ETag), end - start + 1]
}
