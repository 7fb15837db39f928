import { MAX_METADATA_BYTES } from '../metadata/upload-records.ts'
import { parseMilliseconds } from './modified-time.ts'
import { fieldOf, refuseField, type Headers } from './upload-fields.ts'

/** What `Upload-Metadata` of tus says about the file; undefined or null if it does not. */
interface DeclaredFile {
  readonly name: string | undefined
  readonly type: string | undefined
  readonly modifiedAt: number | null
}

/** Base64 with padding, as tus requires. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** `Upload-Metadata` as sent. @throws upload_header_invalid if it is too long. */
export function findUploadMetadata (headers: Headers): string | undefined {
  const field = fieldOf(headers, 'upload-metadata')
  if (field !== undefined && field.length > MAX_METADATA_BYTES) refuseField(`Upload-Metadata is longer than ${MAX_METADATA_BYTES} bytes.`)
  return field
}

/**
 * Reads `Upload-Metadata`: pairs of a key and a Base64 value. Name and type have two keys each in use; `lastModified`
 * is in milliseconds since 1970, as that of a `File`.
 * @throws upload_header_invalid.
 */
export function declaredFile (headers: Headers): DeclaredFile {
  const values = new Map<string, string>()
  const pairs = findUploadMetadata(headers)?.trim() ?? ''
  for (const pair of pairs === '' ? [] : pairs.split(',')) {
    const [key = '', value = '', ...rest] = pair.trim().split(/ +/)
    if (key === '' || rest.length > 0 || values.has(key)) refuseField('Upload-Metadata needs distinct keys, each with at most one value.')
    if (!BASE64.test(value)) refuseField('A value of Upload-Metadata is not Base64.')
    values.set(key, value)
  }
  return {
    name: textOf(values, ['filename', 'name']),
    type: textOf(values, ['filetype', 'type']),
    // Not `textOf`: what is no time is ignored, as an unknown key is.
    modifiedAt: parseMilliseconds(Buffer.from(values.get('lastModified') ?? '', 'base64').toString()) ?? null
  }
}

/** The first text that is not empty. */
function textOf (values: Map<string, string>, keys: string[]): string | undefined {
  const value = keys.map(key => values.get(key)).find(text => text !== undefined && text !== '')
  if (value === undefined) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, 'base64'))
  } catch {
    return refuseField('A value of Upload-Metadata is not UTF-8.')
  }
}
