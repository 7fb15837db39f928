/** Draws the icon as PNG files, which phones need to install the page. The same pixels on every machine. */
import { crc32, deflateSync } from 'node:zlib'

/** As in icon.svg: a square of 32 with round corners, and a line with round ends. */
const VIEW = 32
const RADIUS = 8
const LINE = [
  { from: [7, 22], to: [7, 10.5] },
  { from: [7, 10.5], to: [16, 19] },
  { from: [16, 19], to: [25, 10.5] },
  { from: [25, 10.5], to: [25, 22] }
]
const WIDTH = 3.2
const GROUND = [0x44, 0x52, 0xc8]
const WHITE = 0xff

/** Shades of an edge: from nothing to the ground, and from the ground to the line. */
const SHADES = 64

/** Systems cut a maskable icon to a shape of their own, which contains a circle of 80 % of the width. */
const MASKABLE_SCALE = 0.8

/** The icons by the name of their file. */
export function iconImages () {
  return Object.fromEntries([192, 512].flatMap(size => [
    [`icon-${size}.png`, image(size, false)],
    [`icon-maskable-${size}.png`, image(size, true)]
  ]))
}

/**
 * @param {number} size in pixels
 * @param {boolean} isMaskable whether the ground fills the square
 */
function image (size, isMaskable) {
  const rows = Buffer.alloc(size * (size + 1))
  const pixel = VIEW / size
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      rows[y * (size + 1) + 1 + x] = shadeOf((x + 0.5) * pixel, (y + 0.5) * pixel, pixel, isMaskable)
    }
  }
  return png(size, rows)
}

/**
 * The index in the palette of a point.
 * @param {number} x
 * @param {number} y
 * @param {number} pixel its width
 * @param {boolean} isMaskable
 */
function shadeOf (x, y, pixel, isMaskable) {
  const scale = isMaskable ? MASKABLE_SCALE : 1
  /** @param {number} value */
  const scaled = value => (value - VIEW / 2) / scale + VIEW / 2
  const line = covered((toLine(scaled(x), scaled(y)) - WIDTH / 2) * scale, pixel)
  if (line > 0) return SHADES + Math.round(line * (SHADES - 1))
  return isMaskable ? SHADES : Math.round(covered(toEdge(x, y), pixel) * SHADES)
}

/**
 * The share of a pixel that is inside.
 * @param {number} distance from the edge, negative inside
 * @param {number} pixel
 */
function covered (distance, pixel) {
  return Math.max(0, Math.min(1, 0.5 - distance / pixel))
}

/**
 * The distance from the middle of the line.
 * @param {number} x
 * @param {number} y
 */
function toLine (x, y) {
  return Math.min(...LINE.map(({ from: [fromX = 0, fromY = 0], to: [toX = 0, toY = 0] }) => {
    const dx = toX - fromX
    const dy = toY - fromY
    const along = Math.max(0, Math.min(1, ((x - fromX) * dx + (y - fromY) * dy) / (dx * dx + dy * dy)))
    return Math.hypot(x - fromX - along * dx, y - fromY - along * dy)
  }))
}

/**
 * The distance from the edge of the square with round corners.
 * @param {number} x
 * @param {number} y
 */
function toEdge (x, y) {
  /** @param {number} value */
  const beyond = value => Math.abs(value - VIEW / 2) - VIEW / 2 + RADIUS
  const dx = beyond(x)
  const dy = beyond(y)
  return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - RADIUS
}

/**
 * A PNG (W3C PNG, third edition) of 8 bits a pixel with a palette.
 * @param {number} size
 * @param {Buffer} rows each begins with its filter, 0
 */
function png (size, rows) {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 3, 0, 0, 0])
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  const shades = Array.from({ length: SHADES }, (_, index) => index / (SHADES - 1))
  const palette = [
    ...shades.map(() => GROUND),
    ...shades.map(share => GROUND.map(value => Math.round(value + share * (WHITE - value))))
  ]
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(palette.flat())),
    chunk('tRNS', Buffer.from(shades.map((_, index) => Math.round(255 * index / SHADES)))),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0))
  ])
}

/**
 * @param {string} type
 * @param {Buffer} bytes
 */
function chunk (type, bytes) {
  const typed = Buffer.concat([Buffer.from(type), bytes])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(bytes.length, 0)
  frame.writeUInt32BE(crc32(typed), 4)
  return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)])
}
