import { PutObjectCommand } from '@aws-sdk/client-s3'
import type { Draft } from '../blob-store.ts'
import type { Bucket } from './bucket.ts'
import { checkObject } from './download.ts'
import { stateOf } from './draft-state.ts'
import { failAsUnavailable } from './failures.ts'
import { completeMultipart, type Multipart, sendPart, type SentPart } from './multipart.ts'
import { PartBuffer } from './part-buffer.ts'
import { removeUnfinished } from './removal.ts'

/** What an object is made of: the parts that were sent, and what is in the buffer. */
interface ObjectContent {
  readonly multipart: Multipart | undefined
  readonly parts: readonly SentPart[]
  /** The number of the last part, if one is still to be sent. */
  readonly next: number
  readonly buffer: PartBuffer
}

/**
 * Makes an object: in one request if there are no parts.
 * @throws file_damaged; unavailable, although the object may have been made.
 */
export async function completeObject (
  bucket: Bucket, key: string, { multipart, parts, next, buffer }: ObjectContent
): Promise<void> {
  if (multipart === undefined || parts.length === 0) return buffer.use(bytes => putObject(bucket, key, bytes))
  const last = buffer.length === 0
    ? []
    : [await buffer.use(bytes => sendPart(bucket, multipart, { number: next, bytes }))]
  await completeMultipart(bucket, multipart, [...parts, ...last])
}

async function putObject (bucket: Bucket, key: string, bytes: Buffer): Promise<void> {
  const command = new PutObjectCommand({ ...bucket.at(key), Body: bytes, ContentLength: bytes.length })
  await bucket.requests.send(command).catch(failAsUnavailable)
}

/** Makes an object of a draft, unless an earlier call has done it. @throws unavailable, file_damaged. */
export async function finishDraft (bucket: Bucket, id: string, draft: Draft): Promise<void> {
  const key = bucket.keyOf(id)
  const { uploadId, parts, tail, next } = stateOf(draft)
  const buffer = new PartBuffer(bucket, id, tail)
  try {
    const multipart = uploadId === null ? undefined : { key, uploadId }
    await completeObject(bucket, key, { multipart, parts, next, buffer })
  } catch (error) {
    // The earlier call has removed the tail and the upload in parts, or its answer was lost.
    const isThere = await checkObject(bucket, { key, size: draft.size }).then(() => true, () => false)
    if (!isThere) throw error
  } finally {
    await buffer.close()
  }
  // Superseded appends may have left parts and tails.
  await removeUnfinished(bucket, [id]).catch(() => {})
}
