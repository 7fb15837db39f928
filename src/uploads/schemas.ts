import { Type } from '@sinclair/typebox'
import { Bytes, Field } from '../files/schemas.ts'

/** Digests that an upload is held against. */
export const DigestHeaders = Type.Object({
  'content-digest': Field('Digest of the body as sent, `sha-256` or `sha-512` (RFC 9530 section 2); also behind the body, where `Trailer` announces it.'),
  'repr-digest': Field('The same as `Content-Digest`, for an upload is never a part.')
})

/** A form with one part `file`, streamed: the schema is for the document, the parts are checked as they arrive. */
export const UploadForm = Type.Object({
  file: Bytes('The file; its `filename` becomes the name.')
}, { description: 'Exactly one part `file`; other fields do not matter.' })

export const UploadBytes = Bytes('The bytes as they are to be stored.')
