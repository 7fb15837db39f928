import { createHash } from 'node:crypto'
import { AbortMultipartUploadCommand, DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import type { Content } from '../../data-folder/durable-files.ts'
import { refuseSize } from '../../problems.ts'
import type { Bucket } from './bucket.ts'
import { failAsUnavailable } from './failures.ts'
import { completeMultipart, createMultipart, sendPart, type SentPart } from './multipart.ts'
import { type Part, PartBuffer } from './part-buffer.ts'
import { MAX_OBJECT_BYTES, partBytes, PARTS_AT_ONCE } from './parts.ts'
import { removeUnfinished } from './removal.ts'

interface BlobContent { readonly bytes: AsyncIterable<Uint8Array>, readonly maxBytes: number }

/**
 * Stores the bytes of a blob as one object: in one request if they fit into a part, else as an upload in parts. The store verifies each
 * against its SHA-256. If it fails, neither an object nor a part stays. @throws file_too_large, unavailable.
 */
export async function upload (bucket: Bucket, id: string, { bytes, ...limit }: BlobContent): Promise<Content> {
  const maxBytes = Math.min(limit.maxBytes, MAX_OBJECT_BYTES)
  const hash = createHash('sha256')
  let size = 0

  async function * counted (): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      size += chunk.length
      if (size > maxBytes) refuseSize(maxBytes)
      hash.update(chunk)
      yield chunk
    }
  }

  await send(bucket, id, { bytes: counted(), maxBytes })
  return { size, sha256: hash.digest('hex') }
}

/** Sends an object that fits into one part in one request, and any other in parts. */
async function send (bucket: Bucket, id: string, { bytes, maxBytes }: BlobContent): Promise<void> {
  const buffer = new PartBuffer(bucket, id)
  let upload: Upload | undefined

  async function sendFilled (): Promise<void> {
    upload ??= await openUpload(bucket, id)
    await upload.add(await buffer.take())
  }

  try {
    let index = 0
    for await (const chunk of bytes) {
      for (let start = 0; start < chunk.length;) {
        // A full part is sent when the next byte is there, because only then it is known not to be the last one.
        if (buffer.length === partBytes(index, maxBytes)) {
          await sendFilled()
          index++
        }
        start += await buffer.fill(chunk.subarray(start), partBytes(index, maxBytes))
      }
    }
    if (upload === undefined) return await buffer.use(last => putObject(bucket, bucket.keyOf(id), last))
    await sendFilled()
    await upload.complete()
  } catch (error) {
    await upload?.abort()
    throw error
  } finally {
    await buffer.close()
  }
}

async function putObject (bucket: Bucket, key: string, bytes: Buffer): Promise<void> {
  const target = { Bucket: bucket.name, Key: key }
  try {
    await bucket.requests.send(new PutObjectCommand({ ...target, Body: bytes, ContentLength: bytes.length }))
  } catch (error) {
    await bucket.tryCleanup(new DeleteObjectCommand(target))
    failAsUnavailable(error)
  }
}

interface Upload {
  /** Begins to send a part, when fewer than `PARTS_AT_ONCE` are being sent. */
  add (part: Part): Promise<void>
  complete (): Promise<void>
  /** Removes the parts, and the object that a failed request to complete it may have made. Never fails. */
  abort (): Promise<void>
}

async function openUpload (bucket: Bucket, id: string): Promise<Upload> {
  const key = bucket.keyOf(id)
  const multipart = await createMultipart(bucket, key)
  const failure = new AbortController()
  const sending: Promise<SentPart>[] = []

  return {
    async add ({ bytes, release }) {
      await sending.at(-PARTS_AT_ONCE)
      const sent = sendPart(bucket, multipart, { number: sending.length + 1, bytes, signal: failure.signal }).finally(release)
      sent.catch(() => {})
      sending.push(sent)
    },

    async complete () {
      await completeMultipart(bucket, multipart, await Promise.all(sending))
      // If it fails, the object is complete all the same. The one left is removed with it.
      if (multipart.isRepeated) await removeUnfinished(bucket, [id]).catch(() => {})
    },

    async abort () {
      failure.abort()
      await Promise.allSettled(sending)
      const target = { Bucket: bucket.name, Key: key }
      await bucket.tryCleanup(new AbortMultipartUploadCommand({ ...target, UploadId: multipart.uploadId }), new DeleteObjectCommand(target))
    }
  }
}
