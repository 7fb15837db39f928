import { Type } from '@sinclair/typebox'
import { OneOf } from '../http/wire-values.ts'
import { headRoute } from '../openapi/operation.ts'
import { problems } from '../openapi/responses.ts'
import { AnyContentId, Bytes, etag, Field, FileParams } from './schemas.ts'

/** How a browser is to treat the bytes; `shown`: what it may display. */
export const disposition = (shown: string) => Type.Optional(OneOf(['attachment', 'inline'], {
  default: 'attachment',
  description: `\`inline\` lets a browser display ${shown}. Other types remain attachments.`
}))

export const DownloadQuery = Type.Object({
  // Without an example: Swagger UI would send it.
  version: Type.Optional(AnyContentId('Download this version instead of the current content. `Last-Modified` is when ' +
    'the version was stored.')),
  disposition: disposition('images (except SVG), audio, video, PDF and plain text')
})

/** Headers for ranges and conditions of a download. */
export const DownloadHeaders = Type.Object({
  range: Field('Range of bytes, such as `bytes=0-1023` (RFC 9110 section 14.2).'),
  'if-range': Field('Apply `Range` only if the file has this entity tag; else send the whole file. A date never ' +
    'matches.'),
  'if-none-match': Field('Only if the file has none of these entity tags; else 304.'),
  'if-modified-since': Field('Only if the file changed after this date; else 304.'),
  'if-match': Field('Only if the file has one of these entity tags; else 412.'),
  'if-unmodified-since': Field('Only if the file did not change after this date; else 412, also for a date in the ' +
    'future.'),
  'want-repr-digest': Field('Preferred digest algorithms (RFC 9530 section 4). `sha-256` is available.')
})

/** The same for HEAD, which has no ranges (RFC 9110 section 14.2). */
export const HeadHeaders = Type.Omit(DownloadHeaders, ['range', 'if-range'])

/** Headers that identify a version of a file. */
const validators = {
  ...etag,
  'Last-Modified': {
    type: 'string',
    maxLength: 29,
    pattern: '^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$',
    description: 'When the bytes were stored, or the file was renamed or restored (RFC 9110 section 5.6.7).'
  }
}

/** Headers that describe a file, for the whole file and for ranges alike. */
const representation = {
  'Accept-Ranges': { type: 'string', enum: ['bytes'], description: 'Byte ranges are supported.' },
  'Content-Disposition': {
    type: 'string',
    maxLength: 2048,
    pattern: '^(?:attachment|inline); filename=',
    description: 'The last segment of the name (RFC 6266, RFC 8187).'
  },
  'Repr-Digest': {
    type: 'string',
    maxLength: 54,
    pattern: '^sha-256=:[A-Za-z0-9+/]{43}=:$',
    description: 'SHA-256 of the whole file, in Base64 (RFC 9530). Absent if `Want-Repr-Digest` declines it.'
  }
}

/** The header of a response with one range. */
const contentRange = {
  'Content-Range': {
    type: 'string',
    maxLength: 64,
    pattern: '^bytes [0-9]+-[0-9]+/[0-9]+$',
    description: 'For a single range: its bytes and the size of the file.'
  }
}

/** The temporary address of a download. */
const presigned = {
  Location: {
    type: 'string',
    format: 'uri',
    maxLength: 8192,
    pattern: '^https?://[^\\s]+$',
    description: 'A URL of the file storage that needs no credentials. The response to it has the name and media ' +
      'type of the file.'
  }
}

const whole = {
  description: 'The whole file.',
  content: { '*/*': { schema: Bytes('The bytes of the file.'), example: 'the bytes' } },
  headers: { ...validators, ...representation }
}
export const headResponses = {
  200: whole,
  304: { description: 'The client has the current content.', type: 'null', headers: validators },
  ...problems(['not_found', 'precondition_failed', 'file_damaged'])
}
/** Of a download that is never redirected. */
export const directResponses = {
  ...headResponses,
  206: {
    ...whole,
    description: 'The requested ranges; several of them as `multipart/byteranges`.',
    headers: { ...whole.headers, ...contentRange }
  },
  ...problems(['range_not_satisfiable', 'too_many_transfers'])
}
const downloadResponses = {
  ...directResponses,
  307: {
    description: 'The bytes are at another address, for this request and a limited time. Only if the server is set ' +
      'up for it.',
    type: 'null',
    headers: presigned
  }
}

export const downloadFile = {
  operationId: 'downloadFile',
  summary: 'Download a file',
  description: 'Returns the bytes as an attachment, with headers that prevent HTML and SVG from running scripts in a ' +
    'browser. Supports conditional and range requests (RFC 9110). More than 32 ranges are ignored. With `version`, ' +
    'returns a former content of the file.',
  curl: [
    'curl -f -u test_user:pwd -o copy.pdf http://127.0.0.1:5000/uploads/report.pdf',
    'curl -f -u test_user:pwd -r 0-8 http://127.0.0.1:5000/uploads/report.pdf'
  ],
  params: FileParams,
  querystring: DownloadQuery,
  headers: DownloadHeaders,
  response: downloadResponses
}

export const headFile = headRoute('headFile', {
  summary: 'Get the headers of a file',
  description: 'Returns the headers of a download without the bytes. Ranges are ignored.',
  curl: 'curl -f -I -u test_user:pwd http://127.0.0.1:5000/uploads/report.pdf',
  params: FileParams,
  querystring: DownloadQuery,
  headers: HeadHeaders,
  response: headResponses
})
