import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { MultipartFile } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import type { IncomingBody, IncomingFile } from '../files/incoming-file.ts'
import { joinPath } from '../metadata/paths.ts'
import { invalidField, Problem, refuseSize } from '../problems.ts'
import { modifiedAtOf, openUploadBody, type UploadBody } from './body.ts'
import { parseTime } from './modified-time.ts'

/** Bytes that a form may have in addition to the largest file, for delimiters and other fields. */
const FORM_OVERHEAD_BYTES = 64 * 1024

/** Maximum size of one part's header section. The parser ignores what exceeds it. */
const MAX_PART_HEADER_BYTES = 16 * 1024

/** Limits of `@fastify/multipart`. The file itself is limited while it is stored. */
export const multipartLimits = { parts: 1000, headerPairs: 100, headerSize: MAX_PART_HEADER_BYTES, fileSize: Infinity }

/** The field that the file must be in. */
const FILE_FIELD = 'file'

/** The field with the client's time of the content. */
const TIME_FIELD = 'modifiedAt'

/** Bytes of that field at most. A time of RFC 3339 can have any number of decimals. */
const MAX_TIME_BYTES = 64

/** `filename` is without a path; undefined if the part is not a file. */
type FormPart = Pick<MultipartFile, 'fieldname' | 'file'> & { readonly filename: string | undefined }

type IsPartAFile = (field: string | undefined, type: string | undefined, filename: string | undefined) => boolean

interface Form {
  readonly request: FastifyRequest
  readonly body: UploadBody
  /** Where the file goes. */
  readonly folder: string
  readonly contentType: string
  readonly maxFileBytes: number
}

/** The file in a form. Its name is unknown until the form is read; its size is known roughly. @throws file_missing. */
export function formUpload (
  request: FastifyRequest, { folder, maxFileBytes }: Pick<Form, 'folder' | 'maxFileBytes'>
): IncomingBody {
  const contentType = request.headers['content-type']
  if (contentType === undefined) throw new Problem('file_missing')
  const body = openUploadBody(request.raw)
  const { announcedBytes } = body
  const fromHeader = modifiedAtOf(request.headers)
  let modifiedAt: number | null
  return {
    folder,
    minBytes: Math.max(0, (announcedBytes ?? 0) - FORM_OVERHEAD_BYTES),
    maxBytes: announcedBytes ?? Number.MAX_SAFE_INTEGER,
    async * read () {
      modifiedAt = yield * readForm({ request, body, folder, contentType, maxFileBytes })
      body.confirm()
    },
    modifiedAt: () => modifiedAt ?? fromHeader
  }
}

/**
 * Reads a form to its end. Gives its file, whose bytes must be read. Returns the client's time of the content, null if
 * the form does not tell it.
 * @throws malformed_multipart, upload_incomplete, file_missing, file_unexpected, file_too_large, validation_failed.
 */
async function * readForm (
  { request, body, folder, contentType, maxFileBytes }: Form
): AsyncGenerator<IncomingFile, number | null> {
  const boundary = boundaryOf(contentType)
  const types = createTypeReader(boundary)
  const delimiters = createDelimiterCounter(boundary)
  const source = Readable.from(watch(body.bytes, { maxFileBytes, readers: [types, delimiters] }))
  let parts = 0
  const fileFields: string[] = []
  const times: number[] = []
  // Every part is streamed, so that the values of other fields are dropped as they arrive and never collected.
  const isPartAFile: IsPartAFile = (field, _type, filename) => {
    parts++
    if (filename !== undefined) fileFields.push(field ?? '')
    return true
  }
  try {
    const found = withBody(request, source).parts({ isPartAFile }) as AsyncIterable<FormPart>
    for await (const part of translateErrors(found)) {
      if (part.filename === undefined) {
        if (part.fieldname === TIME_FIELD) times.push(await readTime(part.file))
        else part.file.resume()
      } else {
        checkFields(fileFields)
        const name = joinPath(folder, checkEncoding(part.filename))
        yield { name, type: types.declared(), bytes: translateErrors(part.file) }
      }
    }
    // The parser stops at the closing delimiter, but a digest also covers what follows.
    await finished(source.resume())
  } finally {
    source.destroy()
  }
  // The parser skips a part whose headers it can't read. The file itself may contain the delimiter.
  if (parts !== delimiters.count()) refuseForm('A part has no valid headers.')
  checkFields(fileFields)
  if (times.length > 1) refuseTime('is given more than once')
  return times[0] ?? null
}

/** The request with `source` as its body, for `@fastify/multipart`, which would read the socket itself. */
function withBody (request: FastifyRequest, source: Readable): FastifyRequest {
  const raw = Object.assign(source, { headers: request.raw.headers })
  return Object.create(request, { raw: { value: raw } }) as FastifyRequest
}

async function readTime (field: AsyncIterable<Buffer>): Promise<number> {
  let text = ''
  for await (const chunk of translateErrors(field)) {
    text += chunk.toString('latin1')
    if (text.length > MAX_TIME_BYTES) refuseTime('is too long')
  }
  return parseTime(text) ?? refuseTime('is not a time of RFC 3339')
}

function refuseTime (message: string): never {
  throw invalidField(TIME_FIELD, message)
}

function checkFields (fileFields: string[]): void {
  if (fileFields.length === 0) {
    throw new Problem('file_missing', { detail: 'The form has no file in a field named file.' })
  }
  const refuse = (detail: string) => { throw new Problem('file_unexpected', { detail }) }
  if (fileFields.some(field => field !== FILE_FIELD)) refuse('The file must be in the field named file.')
  if (fileFields.length > 1) refuse('The form has more than one file.')
}

/** @throws malformed_multipart. */
function refuseForm (detail: string, cause?: unknown): never {
  throw new Problem('malformed_multipart', { detail, cause })
}

/** The parser replaces bytes that are not UTF-8 by U+FFFD. */
function checkEncoding (filename: string): string {
  if (filename.includes('\uFFFD')) refuseForm('The filename is not UTF-8.')
  return filename
}

/** Reads a form as it arrives, before the parser gets it. */
interface FormReader { read (chunk: Buffer): void }

/** Limits the whole form as it arrives, and shows it to `readers`. @throws file_too_large. */
async function * watch (
  bytes: AsyncIterable<Buffer>, { maxFileBytes, readers }: { maxFileBytes: number, readers: FormReader[] }
): AsyncGenerator<Buffer> {
  let received = 0
  for await (const chunk of bytes) {
    received += chunk.length
    if (received > maxFileBytes + FORM_OVERHEAD_BYTES) refuseSize(maxFileBytes)
    for (const reader of readers) reader.read(chunk)
    yield chunk
  }
}

/** Turns the parser's own errors into problems. Other errors are not the client's. */
async function * translateErrors<T> (items: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield * items
  } catch (error) {
    const { code, constructor } = error as NodeJS.ErrnoException
    // A field is named like a property of `Object.prototype`. The parser skips it, and throws at the end of the form.
    if (code === 'FST_PROTO_VIOLATION') return
    if (code === 'FST_PARTS_LIMIT') refuseForm(`A form may have at most ${multipartLimits.parts} parts.`, error)
    // The parser's other errors are plain `Error`s. Anything else, such as a TypeError, is a fault of the server.
    throw constructor === Error ? new Problem('upload_incomplete', { cause: error }) : error
  }
}

/** RFC 2046 section 5.1.1: 1 to 70 characters of a limited set, the last one not a space. */
function boundaryOf (contentType: string): string {
  const [, quoted, token] = /;\s*boundary=(?:"([^"]*)"|([^\s;]*))/i.exec(contentType) ?? []
  const boundary = quoted ?? token ?? ''
  if (!/^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/.test(boundary)) {
    refuseForm('The Content-Type has no usable boundary.')
  }
  return boundary
}

interface DelimiterCounter extends FormReader {
  /** The delimiters that begin a part. */
  count (): number
}

/**
 * Counts the parts of a form.
 * @throws malformed_multipart if other text follows a delimiter on its line: the parser would cut the file there.
 */
function createDelimiterCounter (boundary: string): DelimiterCounter {
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  // A delimiter with the two bytes that tell its kind.
  const length = delimiter.length + 2
  // The end of the last chunk, where a delimiter may begin. At first the line end that the first delimiter lacks.
  let tail: Buffer = Buffer.from('\r\n')
  let count = 0
  let isClosed = false

  function scan (bytes: Buffer): void {
    let at = bytes.indexOf(delimiter)
    for (; at !== -1 && at + length <= bytes.length && !isClosed; at = bytes.indexOf(delimiter, at + 1)) {
      const next = bytes.toString('latin1', at + delimiter.length, at + length)
      isClosed = next === '--'
      if (!isClosed && next !== '\r\n') refuseForm('A delimiter is followed by other text on its line.')
      if (!isClosed) count++
    }
  }

  return {
    read (chunk) {
      if (isClosed) return
      // Delimiters that began in the tail, then those that are whole in the chunk.
      const seam = Buffer.concat([tail, chunk.subarray(0, length - 1)])
      scan(seam)
      scan(chunk)
      tail = (chunk.length < length ? seam : chunk).subarray(1 - length)
    },
    count: () => count
  }
}

interface TypeReader extends FormReader {
  /** `Content-Type` of the first file as sent, undefined if it has none. */
  declared (): string | undefined
}

/** Reads the type of the first file from its headers: the parser drops parameters, and defaults to `text/plain`. */
function createTypeReader (boundary: string): TypeReader {
  const delimiter = `\r\n--${boundary}`
  let text = '\r\n'
  let headers: string | undefined

  return {
    read (chunk) {
      if (headers !== undefined) return
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end !== -1 && headers === undefined; end = text.indexOf('\r\n\r\n')) {
        const start = text.lastIndexOf(delimiter, end)
        const section = start === -1 ? '' : text.slice(start + delimiter.length, end)
        if (/^content-disposition:.*;[ \t]*filename/im.test(section)) headers = section
        // The second line end may be the one that a delimiter begins with.
        text = text.slice(end + 2)
      }
      text = text.slice(-MAX_PART_HEADER_BYTES)
    },
    declared: () => /^content-type:(.*)$/im.exec(headers ?? '')?.[1]
  }
}
