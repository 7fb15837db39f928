import { JPG } from 'image-size/types/jpg'
import { WEBP } from 'image-size/types/webp'
import { localTimeOf } from '../http/wire-values.ts'
import type { Thumbnail } from '../metadata/pictures.ts'
import type { ConditionHeaders, Precondition } from '../metadata/preconditions.ts'
import type { AccountRecord, FileRecord } from '../metadata/records.ts'
import { invalidField, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { getName } from './names.ts'

export const MAX_THUMBNAIL_BYTES = 64 * 1024

/** Of each side. */
const MAX_PIXELS = 512

/** The formats of thumbnails, and what reads their heads: no other parser runs on the bytes. */
const formats = [{ type: 'image/webp', format: WEBP }, { type: 'image/jpeg', format: JPG }]

/** What a client tells of a content, which the precondition names. */
interface ToldFacts {
  readonly bytes?: Buffer
  readonly takenAt: number | null | undefined
  readonly precondition: Precondition
}

export type Thumbnails = ReturnType<typeof createThumbnails>

/** Small pictures of files that clients make, and when pictures and videos were taken. */
export function createThumbnails ({ metadata, space }: Pick<AppServices, 'metadata' | 'space'>) {
  return {
    /**
     * Records a thumbnail or a time of the content of a file, or both.
     * @throws not_found, precondition_failed, thumbnail_unsupported, quota_exceeded, storage_full.
     */
    async put (
      owner: AccountRecord, name: string, { bytes, takenAt, precondition }: ToldFacts
    ): Promise<FileRecord> {
      const facts = { ...bytes && { thumbnail: thumbnailOf(bytes) }, takenAt }
      const terms = { precondition, quota: space.quotaOf(owner) }
      return space.of({ owner, linkId: null }).record(() =>
        metadata.pictures.put(owner.id, getName(name), facts, terms))
    },

    /** The thumbnail of a file. @throws not_found. */
    async get ({ ownerId, sha256, hasThumbnail }: FileRecord): Promise<Thumbnail> {
      const thumbnail = hasThumbnail ? await metadata.pictures.find(ownerId, sha256) : undefined
      if (thumbnail === undefined) throw new Problem('not_found')
      return thumbnail
    }
  }
}

/** @throws thumbnail_unsupported. */
function thumbnailOf (bytes: Buffer): Thumbnail {
  const found = formats.find(({ format }) => format.validate(bytes))
  if (found === undefined) throw unsupported('It is neither a WebP nor a JPEG.')
  const { width, height } = sizeOf(bytes, found.format)
  if (![width, height].every(side => side >= 1 && side <= MAX_PIXELS)) {
    throw unsupported(`It has ${width} × ${height} pixels; a side may have at most ${MAX_PIXELS}.`)
  }
  return { type: found.type, bytes }
}

function sizeOf (bytes: Buffer, format: typeof JPG): { width: number, height: number } {
  try {
    return format.calculate(bytes)
  } catch (cause) {
    throw unsupported('Its size can\'t be read.', cause)
  }
}

function unsupported (detail: string, cause?: unknown): Problem {
  return new Problem('thumbnail_unsupported', { detail, cause })
}

/** What a request tells something of. @throws precondition_required unless it names the content. */
export function namedContent (headers: ConditionHeaders): Precondition {
  const ifMatch = headers['if-match']
  if (ifMatch === undefined || ifMatch.trim() === '*') {
    throw new Problem('precondition_required', { detail: 'Send the entity tag of the file in If-Match.' })
  }
  return { 'if-match': ifMatch }
}

/**
 * Milliseconds since 1970 of `takenAt`, a local time such as `2024-07-01T12:30:00`, as if it were UTC.
 * @throws validation_failed for anything else.
 */
export function parseTakenAt (value: unknown): number {
  const time = Date.parse(`${String(value)}Z`)
  // `Date.parse` takes February 30 for March 2, and other forms. A year of six digits comes back as it was.
  if (Number.isNaN(time) || localTimeOf(time) !== value || /^[+-]/.test(value)) {
    throw invalidField('takenAt', 'is no local time such as 2024-07-01T12:30:00')
  }
  return time
}
