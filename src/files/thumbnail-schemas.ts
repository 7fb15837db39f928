import { Type } from '@sinclair/typebox'
import { SharedObject } from '../http/wire-values.ts'
import { answer, problems } from '../openapi/responses.ts'
import { Bytes, Field, FileParams, LOCAL_TIME, NullableLocalTime, StoredFile } from './schemas.ts'

/** The paths of what is known of a picture. */
export const THUMBNAIL_PATH = '/api/files/:name/thumbnail'
export const TAKEN_PATH = '/api/files/:name/taken'

/** A query parameter has no example, because Swagger UI would send it. */
export const ThumbnailQuery = Type.Object({
  takenAt: Type.Optional(Type.String({
    ...LOCAL_TIME,
    description: 'When the picture was taken, in local time without a zone, such as `2024-07-01T12:30:00`. Without ' +
      'it, what is known of that stays.'
  }))
}, { additionalProperties: false })

export const ContentHeaders = {
  'if-match': Field('The entity tag of the content that this is about. Required: without one, or with `*`, the ' +
    'response is 428. If the file has another content, it is 412.')
}

export const TakenAt = SharedObject('TakenAt', 'When a picture or video was taken.', {
  takenAt: NullableLocalTime('Local time, without a zone; null if it is not known.', '2024-07-01T12:30:00')
})

/** Failures of what is told of a content. */
const refusedFacts = ['not_found', 'precondition_required', 'precondition_failed', 'storage_full'] as const

/** A small WebP of 8 × 8 pixels. */
const SAMPLE = 'UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoIAAgAAUAmJaQAA3AA/v02aAA='

/** For the samples of a shell: the entity tag of `report.pdf`. */
const ETAG = 'etag=$(curl -s -f -I -u test_user:pwd http://127.0.0.1:5000/uploads/report.pdf | ' +
  'grep -i "^etag:" | cut -d " " -f 2 | tr -d "\\r")'

const putSample = [
  ETAG,
  `printf ${SAMPLE} | base64 -d > thumbnail.webp`,
  'curl -f -u test_user:pwd -H "If-Match: $etag" -T thumbnail.webp ' +
    '"http://127.0.0.1:5000/api/files/report.pdf/thumbnail?takenAt=2024-07-01T12:30:00"'
]

export const putThumbnail = {
  operationId: 'putThumbnail',
  summary: 'Store a thumbnail',
  description: 'Stores a small picture of the file: a WebP or JPEG of at most 65,536 bytes and 512 pixels a side. ' +
    'The server makes none itself, and reads no more of it than its format and size. It belongs to the content: each ' +
    'of your files that has the same bytes has it, and so has a copy; a new content has none. It stays with its ' +
    'content in versions and in the trash, and ends with the last of them. It counts towards the quota, once for a ' +
    'content, changes no date and entity tag of the file, and is no change of the feed. Locks do not refuse it.',
  curl: putSample,
  params: FileParams,
  querystring: ThumbnailQuery,
  headers: Type.Object({
    ...ContentHeaders,
    'content-digest': Field('Digest of the body, `sha-256` or `sha-512` (RFC 9530). If it does not match, the ' +
      'response is 400.'),
    'repr-digest': Field('The same.')
  }),
  consumes: ['image/webp', 'image/jpeg'],
  body: Bytes('The picture. The type that it is declared with does not matter.'),
  response: {
    200: answer(StoredFile, 'The file.'),
    ...problems([
      ...refusedFacts, 'body_too_large', 'thumbnail_unsupported', 'quota_exceeded', 'upload_header_invalid',
      'upload_incomplete', 'digest_malformed', 'digest_mismatch', 'content_encoding_unsupported'
    ])
  }
}

export const setTakenAt = {
  operationId: 'setTakenAt',
  summary: 'Tell when a picture was taken',
  description: 'Records when a picture or video was taken, without a thumbnail. It belongs to the content, as a ' +
    'thumbnail does. Timelines and the orders `taken` and `-taken` go by it.',
  curl: [
    ETAG,
    'curl -f -u test_user:pwd -H "If-Match: $etag" -H "Content-Type: application/json" -X PUT ' +
      '-d \'{"takenAt":"2024-07-01T12:30:00"}\' http://127.0.0.1:5000/api/files/report.pdf/taken'
  ],
  params: FileParams,
  headers: Type.Object(ContentHeaders),
  body: Type.Ref(TakenAt),
  response: {
    200: answer(StoredFile, 'The file.'),
    ...problems([...refusedFacts])
  }
}

const picture = { schema: Bytes('The bytes of the picture.'), example: 'the bytes' }

export const THUMBNAIL = { description: 'The thumbnail.', content: { 'image/webp': picture, 'image/jpeg': picture } }

export const getThumbnail = {
  operationId: 'getThumbnail',
  summary: 'Get a thumbnail',
  description: 'Returns the small picture of the file that a client has stored; `hasThumbnail` of the file tells ' +
    'whether there is one. The media type is that of its bytes. Nothing may be stored of it by a cache: keep it by ' +
    'the SHA-256 of the file, which it belongs to, and ask for the picture of just that content by `If-Match`.',
  curl: [
    ...putSample,
    'curl -f -u test_user:pwd -o copy.webp http://127.0.0.1:5000/api/files/report.pdf/thumbnail'
  ],
  params: FileParams,
  headers: Type.Object({ 'if-match': Field('Only if the file has one of these entity tags; else 412.') }),
  response: {
    200: THUMBNAIL,
    ...problems(['not_found', 'precondition_failed'])
  }
}
