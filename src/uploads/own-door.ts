import { type Describing, fileOf, pathOf, type StoredFile } from '../files/schemas.ts'
import { callerOf } from '../http/caller.ts'
import { entityTag } from '../metadata/preconditions.ts'
import type { StoreResult } from '../metadata/upload-records.ts'
import type { Exchange, StoredUpload, UploadDoor } from './resumable-requests.ts'
import { uploadUrl } from './schemas.ts'

/** The uploads of the caller. */
export function ownDoor (describing: Describing) {
  return {
    uploaderOf: request => ({ owner: callerOf(request).account, linkId: null }),
    urlOf: (request, upload) => uploadUrl(upload, request.raw, describing.links),
    answerFile: (exchange: Exchange, { result }: StoredUpload) => answerFile(exchange, result, describing)
  } satisfies UploadDoor
}

/** Answers like `PUT /uploads/{name}`. */
export function answerFile (
  { request, reply }: Exchange, { file, isNew }: StoreResult, describing: Describing
): StoredFile {
  reply.code(isNew ? 201 : 200).header('etag', entityTag(file.sha256))
  if (isNew) reply.header('location', pathOf(file))
  else reply.removeHeader('location')
  return fileOf(file, request.raw, describing)
}
