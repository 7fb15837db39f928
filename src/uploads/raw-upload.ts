import type { IncomingMessage } from 'node:http'
import type { IncomingBody } from '../files/incoming-file.ts'
import { openUploadBody } from './body.ts'
import { FORM_FIELDS, hasType } from './upload-fields.ts'

/** A body that is the file. `modifiedAt`: the client's time of the content. @throws as `openUploadBody`. */
export function rawUpload (
  request: IncomingMessage, { name, modifiedAt }: { name: string, modifiedAt: number | null }
): IncomingBody {
  const { announcedBytes, bytes, confirm } = openUploadBody(request)
  return {
    name,
    minBytes: announcedBytes ?? 0,
    maxBytes: announcedBytes ?? Number.MAX_SAFE_INTEGER,
    async read (use) {
      await use({ name, type: declaredType(request), bytes })
      confirm()
    },
    modifiedAt: () => modifiedAt
  }
}

/** The declared type of a raw upload, from the headers as sent. */
export function declaredType ({ rawHeaders, headers }: Pick<IncomingMessage, 'rawHeaders' | 'headers'>): string | undefined {
  const at = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-type')
  return at === -1 || hasType(headers, FORM_FIELDS) ? undefined : rawHeaders[at + 1]
}
