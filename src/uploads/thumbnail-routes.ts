import { fileOf } from '../files/schemas.ts'
import { putThumbnail, THUMBNAIL_PATH } from '../files/thumbnail-schemas.ts'
import { MAX_THUMBNAIL_BYTES, namedContent, parseTakenAt } from '../files/thumbnails.ts'
import { callerOf } from '../http/caller.ts'
import type { Routes } from '../http/services.ts'
import { Problem } from '../problems.ts'
import { acceptAnyBody, openUploadBody, PART_FIELDS, refuseFields, streamedBody, type UploadBody } from './body.ts'

/** `PUT /api/files/:name/thumbnail`: a body of any type, which is the picture. */
export const thumbnailUploadRoutes: Routes = async (app, { thumbnails, links, ids }) => {
  acceptAnyBody(app)

  app.put(THUMBNAIL_PATH, {
    validatorCompiler: streamedBody,
    schema: putThumbnail
  }, async request => {
    const { raw, params: { name }, query, headers } = request
    // Otherwise a part would be stored as the whole (RFC 9110 section 14.5).
    refuseFields(headers, PART_FIELDS)
    const precondition = namedContent(headers)
    // The query is not validated, because the body is not.
    const takenAt = query.takenAt === undefined ? undefined : parseTakenAt(query.takenAt)
    const bytes = await readAll(openUploadBody(raw))
    const file = await thumbnails.put(callerOf(request).account, name, { bytes, takenAt, precondition })
    return fileOf(file, raw, { links, ids })
  })
}

/** @throws body_too_large, upload_incomplete, digest_mismatch. */
async function readAll ({ announcedBytes = 0, bytes, confirm }: UploadBody): Promise<Buffer> {
  if (announcedBytes > MAX_THUMBNAIL_BYTES) throw tooLarge()
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of bytes) {
    length += chunk.length
    if (length > MAX_THUMBNAIL_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  confirm()
  return Buffer.concat(chunks)
}

function tooLarge (): Problem {
  const detail = `A thumbnail may have at most ${MAX_THUMBNAIL_BYTES} bytes.`
  return new Problem('body_too_large', { detail })
}
