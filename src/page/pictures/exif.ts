import type { ExpandedTags, IncludeTagsOptions } from 'exifreader'
import { frameOf, haveSameShape, isJpeg } from './jpeg.ts'

/** What a camera has written into a picture. */
export interface ExifFacts {
  /** When it was taken, in local time without a zone: `2024-07-01T12:30:00`. */
  readonly takenAt?: string | undefined
  /** How it is turned, 1 to 8 as in EXIF. */
  readonly orientation: number
  /** A JPEG of the whole picture, not turned. */
  readonly thumbnail?: Blob | undefined
}

const WANTED: IncludeTagsOptions = {
  exif: ['Orientation', 'DateTimeOriginal', 'PixelXDimension', 'PixelYDimension'], thumbnail: true
}

/** Cameras write thumbnails of 160 × 120 pixels or more. A smaller one would be a blur on a tile. */
const MIN_SIDE = 160

/** Reads what the beginning of a picture tells; nothing if it has no EXIF. @throws TypeError if it can't be loaded. */
export async function exifOf (head: Blob): Promise<ExifFacts> {
  const bytes = await head.arrayBuffer()
  const { load } = await import('exifreader')
  try {
    const tags = load(bytes, { expanded: true, includeTags: WANTED })
    return {
      takenAt: takenAtOf(tags.exif?.DateTimeOriginal?.value[0]),
      orientation: orientationOf(tags.exif?.Orientation?.value),
      thumbnail: thumbnailOf(new DataView(bytes), tags)
    }
  } catch {
    // Without metadata, it throws.
    return { orientation: 1 }
  }
}

function orientationOf (value: unknown): number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 8 ? Number(value) : 1
}

/** The time of EXIF, such as `2024:07:01 12:30:00`, as the server takes it. Undefined for none that there was. */
export function takenAtOf (text: string | undefined): string | undefined {
  const [, year, month, day, time] = /^(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)/.exec(text ?? '') ?? []
  const local = `${year}-${month}-${day}T${time}`
  const date = new Date(`${local}Z`)
  // Years are not checked: a clock that was never set is in 1980 or 2000.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(local) ? local : undefined
}

/**
 * The thumbnail, if it has the shape of the picture: the others have black bars, or show what the picture was before
 * it was cut.
 */
function thumbnailOf (bytes: DataView, { exif, Thumbnail: thumbnail }: ExpandedTags): Blob | undefined {
  if (thumbnail?.image === undefined) return undefined
  const image = new Uint8Array(thumbnail.image as ArrayBuffer)
  const small = frameOf(new DataView(image.buffer))
  const large = (isJpeg(bytes) ? frameOf(bytes) : undefined) ?? {
    width: Number(exif?.PixelXDimension?.value), height: Number(exif?.PixelYDimension?.value)
  }
  if (small?.isShown !== true || Math.max(small.width, small.height) < MIN_SIDE) return undefined
  return haveSameShape(small, large) ? new Blob([image], { type: 'image/jpeg' }) : undefined
}
