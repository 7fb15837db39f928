import { Problem } from '../problems.ts'
import type { UploadAppend } from './upload-append.ts'
import { fieldOf, type Headers } from './upload-fields.ts'

// `PUT` with `Content-Range` (RFC 9110 section 14.5), which `curl -C OFFSET -T FILE` sends: the rest of a file.

/** `bytes 5-9/10`. For an empty file curl writes `bytes 0--1/0`. */
const RANGE = /^bytes (\d+)-(-?\d+)\/(\d+)$/i

/**
 * The rest of a file; undefined if there is no `Content-Range`, or it is the whole file (`curl -C -`).
 * @throws content_range_invalid if the range does not end with the file, or has another length than the content.
 */
export function findRest (headers: Headers, announcedBytes: number | undefined): Pick<UploadAppend, 'offset' | 'length' | 'isLast'> | undefined {
  const text = fieldOf(headers, 'content-range')
  if (text === undefined) return undefined
  const [offset = NaN, last = NaN, length = NaN] = RANGE.exec(text.trim())?.slice(1).map(Number) ?? []
  if (last !== length - 1 || announcedBytes !== length - offset) {
    throw new Problem('content_range_invalid', { detail: 'The range must reach the last byte of the file, and the content must have the length of the range.' })
  }
  return offset === 0 ? undefined : { offset, length, isLast: true }
}

/** For a range that continues no upload: the client must send the whole file. */
export function nothingToContinue (offset: number): Problem {
  return new Problem('upload_offset_mismatch', {
    detail: 'No unfinished upload of this name was begun with PUT: send the file from its beginning.',
    members: { 'expected-offset': 0, 'provided-offset': offset },
    headers: { 'upload-offset': '0', 'upload-complete': '?0' }
  })
}
