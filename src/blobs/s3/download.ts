import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3'
import { Problem } from '../../problems.ts'
import { cutPieces, type Piece } from '../blob-store.ts'
import type { Bucket } from './bucket.ts'
import { failAsUnavailable } from './failures.ts'

/** A blob of at most this size is read in one request. */
const SMALL_BYTES = 64 * 1024

/** How often bytes are read that are not what was stored: they may have changed on their way. */
const READ_ATTEMPTS = 2

interface Blob { readonly key: string, readonly size: number }

/** An object whose bytes are known by their digest. */
export interface KnownObject extends Blob { readonly sha256: string }

interface ObjectRange { readonly start: number, readonly end: number }

/** Checks that an object exists and has `size` bytes. @throws file_damaged, unavailable. */
export async function checkObject (bucket: Bucket, { key, size }: Blob): Promise<void> {
  const command = new HeadObjectCommand(bucket.at(key))
  const { ContentLength } = await bucket.requests.send(command).catch(failAsUnavailable)
  if (ContentLength !== size) failAsOther(key, `${ContentLength} bytes`, size)
}

/** Pieces of an object: at once if it is small, else as a stream. @throws file_damaged, unavailable. */
export async function readPieces (bucket: Bucket, blob: Blob, pieces: readonly Piece[]): Promise<Readable | Buffer> {
  if (blob.size <= SMALL_BYTES) return cutPieces(await readSmall(bucket, blob), pieces)
  const first = pieces.find((piece): piece is ObjectRange => typeof piece !== 'string' && piece.start <= piece.end)
  if (first === undefined) {
    await checkObject(bucket, blob)
    const texts = pieces.filter(piece => typeof piece === 'string').map(text => Buffer.from(text))
    return Readable.from(texts, { objectMode: false })
  }
  return openStream(bucket, blob, { pieces, first, check: bytes => bytes })
}

/**
 * All bytes of an object: if they are not what was stored, a small one is refused, and the stream fails before its end.
 * @throws file_damaged, unavailable.
 */
export async function readWhole (bucket: Bucket, object: KnownObject): Promise<Readable | Buffer> {
  if (object.size <= SMALL_BYTES) return readObject(bucket, object, Buffer.allocUnsafe(object.size))
  const first = { start: 0, end: object.size - 1 }
  return openStream(bucket, object, { pieces: [first], first, check: bytes => verified(bytes, object) })
}

/**
 * Reads all bytes of an object into `bytes`, which has its size. An object of an earlier version may have no digest.
 * @throws file_damaged, unavailable.
 */
export async function readObject (bucket: Bucket, object: Blob & Partial<KnownObject>, bytes: Buffer): Promise<Buffer> {
  const { key, size, sha256 } = object
  for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
    let length = 0
    const read = await readPieces(bucket, { key, size }, [{ start: 0, end: size - 1 }])
    for await (const chunk of Buffer.isBuffer(read) ? [read] : read as AsyncIterable<Buffer>) {
      length += chunk.copy(bytes, length)
    }
    if (sha256 === undefined || createHash('sha256').update(bytes).digest('hex') === sha256) return bytes
  }
  return failAsWrong(key)
}

interface Opening {
  readonly pieces: readonly Piece[]
  readonly first: ObjectRange
  readonly check: (bytes: AsyncGenerator<Buffer>) => AsyncGenerator<Buffer>
}

async function openStream (bucket: Bucket, blob: Blob, { pieces, first, check }: Opening): Promise<Readable> {
  const abort = new AbortController()
  const { signal } = abort
  const opened = await openRange(bucket, blob, { range: first, signal })
  return streamOf(check(bytesOf(bucket, blob, { pieces, opened, signal })), () => abort.abort())
}

/** Holds back the last chunk until the digest of all is known. @throws file_damaged. */
async function * verified (bytes: AsyncIterable<Buffer>, { key, sha256 }: KnownObject): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let last: Buffer = Buffer.alloc(0)
  for await (const chunk of bytes) {
    hash.update(chunk)
    if (last.length > 0) yield last
    last = chunk
  }
  if (hash.digest('hex') !== sha256) failAsWrong(key)
  yield last
}

/** Calls `stop` as soon as the stream is destroyed: `Readable.from` would wait for the next chunk before. */
function streamOf (chunks: AsyncGenerator<Buffer>, stop: () => void): Readable {
  return new Readable({
    // A chunk of any size fills the buffer: one is read ahead while another is sent.
    highWaterMark: 1,
    read () {
      chunks.next()
        .then(({ done, value }) => this.push(done === true ? null : value), (error: Error) => this.destroy(error))
    },
    destroy (error, callback) {
      stop()
      callback(error)
    }
  })
}

async function readSmall (bucket: Bucket, { key, size }: Blob): Promise<Buffer> {
  const command = new GetObjectCommand(bucket.at(key))
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
async function openRange (
  bucket: Bucket, { key, size }: Blob, { range: { start, end }, signal }: { range: ObjectRange, signal: AbortSignal }
): Promise<Readable> {
  const command = new GetObjectCommand({ ...bucket.at(key), Range: `bytes=${start}-${end}` })
  const { Body, ContentRange } = await bucket.downloads.send(command, { abortSignal: signal }).catch(failAsUnavailable)
  const body = Body as Readable
  if (ContentRange === `bytes ${start}-${end}/${size}`) return body
  body.destroy()
  return failAsOther(key, String(ContentRange), size)
}

interface Reading { readonly pieces: readonly Piece[], readonly opened: Readable, readonly signal: AbortSignal }

/** The bytes of the pieces. The first range is open already; each other one is requested when its turn comes. */
async function * bytesOf (bucket: Bucket, blob: Blob, { pieces, opened, signal }: Reading): AsyncGenerator<Buffer> {
  let next: Readable | undefined = opened
  for (const piece of pieces) {
    if (typeof piece === 'string') yield Buffer.from(piece)
    else if (piece.start <= piece.end) {
      const body = next ?? await openRange(bucket, blob, { range: piece, signal })
      next = undefined
      yield * whole(bucket, body, piece.end - piece.start + 1)
    }
  }
}

/**
 * The bytes of a response body.
 * @throws unavailable if it ends before or after `size` bytes, or if none comes for too long.
 */
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

function failAsWrong (key: string): never {
  throw new Problem('file_damaged', { cause: new Error(`object ${key} has other bytes than were stored`) })
}

function failAsOther (key: string, found: string, size: number): never {
  throw new Problem('file_damaged', { cause: new Error(`object ${key} has ${found}, not ${size} bytes`) })
}
