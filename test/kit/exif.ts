/** What a camera writes into a picture. Degrees are positive in the north and east. */
interface Shot {
  readonly takenAt: string
  readonly make: string
  readonly model: string
  readonly latitude: number
  readonly longitude: number
}

type Entry = readonly [tag: number, type: 'text' | 'pointer' | 'ratios', value: string | number | readonly number[]]

/** A JPEG with EXIF data: `2024-07-01T12:30:00` is written as cameras do. */
export function withExif (jpeg: Buffer, { takenAt, make, model, latitude, longitude }: Shot): Buffer {
  const time = takenAt.replaceAll('-', ':').replace('T', ' ')
  const exif = (at: number) => directory(at, [[0x9003, 'text', time]])
  const gps = (at: number) => directory(at, [
    [1, 'text', latitude < 0 ? 'S' : 'N'], [2, 'ratios', degreesOf(latitude)],
    [3, 'text', longitude < 0 ? 'W' : 'E'], [4, 'ratios', degreesOf(longitude)]
  ])
  const first = (exifAt: number, gpsAt: number) => directory(8, [
    [0x10F, 'text', make], [0x110, 'text', model], [0x8769, 'pointer', exifAt], [0x8825, 'pointer', gpsAt]
  ])
  const exifAt = 8 + first(0, 0).length
  const gpsAt = exifAt + exif(exifAt).length
  const head = Buffer.from('II*\0\x08\0\0\0', 'latin1')
  const tiff = Buffer.concat([head, first(exifAt, gpsAt), exif(exifAt), gps(gpsAt)])
  const segment = Buffer.concat([Buffer.from('ffe10000', 'hex'), Buffer.from('Exif\0\0', 'latin1'), tiff])
  segment.writeUInt16BE(segment.length - 2, 2)
  return Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)])
}

/** Degrees, minutes and seconds. */
function degreesOf (value: number): number[] {
  const all = Math.abs(value)
  const minutes = (all % 1) * 60
  return [Math.floor(all), Math.floor(minutes), (minutes % 1) * 60]
}

/** A directory of TIFF, little endian, with its values behind it. */
function directory (at: number, entries: readonly Entry[]): Buffer {
  const head = Buffer.alloc(2 + 12 * entries.length + 4)
  head.writeUInt16LE(entries.length)
  const values: Buffer[] = []
  let end = at + head.length
  for (const [index, [tag, type, value]] of entries.entries()) {
    const bytes = bytesOf(value)
    const place = 2 + 12 * index
    head.writeUInt16LE(tag, place)
    head.writeUInt16LE({ text: 2, pointer: 4, ratios: 5 }[type], place + 2)
    head.writeUInt32LE({ text: bytes.length, pointer: 1, ratios: bytes.length / 8 }[type], place + 4)
    if (bytes.length <= 4) bytes.copy(head, place + 8)
    else {
      head.writeUInt32LE(end, place + 8)
      values.push(bytes)
      end += bytes.length
    }
  }
  return Buffer.concat([head, ...values])
}

function bytesOf (value: Entry[2]): Buffer {
  if (typeof value === 'string') return Buffer.from(`${value}\0`, 'latin1')
  const numbers = typeof value === 'number' ? [value] : value.flatMap(part => [Math.round(part * 1e6), 1e6])
  const bytes = Buffer.alloc(4 * numbers.length)
  for (const [index, number] of numbers.entries()) bytes.writeUInt32LE(number, 4 * index)
  return bytes
}
