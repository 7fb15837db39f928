import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import type { Bucket } from './bucket.ts'
import { checkObject } from './download.ts'
import { failAsUnavailable, isNoUpload } from './failures.ts'
import { sha256Of } from './part-buffer.ts'

/** Small requests at the same time. */
const EMPTIED_AT_ONCE = 8

/** An upload in parts of the object `key`. */
export interface Multipart { readonly key: string, readonly uploadId: string }

/** A part that the store has: its number, from 1 to 10,000, its entity tag, its size, and its SHA-256 if it is kept. */
export type SentPart = readonly [number: number, etag: string, size: number, sha256?: string]

/** What names an upload in parts in a request. */
export function atUpload ({ at }: Bucket, { key, uploadId }: Multipart) {
  return { ...at(key), UploadId: uploadId }
}

/**
 * `isRepeated`: the answer to an earlier request, with the id of another upload in parts, may have been lost.
 * @throws unavailable.
 */
export async function createMultipart (
  bucket: Bucket, key: string
): Promise<Multipart & { readonly isRepeated: boolean }> {
  const command = new CreateMultipartUploadCommand(bucket.at(key))
  const { UploadId, $metadata } = await bucket.requests.send(command).catch(failAsUnavailable)
  return { key, uploadId: String(UploadId), isRepeated: Number($metadata.attempts) > 1 }
}

interface PartToSend {
  readonly number: number
  readonly bytes: Buffer
  readonly signal?: AbortSignal
  /** Whether its SHA-256 is kept. */
  readonly isKnown?: boolean
}

/** Sends a part. The store verifies its SHA-256. @throws unavailable. */
export async function sendPart (
  bucket: Bucket, multipart: Multipart, { number, bytes, signal, isKnown = false }: PartToSend
): Promise<SentPart> {
  const part = { PartNumber: number, Body: bytes, ContentLength: bytes.length }
  const command = new UploadPartCommand({ ...atUpload(bucket, multipart), ...part })
  const options = { ...(signal && { abortSignal: signal }) }
  const { ETag } = await bucket.requests.send(command, options).catch(failAsUnavailable)
  return isKnown ? [number, String(ETag), bytes.length, sha256Of(bytes)] : [number, String(ETag), bytes.length]
}

/**
 * Replaces parts that no draft refers to by parts of one byte, because S3 can't delete a single part: so an append that
 * is repeated and refused each time does not fill the bucket. Never fails: what stays is removed when the upload ends.
 */
export async function emptyParts (bucket: Bucket, multipart: Multipart, numbers: readonly number[]): Promise<void> {
  const bytes = Buffer.alloc(1)
  for (let first = 0; first < numbers.length; first += EMPTIED_AT_ONCE) {
    const batch = numbers.slice(first, first + EMPTIED_AT_ONCE)
    const sent = await Promise.allSettled(batch.map(number => sendPart(bucket, multipart, { number, bytes })))
    if (sent.some(({ status }) => status === 'rejected')) return
  }
}

/** Makes an object of parts. @throws unavailable. */
export async function completeMultipart (
  bucket: Bucket, multipart: Multipart, parts: readonly SentPart[]
): Promise<void> {
  const Parts = parts.map(([PartNumber, ETag]) => ({ PartNumber, ETag }))
  const command = new CompleteMultipartUploadCommand({ ...atUpload(bucket, multipart), MultipartUpload: { Parts } })
  await bucket.requests.send(command).catch(async (error: unknown) => {
    const size = parts.reduce((sum, [, , size]) => sum + size, 0)
    // If the answer to the first attempt was lost, the second one finds no upload, but the object is there.
    const { key } = multipart
    const isThere = isNoUpload(error) && await checkObject(bucket, { key, size }).then(() => true, () => false)
    if (!isThere) failAsUnavailable(error)
  })
}
