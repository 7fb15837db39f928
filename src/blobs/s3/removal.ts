import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  type MultipartUpload
} from '@aws-sdk/client-s3'
import type { Bucket } from './bucket.ts'
import { isNoUpload } from './failures.ts'

/** S3 deletes up to 1,000 objects in a request, but OpenStack Swift needs up to 20 ms for each, without an answer meanwhile. */
const BATCH = 250

/** Deletes objects and aborts their uploads in parts. Returns the ids of those of which nothing is left. Never fails. */
export async function removeObjects (bucket: Bucket, ids: string[]): Promise<string[]> {
  const removed: string[] = []
  try {
    // First, because an upload could still become an object.
    await abortUploads(bucket, ids)
    for (let first = 0; first < ids.length; first += BATCH) {
      removed.push(...await removeBatch(bucket, ids.slice(first, first + BATCH)))
    }
  } catch {
    // What can't be removed now is tried again later.
  }
  return removed
}

async function removeBatch (bucket: Bucket, ids: string[]): Promise<string[]> {
  const Objects = ids.map(id => ({ Key: bucket.keyOf(id) }))
  const command = new DeleteObjectsCommand({ Bucket: bucket.name, Delete: { Objects, Quiet: true } })
  // Many S3-compatible stores ask for this header. The SDK sends another checksum, as Amazon allows.
  command.middlewareStack.add(next => args => {
    const { headers, body } = args.request as { headers: Record<string, string>, body: string }
    headers['content-md5'] = createHash('md5').update(body).digest('base64')
    return next(args)
  }, { step: 'build' })
  const { Errors = [] } = await bucket.requests.send(command)
  const failed = new Set(Errors.map(({ Key }) => Key))
  return ids.filter(id => !failed.has(bucket.keyOf(id)))
}

/** Lists all uploads once for several ids: there are only those in progress, and those that a process left. */
async function abortUploads (bucket: Bucket, ids: string[]): Promise<void> {
  const [only = '', ...others] = ids
  const wanted = new Set(ids)
  for await (const { Key = '', UploadId } of uploadsIn(bucket, others.length === 0 ? bucket.keyOf(only) : bucket.prefix)) {
    if (!wanted.has(String(bucket.idOf(Key)))) continue
    const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key, UploadId })
    await bucket.requests.send(command).catch((error: unknown) => {
      // Another process may have aborted it.
      if (!isNoUpload(error)) throw error
    })
  }
}

async function * uploadsIn (bucket: Bucket, prefix: string): AsyncGenerator<MultipartUpload> {
  let markers = {}
  for (;;) {
    const page = await bucket.requests.send(new ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: prefix, ...markers }))
    yield * page.Uploads ?? []
    if (page.IsTruncated !== true) return
    markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
  }
}
