import type { IncomingMessage } from 'node:http'
import { Problem } from '../errors.ts'
import { expectDigests, type DigestCheck } from './digests.ts'

/** Room for the delimiters and other fields of a form around a file of the largest size. */
const FORM_OVERHEAD_BYTES = 64 * 1024

/** A request's body, refused by its head if it can't be taken, and not yet read. */
export interface UploadBody extends DigestCheck {
  /** Bytes announced; undefined for a chunked body. */
  readonly announcedBytes: number | undefined
  readonly bytes: AsyncIterable<Buffer>
}

/**
 * Looks at the head of an upload. What is announced is judged by the caller, before it reads `bytes`.
 * @throws content_encoding_unsupported, digest_malformed.
 */
export function openUploadBody (request: IncomingMessage): UploadBody {
  const { headers } = request
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? ''
  if (encoding !== '' && encoding !== 'identity') throw new Problem('content_encoding_unsupported', { headers: { 'accept-encoding': 'identity' } })
  const length = headers['content-length']
  const check = expectDigests([textOf(headers['content-digest']), textOf(headers['repr-digest'])])
  return {
    announcedBytes: headers['transfer-encoding'] === undefined ? Number(length ?? 0) : undefined,
    bytes: check.watch(read(request)),
    watch: check.watch,
    confirm: check.confirm
  }
}

/** For a form, where the announced and the received size include more than the file. @throws file_too_large. */
export async function * boundForm ({ announcedBytes, bytes }: UploadBody, maxFileBytes: number): AsyncGenerator<Buffer> {
  const limit = maxFileBytes + FORM_OVERHEAD_BYTES
  let received = announcedBytes ?? 0
  refuseBeyond(received, limit, maxFileBytes)
  received = 0
  for await (const chunk of bytes) {
    received += chunk.length
    refuseBeyond(received, limit, maxFileBytes)
    yield chunk
  }
}

function refuseBeyond (bytes: number, limit: number, maxFileBytes: number): void {
  if (bytes > limit) throw new Problem('file_too_large', { detail: `A file may have ${maxFileBytes} bytes.` })
}

/** The body without destroying it when the reader stops early: an answer must still go out on its connection. */
async function * read (request: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield * request.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new Problem('upload_incomplete', { cause })
  }
}

function textOf (value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
