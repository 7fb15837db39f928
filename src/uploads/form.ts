import { Problem } from '../problems.ts'

/** Parts of one form at the most. */
const MAX_PARTS = 1000

/** Bytes of one part's head at the most. */
const MAX_PART_HEAD_BYTES = 16 * 1024

const CRLF = Buffer.from('\r\n')
const HEAD_END = Buffer.from('\r\n\r\n')

/** One part of a form. Its bytes must be read before the next part is asked for; what is left of them is skipped. */
export interface FormPart {
  readonly name: string
  /** As the client wrote it, with nothing but its path cut off; undefined for a part that is no file. */
  readonly filename: string | undefined
  /** The declared media type, unchecked. */
  readonly type: string | undefined
  readonly bytes: AsyncIterable<Buffer>
}

/**
 * The parts of a multipart/form-data body (RFC 7578) in their order, pulled from `source` with its back pressure; the
 * source is read to its end. Written here because the parsers at hand break the contract: they prefer `filename*`, put
 * U+FFFD where a name is not UTF-8, or take a body that was cut before the last two dashes.
 * @throws malformed_multipart, upload_incomplete where the body ends before its closing delimiter.
 */
export async function * readForm (source: AsyncIterable<Buffer>, contentType: string): AsyncGenerator<FormPart> {
  const delimiter = Buffer.from(`\r\n--${boundaryOf(contentType)}`)
  const scanner = createScanner(source)
  try {
    await drain(scanner.until(delimiter))
    for (let count = 1; !await scanner.skips('--'); count++) {
      if (count > MAX_PARTS) refuse(`A form may have ${MAX_PARTS} parts.`)
      const head = parsePartHead(await scanner.partHead())
      const bytes = scanner.until(delimiter)
      yield { ...head, bytes }
      await drain(bytes)
    }
    await drain(scanner.rest())
  } finally {
    // A refused body is dropped by whoever answers, which can't read it while this reader holds on to it.
    await scanner.close()
  }
}

interface Scanner {
  /** The bytes up to `delimiter`, which is consumed. */
  until (delimiter: Buffer): AsyncGenerator<Buffer>
  /** Consumes `text` if it comes next, and says whether it did. */
  skips (text: string): Promise<boolean>
  /** The text between a delimiter line and the empty line behind a part's head, a byte a character. */
  partHead (): Promise<string>
  rest (): AsyncGenerator<Buffer>
  /** Lets go of the source. */
  close (): Promise<void>
}

function createScanner (source: AsyncIterable<Buffer>): Scanner {
  const chunks = source[Symbol.asyncIterator]()
  // The delimiter begins with a line end, which the first one of a body need not have.
  let buffered: Buffer = CRLF

  async function more (): Promise<void> {
    const { done, value } = await chunks.next()
    if (done === true) throw new Problem('upload_incomplete')
    buffered = buffered.length === 0 ? value : Buffer.concat([buffered, value])
  }

  function take (length: number): Buffer {
    const taken = buffered.subarray(0, length)
    buffered = buffered.subarray(length)
    return taken
  }

  return {
    async * until (delimiter) {
      for (;;) {
        const at = buffered.indexOf(delimiter)
        // Only a tail that may begin the delimiter is kept back: most chunks pass without being copied.
        const bytes = take(at === -1 ? buffered.length - overlap(buffered, delimiter) : at)
        if (bytes.length > 0) yield bytes
        if (at !== -1) {
          take(delimiter.length)
          return
        }
        await more()
      }
    },

    async skips (text) {
      while (buffered.length < text.length) await more()
      const isNext = buffered.toString('latin1', 0, text.length) === text
      if (isNext) take(text.length)
      return isNext
    },

    async partHead () {
      for (;;) {
        const end = buffered.indexOf(HEAD_END)
        if (end > MAX_PART_HEAD_BYTES || (end === -1 && buffered.length > MAX_PART_HEAD_BYTES)) refuse(`The head of a part may have ${MAX_PART_HEAD_BYTES} bytes.`)
        if (end !== -1) return take(end + HEAD_END.length).toString('latin1', 0, end)
        await more()
      }
    },

    async * rest () {
      if (buffered.length > 0) yield take(buffered.length)
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
    },

    async close () {
      await chunks.return?.()
    }
  }
}

/** Length of the longest end of `bytes` that `delimiter` begins with. */
function overlap (bytes: Buffer, delimiter: Buffer): number {
  for (let length = Math.min(bytes.length, delimiter.length - 1); length > 0; length--) {
    if (bytes[bytes.length - length] === delimiter[0] && bytes.subarray(-length).equals(delimiter.subarray(0, length))) return length
  }
  return 0
}

async function drain (bytes: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of bytes) void chunk
}

/** RFC 2046 section 5.1.1: 1 to 70 characters of a narrow set, the last no space. */
function boundaryOf (contentType: string): string {
  const [, quoted, token] = /;\s*boundary=(?:"([^"]*)"|([^\s;]*))/i.exec(contentType) ?? []
  const boundary = quoted ?? token ?? ''
  if (!/^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/.test(boundary)) refuse('The Content-Type has no usable boundary.')
  return boundary
}

/** The fields of a part's head. The rest of the delimiter's own line stands before the first of them. */
function parsePartHead (text: string): Omit<FormPart, 'bytes'> {
  const [padding = '', ...lines] = text.split('\r\n')
  if (!/^[ \t]*$/.test(padding)) refuse('A delimiter line does not end where it should.')
  const fields = new Map<string, string>()
  for (const line of lines) {
    const [, name = '', value = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[^ \t\r\n\0][^\r\n\0]*)?)$/.exec(line) ?? refuse('A line of a part\'s head is not a field.')
    if (fields.has(name.toLowerCase())) refuse('A field stands twice in a part\'s head.')
    fields.set(name.toLowerCase(), value)
  }
  return { ...parseDisposition(fields.get('content-disposition') ?? ''), type: fields.get('content-type') }
}

/** RFC 7578 section 4.2. `filename*` is not for forms and is not looked at. */
function parseDisposition (value: string): { name: string, filename: string | undefined } {
  const [, parameters = ''] = /^form-data[ \t]*((?:;[^]*)?)$/i.exec(value) ?? refuse('A part has no Content-Disposition of form-data.')
  const found = new Map<string, string>()
  const parameter = /;[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:\\"|[^"])*)"|([^;"]*)))?[ \t]*/y
  while (parameter.lastIndex < parameters.length) {
    const [, key, quoted, token = ''] = parameter.exec(parameters) ?? refuse('The Content-Disposition of a part is not well formed.')
    if (key === undefined) continue
    if (found.has(key.toLowerCase())) refuse('The Content-Disposition of a part says a thing twice.')
    // Browsers and curl write a quote as %22, which stays; others write it with a backslash.
    found.set(key.toLowerCase(), quoted?.replaceAll('\\"', '"') ?? token.trimEnd())
  }
  const filename = found.get('filename')
  return { name: decode(found.get('name') ?? refuse('A part has no name.')), filename: filename === undefined ? undefined : lastSegment(decode(filename)) }
}

function decode (latin1: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(latin1, 'latin1'))
  } catch (cause) {
    throw new Problem('malformed_multipart', { detail: 'A name in the form is not UTF-8.', cause })
  }
}

/** Some clients send a whole path; what counts is behind its last slash or backslash (RFC 7578 section 4.2). */
function lastSegment (path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
}

function refuse (detail: string): never {
  throw new Problem('malformed_multipart', { detail })
}
