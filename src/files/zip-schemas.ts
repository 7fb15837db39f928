import { Type } from '@sinclair/typebox'
import { MAX_TEXT_POINTS, SharedObject } from '../http/wire-values.ts'
import { problems } from '../openapi/responses.ts'
import { Bytes, FolderQuery } from './schemas.ts'
import { MAX_ZIP_ENTRIES } from './zips.ts'

export const ZIP_PATH = '/api/zip'

/** Names that a zip can be asked for. */
export const MAX_NAMES = 10_000

/** Of the JSON with the names. To parse and validate 10 MiB takes 40 ms. */
export const MAX_NAMES_BYTES = 4 * 1024 ** 2

// Not a pattern: a lookup by a name that nothing can have is 404, not 400.
export const ZipNames = SharedObject('ZipNames', 'What to download as a zip.', {
  names: Type.Array(Type.String({
    format: 'file-name',
    maxLength: MAX_TEXT_POINTS,
    description: 'Name of a file, or path of a folder.'
  }), {
    minItems: 1,
    maxItems: MAX_NAMES,
    description: 'Files, and folders with all that is in them. What is named twice, or is in a folder that is named, ' +
      'is in the zip once.',
    examples: [['report.pdf', 'reports']]
  })
})

const ZipQuery = Type.Object({
  ...FolderQuery('The folder. The root if it is absent, empty or `/`.')
}, { additionalProperties: false })

export const zipFile = {
  description: 'The zip.',
  // A stream, which the type of the schema does not have.
  content: { 'application/zip': { schema: Type.Unsafe(Bytes('The bytes of the zip.')) } },
  headers: {
    'Content-Disposition': {
      type: 'string',
      maxLength: 2048,
      pattern: '^attachment; filename=',
      description: 'The last segment of the folder with `.zip`, or `files.zip` for the root (RFC 6266, RFC 8187).'
    }
  }
}

/** Of every zip. */
export const ZIP_RULES = 'The zip is not compressed, `Content-Length` is known, and names are UTF-8. What a system ' +
  'can\'t have in a name becomes `_`, and a name that another one in the same folder has in any case of its letters ' +
  `gets a number, such as \`a (2).txt\`. A zip has at most ${MAX_ZIP_ENTRIES.toLocaleString('en')} files and ` +
  'folders. It has the files of when the request came: if one is deleted for good before its bytes are sent, the ' +
  'connection is cut.'

const rules = `${ZIP_RULES} An account can download 2 zips at once, and a network 4: an IPv4 address, or an IPv6 /56.`

export const downloadZip = {
  operationId: 'downloadZip',
  summary: 'Download a folder as a zip',
  description: `Returns all that is in a folder as a zip, with paths from that folder. ${rules}`,
  curl: 'curl -f -u test_user:pwd -o reports.zip "http://127.0.0.1:5000/api/zip?folder=reports"',
  querystring: ZipQuery,
  response: {
    200: zipFile,
    ...problems(['not_found', 'zip_too_large', 'too_many_transfers', 'file_damaged'])
  }
}

export const zipFiles = {
  operationId: 'zipFiles',
  summary: 'Download files and folders as a zip',
  description: 'Returns files and folders as a zip, with paths from the deepest folder that all of them are in. The ' +
    `request has at most 4 MiB. ${rules}`,
  curl: 'curl -f -u test_user:pwd -o some.zip -H "Content-Type: application/json" -d ' +
      '\'{"names":["report.pdf","reports"]}\' http://127.0.0.1:5000/api/zip',
  body: Type.Ref(ZipNames),
  response: {
    200: zipFile,
    ...problems(['not_found', 'zip_too_large', 'too_many_transfers', 'file_damaged'])
  }
}
