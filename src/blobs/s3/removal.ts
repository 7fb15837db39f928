import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand, DeleteObjectsCommand, ListMultipartUploadsCommand, type MultipartUpload,
  paginateListObjectsV2
} from '@aws-sdk/client-s3'
import type { Bucket } from './bucket.ts'
import { isNoUpload } from './failures.ts'

/** S3 deletes up to 1,000 objects per request, but OpenStack Swift takes up to 20 ms for each before it answers. */
const BATCH = 250

const ID_LENGTH = 32

/**
 * Deletes objects, and what unfinished appends and uploads in parts left behind. Returns the ids of which nothing is
 * left. Never fails.
 */
export async function removeObjects (bucket: Bucket, ids: string[]): Promise<string[]> {
  const removed: string[] = []
  try {
    // First, because an upload could still become an object.
    await removeUnfinished(bucket, ids)
    for (let first = 0; first < ids.length; first += BATCH) {
      const batch = ids.slice(first, first + BATCH)
      const failed = await deleteBatch(bucket, batch.map(id => bucket.keyOf(id)))
      removed.push(...batch.filter(id => !failed.has(bucket.keyOf(id))))
    }
  } catch {
    // What can't be removed now is tried again later.
  }
  return removed
}

/** Aborts unfinished uploads in parts, and deletes the tails of drafts. */
export async function removeUnfinished (bucket: Bucket, ids: string[]): Promise<void> {
  await abortUploads(bucket, ids)
  const tails = await tailsOf(bucket, ids)
  for (let first = 0; first < tails.length; first += BATCH) {
    const [failed] = await deleteBatch(bucket, tails.slice(first, first + BATCH))
    if (failed !== undefined) throw new Error(`object ${failed} can't be deleted`)
  }
}

/** Returns the names of those that could not be deleted. */
async function deleteBatch (bucket: Bucket, keys: string[]): Promise<Set<string>> {
  const Objects = keys.map(Key => ({ Key }))
  const command = new DeleteObjectsCommand({ Bucket: bucket.name, Delete: { Objects, Quiet: true } })
  // Many S3-compatible stores ask for this header. The SDK sends another checksum, as Amazon allows.
  command.middlewareStack.add(next => args => {
    const { headers, body } = args.request as { headers: Record<string, string>, body: string }
    headers['content-md5'] = createHash('md5').update(body).digest('base64')
    return next(args)
  }, { step: 'build' })
  const { Errors = [] } = await bucket.requests.send(command)
  return new Set(Errors.map(({ Key }) => String(Key)))
}

/** Lists all tails once for several ids: there are only those of drafts that are being written. */
async function tailsOf (bucket: Bucket, ids: string[]): Promise<string[]> {
  const [only, ...others] = ids
  const wanted = new Set(ids)
  const tails: string[] = []
  const pages = paginateListObjectsV2(
    { client: bucket.requests },
    { Bucket: bucket.name, Prefix: bucket.tailPrefix(others.length === 0 ? only : undefined) }
  )
  for await (const { Contents = [] } of pages) {
    const keys = Contents.map(({ Key = '' }) => Key)
    tails.push(...keys.filter(key => wanted.has(key.slice(bucket.tailPrefix().length).slice(0, ID_LENGTH))))
  }
  return tails
}

/** Lists all uploads once for several ids: there are only those in progress, and those that a process left. */
async function abortUploads (bucket: Bucket, ids: string[]): Promise<void> {
  const [only = '', ...others] = ids
  const wanted = new Set(ids)
  const prefix = others.length === 0 ? bucket.keyOf(only) : bucket.prefix
  for await (const { Key = '', UploadId } of uploadsIn(bucket, prefix)) {
    if (!wanted.has(String(bucket.idOf(Key)))) continue
    const command = new AbortMultipartUploadCommand({ ...bucket.at(Key), UploadId })
    await bucket.requests.send(command).catch((error: unknown) => {
      // Another process may have aborted it.
      if (!isNoUpload(error)) throw error
    })
  }
}

async function * uploadsIn (bucket: Bucket, prefix: string): AsyncGenerator<MultipartUpload> {
  let markers = {}
  for (;;) {
    const command = new ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: prefix, ...markers })
    const page = await bucket.requests.send(command)
    yield * page.Uploads ?? []
    if (page.IsTruncated !== true) return
    markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
  }
}
