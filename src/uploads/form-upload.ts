import type { Readable } from 'node:stream'
import type { MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import type { IncomingBody } from '../files/incoming-file.ts'
import { Problem } from '../problems.ts'
import { openUploadBody } from './body.ts'
import { FORM_OVERHEAD_BYTES, readForm } from './multipart.ts'
import { modifiedAtOf } from './upload-fields.ts'

/** The file in a form. Its name is unknown until the form is read; its size is known roughly. @throws file_missing. */
export function formUpload (
  request: FastifyRequest, { folder, maxFileBytes }: { folder: string, maxFileBytes: number }
): IncomingBody {
  const contentType = request.headers['content-type']
  if (contentType === undefined) throw new Problem('file_missing')
  const body = openUploadBody(request.raw)
  const { announcedBytes } = body
  const fromHeader = modifiedAtOf(request.headers)
  let modifiedAt: number | null
  return {
    folder,
    minBytes: Math.max(0, (announcedBytes ?? 0) - FORM_OVERHEAD_BYTES),
    maxBytes: announcedBytes ?? Number.MAX_SAFE_INTEGER,
    async * read () {
      modifiedAt = yield * readForm({
        body,
        folder,
        contentType,
        maxFileBytes,
        parse: (source, options) => withBody(request, source).parts(options) as AsyncIterable<MultipartFile>
      })
      body.confirm()
    },
    modifiedAt: () => modifiedAt ?? fromHeader
  }
}

/** The request with `source` as its body, for `@fastify/multipart`, which would read the socket itself. */
function withBody (request: FastifyRequest, source: Readable): FastifyRequest {
  const raw = Object.assign(source, { headers: request.raw.headers })
  return Object.create(request, { raw: { value: raw } }) as FastifyRequest
}
