/** A WebP of one colour, 8 × 8 pixels. */
const WEBP = Buffer.from('UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoIAAgAAUAmJaQAA3AA/v02aAA=', 'base64')

/** Where its width stands, and behind it its height. */
const WIDTH_AT = 26

/** The head of a WebP of a size, with `extra` bytes behind it. */
export function webpOf (width = 8, height = 8, extra = 0): Buffer {
  const bytes = Buffer.concat([WEBP, Buffer.alloc(extra)])
  bytes.writeUInt16LE(width, WIDTH_AT)
  bytes.writeUInt16LE(height, WIDTH_AT + 2)
  return bytes
}

/** The head of a JPEG of a size, with a tail behind it. */
export function jpegOf (width = 8, height = 8, tail = ''): Buffer {
  const app0 = Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex')
  const frame = Buffer.from('ffc0001108000000000301220002110103110100', 'hex')
  frame.writeUInt16BE(height, 5)
  frame.writeUInt16BE(width, 7)
  return Buffer.concat([app0, frame, Buffer.from('ffd9', 'hex'), Buffer.from(tail)])
}

/** A field of a TIFF: its tag, and a number, a text, bytes that lie elsewhere in the file, or another directory. */
export type TiffField = readonly [tag: number, value: number | string | Buffer | readonly TiffField[]]

/** A file of the TIFF kind with a chain of directories. */
export function tiffOf (...directories: (readonly TiffField[])[]): Buffer {
  const parts: Buffer[] = [Buffer.from('4d4d002a00000008', 'hex')]
  const add = (bytes: Buffer) => {
    const at = parts.reduce((sum, { length }) => sum + length, 0)
    parts.push(bytes)
    return at
  }
  const placeOf = (value: TiffField[1]): number => {
    if (typeof value === 'number') return value
    if (typeof value === 'string') return add(Buffer.from(`${value}\0`))
    return Buffer.isBuffer(value) ? add(value) : addDirectory(value as readonly TiffField[]).at
  }
  const addDirectory = (fields: readonly TiffField[]): { at: number, bytes: Buffer } => {
    const bytes = Buffer.alloc(2 + fields.length * 12 + 4)
    const at = add(bytes)
    bytes.writeUInt16BE(fields.length)
    for (const [index, [tag, value]] of fields.entries()) {
      const isText = typeof value === 'string'
      bytes.writeUInt16BE(tag, 2 + index * 12)
      bytes.writeUInt16BE(isText ? 2 : 4, 4 + index * 12)
      bytes.writeUInt32BE(isText ? value.length + 1 : 1, 6 + index * 12)
      bytes.writeUInt32BE(placeOf(value), 10 + index * 12)
    }
    return { at, bytes }
  }
  let last: Buffer | undefined
  for (const fields of directories) {
    const { at, bytes } = addDirectory(fields)
    last?.writeUInt32BE(at, last.length - 4)
    last = bytes
  }
  return Buffer.concat(parts)
}

interface Exif {
  readonly takenAt: string
  readonly orientation?: number
  readonly width: number
  readonly height: number
  readonly thumbnail: Buffer
}

/** A JPEG with the EXIF of a camera. */
export function withExif (jpeg: Buffer, { takenAt, orientation = 1, width, height, thumbnail }: Exif): Buffer {
  const exif: TiffField[] = [[0x9003, takenAt], [0xA002, width], [0xA003, height]]
  const small: TiffField[] = [[0x103, 6], [0x201, thumbnail], [0x202, thumbnail.length]]
  const tiff = tiffOf([[0x112, orientation], [0x8769, exif]], small)
  const app1 = Buffer.concat([Buffer.from('ffe10000', 'hex'), Buffer.from('Exif\0\0'), tiff])
  app1.writeUInt16BE(app1.length - 2, 2)
  return Buffer.concat([jpeg.subarray(0, 2), app1, jpeg.subarray(2)])
}
