import { Type } from '@sinclair/typebox'

/** Digests that an upload is held against. */
export const DigestHeaders = Type.Object({
  'content-digest': Type.Optional(Type.String({ description: 'Digest of the body as sent, `sha-256` or `sha-512` (RFC 9530 section 2).' })),
  'repr-digest': Type.Optional(Type.String({ description: 'The same as `Content-Digest`, for an upload is never a part.' }))
})

/** A form with one part `file`, streamed: the schema is for the document, the parts are checked as they arrive. */
export const UploadForm = Type.Object({
  file: Type.String({ format: 'binary', description: 'The file; its `filename` becomes the name.' })
}, { description: 'Exactly one part `file`; other fields do not matter.' })

export const UploadBytes = Type.String({ format: 'binary', description: 'The bytes as they are to be stored.' })
