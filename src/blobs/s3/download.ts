import { Readable } from 'node:stream'
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { Problem } from '../../problems.ts'
import { cutPieces, type Piece } from '../blob-store.ts'
import type { Bucket } from './bucket.ts'
import { failAsUnavailable } from './failures.ts'

/** A blob of at most this size is read in one request. */
const SMALL_BYTES = 64 * 1024

interface Blob { readonly key: string, readonly size: number }

interface ByteRange { readonly start: number, readonly end: number }

/** Checks that an object exists and has `size` bytes. @throws file_damaged, unavailable. */
export async function checkObject (bucket: Bucket, { key, size }: Blob): Promise<void> {
  const command = new HeadObjectCommand({ Bucket: bucket.name, Key: key })
  const { ContentLength } = await bucket.requests.send(command).catch(failAsUnavailable)
  if (ContentLength !== size) failAsOther(key, `${ContentLength} bytes`, size)
}

/** Pieces of an object: at once if it is small, else as a stream. @throws file_damaged, unavailable. */
export async function readPieces (bucket: Bucket, blob: Blob, pieces: readonly Piece[]): Promise<Readable | Buffer> {
  if (blob.size <= SMALL_BYTES) return cutPieces(await readSmall(bucket, blob), pieces)
  const first = pieces.find((piece): piece is ByteRange => typeof piece !== 'string' && piece.start <= piece.end)
  if (first === undefined) {
    await checkObject(bucket, blob)
    return Readable.from(pieces.filter(piece => typeof piece === 'string').map(text => Buffer.from(text)), { objectMode: false })
  }
  const abort = new AbortController()
  const { signal } = abort
  const opened = await openRange(bucket, blob, { range: first, signal })
  return streamOf(bytesOf(bucket, blob, { pieces, opened, signal }), () => abort.abort())
}

/** Calls `stop` as soon as the stream is destroyed: `Readable.from` would wait for the next chunk before. */
function streamOf (chunks: AsyncGenerator<Buffer>, stop: () => void): Readable {
  return new Readable({
    // A chunk of any size fills the buffer: one is read ahead while another is sent.
    highWaterMark: 1,
    read () {
      chunks.next().then(({ done, value }) => this.push(done === true ? null : value), (error: Error) => this.destroy(error))
    },
    destroy (error, callback) {
      stop()
      callback(error)
    }
  })
}

async function readSmall (bucket: Bucket, { key, size }: Blob): Promise<Buffer> {
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key })
  const { Body, ContentLength } = await bucket.downloads.send(command).catch(failAsUnavailable)
  const body = Body as Readable
  // Without a length, which a proxy in between may have removed, the bytes are counted.
  if (ContentLength !== undefined && ContentLength !== size) {
    body.destroy()
    failAsOther(key, `${ContentLength} bytes`, size)
  }
  const chunks: Buffer[] = []
  for await (const chunk of whole(bucket, body, size)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The response body of one range, after its head was checked. */
async function openRange (bucket: Bucket, { key, size }: Blob, { range: { start, end }, signal }: { range: ByteRange, signal: AbortSignal }): Promise<Readable> {
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key, Range: `bytes=${start}-${end}` })
  const { Body, ContentRange } = await bucket.downloads.send(command, { abortSignal: signal }).catch(failAsUnavailable)
  const body = Body as Readable
  if (ContentRange === `bytes ${start}-${end}/${size}`) return body
  body.destroy()
  return failAsOther(key, String(ContentRange), size)
}

interface Reading { readonly pieces: readonly Piece[], readonly opened: Readable, readonly signal: AbortSignal }

/** The bytes of the pieces. The first range is open already; a request for each other one is sent when its turn comes. */
async function * bytesOf (bucket: Bucket, blob: Blob, { pieces, opened, signal }: Reading): AsyncGenerator<Buffer> {
  let next: Readable | undefined = opened
  for (const piece of pieces) {
    if (typeof piece === 'string') yield Buffer.from(piece)
    else if (piece.start <= piece.end) {
      yield * whole(bucket, next ?? await openRange(bucket, blob, { range: piece, signal }), piece.end - piece.start + 1)
      next = undefined
    }
  }
}

/** The bytes of a response body. @throws unavailable if it ends before or after `size` bytes, or if none comes for too long. */
async function * whole ({ idleMilliseconds }: Bucket, body: Readable, size: number): AsyncGenerator<Buffer> {
  let received = 0
  // Only while a chunk is waited for: a client that takes its time is no failure of the store.
  let isWaiting = true
  const timer = setTimeout(() => {
    if (isWaiting) body.destroy(new Error(`the file storage sent nothing for ${idleMilliseconds} ms`))
  }, idleMilliseconds).unref()
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      isWaiting = false
      received += chunk.length
      yield chunk
      isWaiting = true
      timer.refresh()
    }
  } catch (error) {
    failAsUnavailable(error)
  } finally {
    clearTimeout(timer)
  }
  if (received !== size) failAsUnavailable(new Error(`the file storage sent ${received} bytes instead of ${size}`))
}

function failAsOther (key: string, found: string, size: number): never {
  throw new Problem('file_damaged', { cause: new Error(`object ${key} has ${found}, not ${size} bytes`) })
}
