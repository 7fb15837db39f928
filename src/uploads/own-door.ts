import { fileOf, pathOf, type StoredFile } from '../files/schemas.ts'
import { callerOf } from '../http/caller.ts'
import type { Links } from '../http/links.ts'
import { entityTag } from '../metadata/preconditions.ts'
import type { StoreResult } from '../metadata/uploads-repository.ts'
import type { Exchange, StoredUpload, UploadDoor } from './resumable-requests.ts'
import { uploadUrl } from './schemas.ts'

/** The uploads of the caller. */
export function ownDoor (links: Links) {
  return {
    uploaderOf: request => ({ owner: callerOf(request).account, linkId: null }),
    urlOf: (request, upload) => uploadUrl(upload, request.raw, links),
    answerFile: (exchange: Exchange, { result }: StoredUpload) => answerFile(exchange, result, links)
  } satisfies UploadDoor
}

/** Answers like `PUT /uploads/{name}`. */
export function answerFile ({ request, reply }: Exchange, { file, isNew }: StoreResult, links: Links): StoredFile {
  reply.code(isNew ? 201 : 200).header('etag', entityTag(file.sha256))
  if (isNew) reply.header('location', pathOf(file))
  else reply.removeHeader('location')
  return fileOf(file, request.raw, links)
}
