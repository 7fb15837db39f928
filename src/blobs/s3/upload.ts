import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart
} from '@aws-sdk/client-s3'
import { Problem } from '../../problems.ts'
import type { Content } from '../disk/durable-files.ts'
import type { Bucket } from './bucket.ts'
import { checkObject } from './download.ts'
import { failAsUnavailable, isNoUpload } from './failures.ts'
import { inParts, MAX_OBJECT_BYTES, type Part, PARTS_AT_ONCE } from './parts.ts'

type Bytes = AsyncIterable<Uint8Array>

/**
 * Stores bytes as one object: in one request if they fit into a part, else as an upload in parts, each of which the store holds
 * against its SHA-256. If it fails, neither an object nor a part stays. @throws file_too_large, unavailable.
 */
export async function upload (bucket: Bucket, key: string, bytes: Bytes, limits: { maxBytes: number }): Promise<Content> {
  const maxBytes = Math.min(limits.maxBytes, MAX_OBJECT_BYTES)
  const hash = createHash('sha256')
  let size = 0

  async function * counted (): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      size += chunk.length
      if (size > maxBytes) throw new Problem('file_too_large', { detail: `A file may have ${maxBytes} bytes.` })
      hash.update(chunk)
      yield chunk
    }
  }

  await send(bucket, key, inParts(counted(), maxBytes))
  return { size, sha256: hash.digest('hex') }
}

/** Sends an object that fits into one part in one request, and any other in parts. */
async function send (bucket: Bucket, key: string, parts: AsyncIterable<Part>): Promise<void> {
  let multipart: Multipart | undefined
  try {
    for await (const { bytes, isLast } of parts) {
      if (isLast && multipart === undefined) return await putObject(bucket, key, bytes)
      multipart ??= await openMultipart(bucket, key)
      await multipart.add(bytes)
    }
    await multipart?.complete()
  } catch (error) {
    await multipart?.abort()
    throw error
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

interface Multipart {
  /** Begins to send a part, when fewer than `PARTS_AT_ONCE` are being sent. */
  add (bytes: Buffer): Promise<void>
  complete (): Promise<void>
  /** Removes the parts, and the object that a failed request to complete it may have made. Never fails. */
  abort (): Promise<void>
}

async function openMultipart (bucket: Bucket, key: string): Promise<Multipart> {
  const target = { Bucket: bucket.name, Key: key }
  const { UploadId } = await bucket.requests.send(new CreateMultipartUploadCommand(target)).catch(failAsUnavailable)
  const failure = new AbortController()
  const sending: Promise<CompletedPart>[] = []
  let size = 0

  async function sendPart (PartNumber: number, bytes: Buffer): Promise<CompletedPart> {
    const command = new UploadPartCommand({ ...target, UploadId, PartNumber, Body: bytes, ContentLength: bytes.length })
    const { ETag } = await bucket.requests.send(command, { abortSignal: failure.signal }).catch(failAsUnavailable)
    return { PartNumber, ETag }
  }

  return {
    async add (bytes) {
      await sending.at(-PARTS_AT_ONCE)
      size += bytes.length
      const part = sendPart(sending.length + 1, bytes)
      part.catch(() => {})
      sending.push(part)
    },

    async complete () {
      const Parts = await Promise.all(sending)
      const command = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } })
      await bucket.requests.send(command).catch(async (error: unknown) => {
        // If the answer to the first attempt was lost, the second one finds no upload, but the object is there.
        const isThere = isNoUpload(error) && await checkObject(bucket, { key, size }).then(() => true, () => false)
        if (!isThere) failAsUnavailable(error)
      })
    },

    async abort () {
      failure.abort()
      await Promise.allSettled(sending)
      await bucket.tryCleanup(new AbortMultipartUploadCommand({ ...target, UploadId }), new DeleteObjectCommand(target))
    }
  }
}
