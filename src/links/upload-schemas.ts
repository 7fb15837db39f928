import { Type, type Static } from '@sinclair/typebox'
import { FileParams, StoredFile } from '../files/schemas.ts'
import { SharedObject } from '../http/wire-values.ts'
import { answer, problems } from '../openapi/responses.ts'
import type { FailureCode } from '../problems.ts'
import { resumableOperations } from '../uploads/resumable-schemas.ts'
import {
  DigestHeaders, fileModified, FormHeaders, NewUploadHeaders, refusedUploads, UploadBytes, UploadForm, uploadHeaders,
  UploadParams
} from '../uploads/schemas.ts'
import { LINK_PATH, newSecret, SecretParams, Segment } from './visitor-schemas.ts'

/** The paths of an `upload` link. */
export const LINK_FILES_PATH = `${LINK_PATH}/files`
export const LINK_UPLOADS_PATH = `${LINK_PATH}/uploads`

const { size, sha256 } = StoredFile.properties

export const SharedUploadResult = SharedObject('SharedUploadResult', 'A file that was stored by a link.', {
  name: Segment('Name of the file as it was asked for, in NFC. If it is taken, the owner finds the file under ' +
    'another, such as `report (2).pdf`.'),
  size,
  sha256
})
export type SharedUploadResult = Static<typeof SharedUploadResult>

/** The shared schemas of visitors who upload, for the document. */
export const linkUploadSchemas = [SharedUploadResult]

const NewFileParams = Type.Object({
  ...SecretParams.properties,
  name: { ...FileParams.properties.name, description: 'Name of the file: one segment, without `/`.' }
})

const LinkUploadParams = Type.Object({ ...SecretParams.properties, ...UploadParams.properties })

/** Sets `$secret` to that of a new link. */
const inboxSecret = newSecret('{"name":"reports","kind":"upload"}')

/** What all uploads by a link have in common. */
const rules = 'The file is always a new one, also if the same bytes are there: it gets a free name such as ' +
  '`report (2).pdf`, and no response tells what is in the folder. `maxFiles` and `maxBytes` of the link count all ' +
  'files that it ever stored, and unfinished uploads; the quota of the owner holds, too. A link for one upload ' +
  'stores one file with exactly its `fileName`, and ends with that: then it is 404, also if the response was lost. ' +
  'Any other name, other bytes than its `sha256`, and a name that is taken by then are refused, and nothing is stored.'

const stored = answer(SharedUploadResult, 'The new file.')

const refusedFiles: FailureCode[] = [...refusedUploads, 'name_taken', 'link_limit_reached', 'upload_header_invalid']

export const putSharedFile = {
  operationId: 'putSharedFile',
  summary: 'Upload a file by a link',
  description: `Stores the request body in the folder of an \`upload\` link. ${rules} \`Content-Type\`, ` +
    '`Content-Digest` and `Repr-Digest` are as for `putFile`. `If-Match`, `If-None-Match`, `If-Unmodified-Since`, ' +
    '`Content-Range`, `Upload-Complete` and `Tus-Resumable` are refused; `createSharedUpload` makes an upload that ' +
    'can be continued.',
  curl: [inboxSecret, 'curl -f -T report.pdf "http://127.0.0.1:5000/s/$secret/files/report.pdf"'],
  params: NewFileParams,
  headers: Type.Composite([DigestHeaders, Type.Object(fileModified)]),
  consumes: ['application/octet-stream'],
  body: UploadBytes,
  response: { 201: stored, ...problems(refusedFiles) }
}

export const uploadSharedFile = {
  operationId: 'uploadSharedFile',
  summary: 'Upload a file by a link, from a form',
  description: 'Stores the file of a form with one part named `file` in the folder of an `upload` link. ' +
    `${rules} \`Content-Digest\` and \`Repr-Digest\` cover the whole form as sent.`,
  curl: [inboxSecret, 'curl -f -F file=@report.pdf "http://127.0.0.1:5000/s/$secret/files"'],
  params: SecretParams,
  headers: FormHeaders,
  consumes: ['multipart/form-data'],
  body: UploadForm,
  response: {
    201: stored,
    ...problems([
      ...refusedFiles, 'malformed_multipart', 'file_missing', 'file_unexpected', 'unsupported_media_type'
    ])
  }
}

/** The operations on uploads by a link. */
export const linkOperations = resumableOperations({
  words: {
    create: {
      operationId: 'createSharedUpload',
      summary: 'Create a resumable upload by a link',
      description: 'Creates an upload to the folder of an `upload` link, as `createUpload` does: with the tus ' +
        'protocol (`Tus-Resumable`) or, experimentally, draft-ietf-httpbis-resumable-upload (`Upload-Complete`). ' +
        `${rules} A link may have 20 unfinished uploads. Their addresses are listed nowhere: keep \`Location\`. They ` +
        'end with the link.',
      curl: [
        inboxSecret,
        'upload=$(curl -f -X POST -H "Upload-Complete: ?0" -H "Content-Disposition: inline; filename=large.bin" ' +
          '"http://127.0.0.1:5000/s/$secret/uploads" | sed \'s|.*"id":"\\([0-9a-f]*\\)".*|\\1|\')'
      ]
    },
    get: {
      operationId: 'getSharedUpload',
      summary: 'Get an upload by a link',
      description: 'Returns the upload as it is. An append in progress goes on. If all bytes are there and the file ' +
        'was refused, the response is the refusal, such as 413, or 423 while a lock refuses it.',
      curl: 'curl -f "http://127.0.0.1:5000/s/$secret/uploads/$upload"'
    },
    head: {
      operationId: 'headSharedUpload',
      summary: 'Get the offset of an upload by a link',
      description: 'Returns the offset to continue from. An append in progress ends: its bytes up to this offset are ' +
        'stored. If all bytes are there and the file was refused, the response is the refusal, such as 413, or 423 ' +
        'while a lock refuses it. A complete upload is found until `Upload-Expires`. The rate limit counts only ' +
        'requests with Basic credentials.',
      curl: 'curl -f -I "http://127.0.0.1:5000/s/$secret/uploads/$upload"'
    },
    append: {
      operationId: 'appendSharedUpload',
      summary: 'Continue an upload by a link',
      description: 'Appends the content at `Upload-Offset`. If the connection is lost, what arrived is kept. With ' +
        'the last byte, or the end of content with `Upload-Complete: ?1`, the upload becomes a file; the response to ' +
        'a client of the draft is then that of `putSharedFile`. Another append in progress ends.',
      curl: 'curl -f -X PATCH -H "Upload-Complete: ?1" -H "Upload-Offset: 0" -H "Content-Type: ' +
          'application/partial-upload" --data-binary @report.pdf "http://127.0.0.1:5000/s/$secret/uploads/$upload"'
    },
    override: {
      operationId: 'overrideSharedUpload',
      summary: 'Continue or cancel an upload by a link with POST',
      description: 'For clients of tus behind proxies that refuse `PATCH`, `HEAD` or `DELETE`: ' +
        '`X-HTTP-Method-Override` names the method.',
      curl: 'curl -f -X POST -H "Tus-Resumable: 1.0.0" -H "X-HTTP-Method-Override: HEAD" ' +
          '"http://127.0.0.1:5000/s/$secret/uploads/$upload"'
    },
    cancel: {
      operationId: 'cancelSharedUpload',
      summary: 'Cancel an upload by a link',
      description: 'Ends the upload and deletes its bytes. A file that it became stays.',
      curl: 'curl -f -X DELETE "http://127.0.0.1:5000/s/$secret/uploads/$upload"'
    }
  },
  creation: { params: SecretParams, headers: NewUploadHeaders },
  params: LinkUploadParams,
  parameters: { secret: '$request.path.secret', id: '$response.body#/id' },
  completed: { 201: { ...stored, headers: uploadHeaders } },
  // Only uploads of the owner have conditions.
  failuresOf: own => [
    ...own.filter(code => code !== 'precondition_failed'), 'link_limit_reached'
  ]
})
