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
