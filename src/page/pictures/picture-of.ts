import { isRaw, kindOf } from '../files/kinds.ts'
import { call } from '../session.ts'
import { exifOf } from './exif.ts'
import { turned } from './jpeg.ts'
import { canDecode, isRare } from './making.ts'
import { jpegInRaw } from './raw.ts'
import { remoteSource, type RemoteContent } from './sources.ts'

/** The beginning of a raw file, which has its directories and EXIF. */
const HEAD_BYTES = 64 * 1024

export interface ShownContent extends RemoteContent { readonly hasThumbnail?: boolean }

/** Whether some browsers do not show an image, so that `pictureOf` may find something in its place. */
export function mayNeedPicture (content: { name: string, type: string }): boolean {
  return kindOf(content) === 'image' && (isRaw(content) || isRare(content))
}

/**
 * What is shown in place of an image that this browser does not show: of a raw file the largest JPEG in it, of others
 * the small picture. Undefined for all that elements of the browser show themselves, and if there is none.
 * @throws what `call` throws.
 */
export async function pictureOf (content: ShownContent, signal?: AbortSignal): Promise<Blob | undefined> {
  if (!mayNeedPicture(content)) return undefined
  if (isRaw(content)) return jpegOf(content, signal)
  const { name, type, sha256, version, hasThumbnail } = content
  const hasPicture = hasThumbnail && version === undefined && sha256 !== undefined
  if (!hasPicture || await canDecode(type)) return undefined
  return call(store => store.thumbnail({ name, sha256 }, { signal }))
}

async function jpegOf (content: RemoteContent, signal?: AbortSignal): Promise<Blob | undefined> {
  const source = remoteSource(content)
  const head = await source.read(0, Math.min(source.size, HEAD_BYTES), signal)
  const jpeg = await jpegInRaw(source, await head.arrayBuffer(), Infinity, signal)
  return jpeg && turned(jpeg, (await exifOf(head)).orientation)
}
