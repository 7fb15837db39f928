import { crc32 } from 'node:zlib'

/** An entry of a zip, by both of its headers. */
export interface ZippedEntry {
  path: string
  bytes: Buffer
  /** Time as DOS has it, in UTC. */
  dosTime: string
  /** Seconds since 1970. */
  time: number
  /** File type and permissions on Unix, in octal. */
  mode: string
  version: number
}

/** Reads a small zip, not compressed, and checks each of its bytes. @throws if it is wrong. */
export function readZip (zip: Buffer): ZippedEntry[] {
  const end = zip.length - 22
  requireThat(zip.readUInt32LE(end) === 0x06054b50 && zip.readUInt16LE(end + 20) === 0, 'the end')
  const count = zip.readUInt16LE(end + 10)
  let central = zip.readUInt32LE(end + 16)
  requireThat(central + zip.readUInt32LE(end + 12) === end, 'the directory')
  let offset = 0
  const entries = Array.from({ length: count }, () => {
    const { entry, length } = readEntry(zip, central, offset)
    offset += length
    central += 46 + zip.readUInt16LE(central + 28) + zip.readUInt16LE(central + 30)
    return entry
  })
  requireThat(offset === zip.readUInt32LE(end + 16) && central === end, 'nothing between')
  return entries
}

function readEntry (zip: Buffer, central: number, offset: number): { entry: ZippedEntry, length: number } {
  requireThat(zip.readUInt32LE(central) === 0x02014b50 && zip.readUInt32LE(central + 42) === offset, 'a central header')
  requireThat(zip.readUInt32LE(offset) === 0x04034b50, 'a local header')
  const [checksum, size] = [zip.readUInt32LE(central + 16), zip.readUInt32LE(central + 24)]
  requireThat(size === zip.readUInt32LE(central + 20), 'a size')
  // Version, flags, method and time are the same in both headers, and so are the lengths of name and extra field.
  requireThat(zip.subarray(central + 6, central + 16).equals(zip.subarray(offset + 4, offset + 14)), 'two headers')
  const [nameLength, extraLength] = [zip.readUInt16LE(offset + 26), zip.readUInt16LE(offset + 28)]
  const ends = [central + 46, offset + 30] as const
  const [inCentral, inLocal] = ends.map(end => zip.subarray(end, end + nameLength + extraLength))
  requireThat(inCentral?.equals(inLocal ?? Buffer.alloc(0)) === true, 'two names')
  const start = offset + 30 + nameLength + extraLength
  const bytes = zip.subarray(start, start + size)
  requireThat(crc32(bytes) === checksum, 'a checksum')
  const hasDescriptor = (zip.readUInt16LE(offset + 6) & 8) !== 0
  requireThat(hasDescriptor === (size > 0) && zip.readUInt16LE(offset + 8) === 0, 'flags and method')
  if (hasDescriptor) {
    requireThat(fieldsAt(zip, start + size).join() === [0x08074b50, checksum, size, size].join(), 'a descriptor')
  }
  const extra = zip.subarray(start - extraLength, start)
  requireThat(extra.subarray(0, 5).equals(Buffer.from('5554050001', 'hex')) && extraLength === 9, 'a time')
  const entry = {
    path: new TextDecoder('utf-8', { fatal: true }).decode(zip.subarray(offset + 30, offset + 30 + nameLength)),
    bytes,
    dosTime: dosTimeOf(zip.readUInt16LE(offset + 12), zip.readUInt16LE(offset + 10)),
    time: extra.readInt32LE(5),
    mode: zip.readUInt16LE(central + 40).toString(8),
    version: zip.readUInt16LE(offset + 4)
  }
  return { entry, length: start + size - offset + (hasDescriptor ? 16 : 0) }
}

function fieldsAt (zip: Buffer, start: number): number[] {
  return [0, 4, 8, 12].map(index => zip.readUInt32LE(start + index))
}

function dosTimeOf (date: number, time: number): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return `${1980 + (date >> 9)}-${two(date >> 5 & 15)}-${two(date & 31)} ${two(time >> 11)}:${two(time >> 5 & 63)}:${two((time & 31) * 2)}`
}

function requireThat (isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`the zip is wrong: ${what}`)
}
