import { Type } from '@sinclair/typebox'
import { Bytes, Field } from '../files/schemas.ts'

/** Digests that an upload is verified with. */
export const DigestHeaders = Type.Object({
  'content-digest': Field('Digest of the body as sent, `sha-256` or `sha-512` (RFC 9530 section 2). It may be a trailer field, if `Trailer` announces it.'),
  'repr-digest': Field('The same as `Content-Digest`, because an upload is never partial.')
})

/** A form with one part `file`. For the document only: the parts are checked as they arrive. */
export const UploadForm = Type.Object({
  file: Bytes('The file; its `filename` becomes the name.')
}, { description: 'Exactly one part `file`. Other fields are ignored.' })

export const UploadBytes = Bytes('The bytes of the file.')
