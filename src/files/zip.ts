import { setImmediate } from 'node:timers/promises'
import { crc32 } from 'node:zlib'

/** What a zip tells of a file or a folder. */
export interface ZipEntry {
  /** Path of the folder that it is in, which ends with a slash; empty at the top. */
  readonly folder: string
  /** Last segment of its path; that of a folder ends with a slash. */
  readonly name: string
  /** Bytes; 0 for a folder. */
  readonly size: number
  /** Milliseconds since 1970. */
  readonly modifiedAt: number
}

/** Opens the bytes of an entry. */
export type OpenEntry<Entry> = (entry: Entry) => Promise<AsyncIterable<Buffer> | Buffer>

/** A value, and the number of its bytes. */
type Field = readonly [bytes: 1 | 2 | 4 | 8, value: number]

/** In a field of 2 or 4 bytes: the value is in a field of zip64 (APPNOTE section 4.4.1.4). */
const MAX_UINT16 = 0xffff
const MAX_UINT32 = 0xffffffff

/** Versions of the format: for folders, and for zip64 (section 4.4.3.2). */
const VERSION = 20
const ZIP64_VERSION = 45

/** Made on Unix, so that the external attributes have a mode (section 4.4.2). */
const MADE_BY = 3 << 8 | ZIP64_VERSION

/** Sizes and checksum follow the bytes; the name is UTF-8 (section 4.4.4). */
const HAS_DESCRIPTOR = 1 << 3
const IS_UTF8 = 1 << 11

/** External attributes: `-rw-r--r--`, and `drwxr-xr-x` with the mark of a folder of DOS. */
const FILE_MODE = 0o100644 * 2 ** 16
const FOLDER_MODE = 0o040755 * 2 ** 16 + 0x10

/**
 * Parts below this size are joined up to it: each chunk is a system call. Headers of empty files fill 64 KiB in 35 ms.
 */
const CHUNK_BYTES = 16 * 1024

/** Entries before the directory, and the directory itself. */
interface Extent { readonly count: number, readonly offset: number, readonly bytes: number }

/** The length of a zip, whose entries are added one by one. */
export class ZipLength {
  #extent: Extent = { count: 0, offset: 0, bytes: 0 }

  add (entry: ZipEntry): void {
    const { count, offset, bytes } = this.#extent
    this.#extent = {
      count: count + 1,
      offset: offset + storedLength(entry),
      bytes: bytes + centralHeader(entry, { checksum: 0, offset }).length
    }
  }

  get bytes (): number {
    const { offset, bytes } = this.#extent
    return offset + bytes + end(this.#extent).length
  }
}

/**
 * A zip, not compressed, as in APPNOTE 6.3.10. Each entry is opened when its turn comes, and read once: its checksum
 * follows it. With a large entry, many entries or in all more than 4 GiB it is zip64.
 */
export function zip<Entry extends ZipEntry> (
  entries: readonly Entry[], open: OpenEntry<Entry>
): AsyncGenerator<Buffer, void, undefined> {
  return joinSmall(partsOf(entries, open))
}

async function * partsOf<Entry extends ZipEntry> (
  entries: readonly Entry[], open: OpenEntry<Entry>
): AsyncGenerator<Buffer, void, undefined> {
  const checksums = new Uint32Array(entries.length)
  for (const [index, entry] of entries.entries()) {
    yield localHeader(entry)
    if (entry.size === 0) continue
    const bytes = await open(entry)
    let checksum = 0
    for await (const chunk of Buffer.isBuffer(bytes) ? [bytes] : bytes) {
      checksum = crc32(chunk, checksum)
      yield chunk
    }
    checksums[index] = checksum
    yield descriptor(entry, checksum)
  }
  yield * directory(entries, checksums)
}

function * directory (entries: readonly ZipEntry[], checksums: Uint32Array): Generator<Buffer, void, undefined> {
  let offset = 0
  let bytes = 0
  for (const [index, entry] of entries.entries()) {
    const header = centralHeader(entry, { checksum: checksums[index] as number, offset })
    yield header
    bytes += header.length
    offset += storedLength(entry)
  }
  yield end({ count: entries.length, offset, bytes })
}

async function * joinSmall (parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let small: Buffer[] = []
  let bytes = 0
  for await (const part of parts) {
    const isSmall = part.length < CHUNK_BYTES
    if (isSmall) small.push(part)
    bytes += part.length
    if (isSmall && bytes < CHUNK_BYTES) continue
    yield Buffer.concat(small)
    if (!isSmall) yield part
    small = []
    bytes = 0
    // Others have their turn: a reader can be fast enough to take all at once.
    await setImmediate()
  }
  yield Buffer.concat(small)
}

/** Local header, bytes and descriptor. */
function storedLength (entry: ZipEntry): number {
  const { size } = entry
  return localHeader(entry).length + (size === 0 ? 0 : size + descriptor(entry, 0).length)
}

/** Section 4.3.7. The sizes are in the descriptor. */
function localHeader (entry: ZipEntry): Buffer {
  const isLarge = isLargeEntry(entry)
  const size = isLarge ? MAX_UINT32 : 0
  const name = Buffer.from(entry.folder + entry.name)
  const extra = write(...timeField(entry), ...(isLarge ? zip64Field(0, 0) : []))
  const fields = write([4, 0x04034b50], ...commonFields(entry, isLarge), [4, 0], [4, size], [4, size],
    [2, name.length], [2, extra.length])
  return Buffer.concat([fields, name, extra])
}

/** Section 4.3.9. */
function descriptor (entry: ZipEntry, checksum: number): Buffer {
  const bytes = isLargeEntry(entry) ? 8 : 4
  return write([4, 0x08074b50], [4, checksum], [bytes, entry.size], [bytes, entry.size])
}

/** Section 4.3.12. */
function centralHeader (entry: ZipEntry, { checksum, offset }: { checksum: number, offset: number }): Buffer {
  // What does not fit into the header (section 4.5.3).
  const large = [...(isLargeEntry(entry) ? [entry.size, entry.size] : []), ...(offset >= MAX_UINT32 ? [offset] : [])]
  const size = Math.min(entry.size, MAX_UINT32)
  const name = Buffer.from(entry.folder + entry.name)
  const extra = write(...timeField(entry), ...(large.length === 0 ? [] : zip64Field(...large)))
  const fields = write([4, 0x02014b50], [2, MADE_BY], ...commonFields(entry, large.length > 0),
    [4, checksum], [4, size], [4, size], [2, name.length], [2, extra.length], [2, 0], [2, 0], [2, 0],
    [4, entry.name.endsWith('/') ? FOLDER_MODE : FILE_MODE], [4, Math.min(offset, MAX_UINT32)])
  return Buffer.concat([fields, name, extra])
}

/** Version, flags, method and time. */
function commonFields (entry: ZipEntry, isZip64: boolean): Field[] {
  const flags = IS_UTF8 | (entry.size === 0 ? 0 : HAS_DESCRIPTOR)
  return [[2, isZip64 ? ZIP64_VERSION : VERSION], [2, flags], [2, 0], ...dosTime(entry.modifiedAt)]
}

/** Sections 4.3.14 to 4.3.16. */
function end (extent: Extent): Buffer {
  const { count, offset, bytes } = extent
  const entries = Math.min(count, MAX_UINT16)
  const isLarge = count >= MAX_UINT16 || offset >= MAX_UINT32 || bytes >= MAX_UINT32
  const zip64: Field[] = [
    [4, 0x06064b50], [8, 44], [2, MADE_BY], [2, ZIP64_VERSION], [4, 0], [4, 0], [8, count], [8, count], [8, bytes],
    [8, offset], [4, 0x07064b50], [4, 0], [8, offset + bytes], [4, 1]
  ]
  return write(
    ...(isLarge ? zip64 : []), [4, 0x06054b50], [2, 0], [2, 0], [2, entries], [2, entries],
    [4, Math.min(bytes, MAX_UINT32)], [4, Math.min(offset, MAX_UINT32)], [2, 0]
  )
}

/** The extra field of zip64 (section 4.5.3). */
function zip64Field (...values: readonly number[]): Field[] {
  return [[2, 1], [2, 8 * values.length], ...values.map(value => [8, value] as const)]
}

/** The time in seconds since 1970: the extended timestamp of Info-ZIP, the same in both headers. */
function timeField ({ modifiedAt }: ZipEntry): Field[] {
  const seconds = Math.min(Math.max(Math.floor(modifiedAt / 1000), -(2 ** 31)), 2 ** 31 - 1)
  return [[2, 0x5455], [2, 5], [1, 1], [4, seconds >>> 0]]
}

/** Time and date as DOS had them, in UTC: from 1980 to 2107, with two seconds (section 4.4.6). */
function dosTime (milliseconds: number): Field[] {
  const date = new Date(Math.min(Math.max(milliseconds, Date.UTC(1980, 0)), Date.UTC(2108, 0) - 1))
  return [
    [2, date.getUTCHours() << 11 | date.getUTCMinutes() << 5 | date.getUTCSeconds() >> 1],
    [2, (date.getUTCFullYear() - 1980) << 9 | (date.getUTCMonth() + 1) << 5 | date.getUTCDate()]
  ]
}

function isLargeEntry ({ size }: ZipEntry): boolean {
  return size >= MAX_UINT32
}

/** Little-endian. */
function write (...fields: readonly Field[]): Buffer {
  const buffer = Buffer.alloc(fields.reduce((sum, [bytes]) => sum + bytes, 0))
  let offset = 0
  for (const [bytes, value] of fields) {
    if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value), offset)
    else buffer.writeUIntLE(value, offset, bytes)
    offset += bytes
  }
  return buffer
}
