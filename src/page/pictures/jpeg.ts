/** What the header of a JPEG tells of its pixels. */
export interface Frame {
  readonly width: number
  readonly height: number
  /** Whether browsers decode it: sensors' pixels in raw files are lossless JPEG. */
  readonly isShown: boolean
}

const START_OF_IMAGE = 0xFFD8
const APP1 = 0xFFE1

/** Markers between those of frames that are none: of tables, and one that is reserved (ITU T.81, table B.1). */
const NO_FRAMES = [0xC4, 0xC8, 0xCC]

/** The last frame that browsers decode: the progressive one. */
const PROGRESSIVE = 0xC2

/** The frame of a JPEG; undefined if it is not in these bytes, or if they are no JPEG. */
export function frameOf (bytes: DataView): Frame | undefined {
  if (!isJpeg(bytes)) return undefined
  let at = 2
  while (at + 9 <= bytes.byteLength && bytes.getUint8(at) === 0xFF) {
    const marker = bytes.getUint8(at + 1)
    if (marker >= 0xC0 && marker <= 0xCF && !NO_FRAMES.includes(marker)) {
      return { height: bytes.getUint16(at + 5), width: bytes.getUint16(at + 7), isShown: marker <= PROGRESSIVE }
    }
    // A marker may have fill bytes before it.
    at += marker === 0xFF ? 1 : 2 + bytes.getUint16(at + 2)
  }
  return undefined
}

export function isJpeg (bytes: DataView): boolean {
  return bytes.byteLength > 2 && bytes.getUint16(0) === START_OF_IMAGE
}

/** Whether two pictures have the same shape, as far as whole pixels can. */
export function haveSameShape (small: Frame, large: Pick<Frame, 'width' | 'height'>): boolean {
  const scale = Math.max(large.width, large.height) / Math.max(small.width, small.height)
  return Math.abs(small.width * scale - large.width) <= scale && Math.abs(small.height * scale - large.height) <= scale
}

/** A JPEG that lies in another file, turned as that file says (EXIF `Orientation`), unless it says so itself. */
export async function turned (jpeg: Blob, orientation: number): Promise<Blob> {
  const start = new DataView(await jpeg.slice(0, 4).arrayBuffer())
  const turnsItself = start.byteLength === 4 && start.getUint16(2) === APP1
  if (orientation === 1 || turnsItself) return jpeg
  const exif = [0xFF, 0xE1, 0, 34, ...new TextEncoder().encode('Exif\0\0MM\0*'), 0, 0, 0, 8]
  const directory = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]
  return new Blob([jpeg.slice(0, 2), new Uint8Array([...exif, ...directory]), jpeg.slice(2)], { type: 'image/jpeg' })
}
