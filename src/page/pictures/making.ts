import { isRaw, kindOf } from '../files/kinds.ts'
import { shrinkFrame, shrinkImage, shrinkVideo } from './drawing.ts'
import { exifOf } from './exif.ts'
import { turned } from './jpeg.ts'
import { jpegInRaw } from './raw.ts'
import type { Source } from './sources.ts'

/** What a small picture is made of, and when the picture was taken. */
export interface Made { readonly picture?: Blob | undefined, readonly takenAt?: string | undefined }

/** Of larger files, not all is read; videos are read in parts. */
const MAX_BYTES = 30 * 1000 ** 2

/**
 * The beginning of a picture, which has its EXIF: that is one segment of a JPEG, of at most 64 KiB. So 1,000 pictures
 * with a thumbnail in it cost less than 64 MiB.
 */
const HEAD_BYTES = 64 * 1024

/** Types whose EXIF is at the beginning. */
const EXIF_TYPE = /^image\/(?:jpe?g|hei[cf]|tiff)\b/i

/** Types that some browsers decode and others do not. */
const RARE_TYPE = /^image\/(?:hei[cf]|tiff|jxl)\b/i

/** The pixels of a JPEG in a raw file that a small picture is made of. */
const SMALL_PIXELS = 320

/** Whether a small picture can be tried. */
export function canMake (source: Source): boolean {
  const kind = kindOf(source)
  if (source.size === 0 || (kind !== 'image' && kind !== 'video')) return false
  return source.size <= MAX_BYTES || source.isLocal || source.address !== undefined || hasExif(source)
}

/**
 * Makes a small picture of an image, or of a frame of a video.
 *
 * A thumbnail that the camera has put into a picture is taken for the small picture, if it has its shape: it is less
 * sharp than one that is made of the whole picture, but that costs megabytes instead of 64 KiB. Of a file that is on
 * this device, as when it is uploaded, the whole picture is taken.
 * @throws what `call` throws, and the errors of files that this browser can't decode.
 */
export async function makePicture (source: Source, signal?: AbortSignal): Promise<Made> {
  const { size, isLocal } = source
  if (kindOf(source) === 'video') return { picture: await ofVideo(source, signal) }
  if (!hasExif(source)) return { picture: await ofImage(source, new Blob(), signal) }
  const head = await source.read(0, Math.min(size, HEAD_BYTES), signal)
  const { takenAt, orientation, thumbnail } = await exifOf(head)
  const raw = isRaw(source) ? await jpegInRaw(source, await head.arrayBuffer(), SMALL_PIXELS, signal) : undefined
  const inside = raw ?? (isLocal ? undefined : thumbnail)
  if (inside !== undefined) return { takenAt, picture: await shrinkImage(await turned(inside, orientation), signal) }
  return { takenAt, picture: isRaw(source) ? undefined : await ofImage(source, head, signal) }
}

export function isRare ({ type }: { type: string }): boolean {
  return RARE_TYPE.test(type)
}

/** Whether this browser decodes images of a type. It is asked only about types that not all of them decode. */
export async function canDecode (type: string): Promise<boolean> {
  return !isRare({ type }) || !('ImageDecoder' in window) || ImageDecoder.isTypeSupported(type)
}

/** Of all bytes of an image; `head` are those that have been read. */
async function ofImage (source: Source, head: Blob, signal?: AbortSignal): Promise<Blob | undefined> {
  const { type, size, isLocal } = source
  if (!(await canDecode(type)) || (size > MAX_BYTES && !isLocal)) return undefined
  const rest = head.size < size ? [await source.read(head.size, size, signal)] : []
  return shrinkImage(new Blob([head, ...rest], { type }), signal)
}

async function ofVideo ({ size, address, read }: Source, signal?: AbortSignal): Promise<Blob> {
  return address === undefined ? shrinkVideo(await read(0, size, signal), signal) : shrinkFrame(address, signal)
}

function hasExif (source: Source): boolean {
  return EXIF_TYPE.test(source.type) || isRaw(source)
}
