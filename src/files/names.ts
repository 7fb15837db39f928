import { lookup } from 'mime-types'
import { normaliseWithin } from '../http/wire-values.ts'
import { MAX_FOLDER_BYTES, MAX_FOLDER_SEGMENTS, MAX_SEGMENT_BYTES, splitPath } from '../metadata/paths.ts'
import { Problem } from '../problems.ts'

/** Maximum length of a name: the path of a folder, `/` and a segment. */
export const MAX_NAME_BYTES = MAX_FOLDER_BYTES + 1 + MAX_SEGMENT_BYTES

const CONTROL = /\p{Cc}/u

/** Maximum length of a declared media type. RFC 6838 section 4.2 allows 127 characters for each of its two names. */
export const MAX_TYPE_LENGTH = 255

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const QUOTED = '"(?:[\\t !#-\\[\\]-~]|\\\\[\\t -~])*"'
// White space is matched in one place only, before a `;` or before a name. Two places that could match it took minutes
// for one type.
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:[ \\t]*;(?:[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))?)*$`)

/**
 * A file name in NFC, the form that is stored and compared: its path, segments joined by `/`. Otherwise it is kept as
 * sent.
 * @throws name_invalid if it is too long, has too many segments, is ill-formed, or if a segment is empty, too long, `.`
 * or `..`, or has a `\` or control character.
 */
export function fileName (text: string): string {
  const name = pathOf(text, MAX_NAME_BYTES)
  const { folder } = splitPath(name)
  if (folder !== '') requireFolder(folder)
  return name
}

/** The path of a folder, which is not the root, in NFC. @throws name_invalid, as `fileName` does. */
export function folderPath (text: string): string {
  return requireFolder(pathOf(text, MAX_FOLDER_BYTES))
}

/** The path of a folder in the field `folder`: empty for the root, for which `/` also stands. @throws name_invalid. */
export function folderOrRoot (text: string): string {
  return text === '' || text === '/' ? '' : inField('folder', () => folderPath(text))
}

/** A name of one segment, in NFC. @throws name_invalid, as `fileName` does, and if it has a `/`. */
export function segmentName (text: string): string {
  const name = pathOf(text, MAX_SEGMENT_BYTES)
  if (name.includes('/')) refuse('It has a slash.')
  return name
}

/** A name that the request has in a field of another name. @throws name_invalid, of that field. */
export function inField (field: string, read: () => string): string {
  try {
    return read()
  } catch (error) {
    const { message } = error as Problem
    throw new Problem('name_invalid', { detail: message, errors: [{ field, message }], cause: error })
  }
}

/** A name as it is stored, by `fileName` or `nameOf`; undefined if that refuses it. */
export function findName (text: string, nameOf: (text: string) => string = fileName): string | undefined {
  try {
    return nameOf(text)
  } catch {
    return undefined
  }
}

/** The same, for a lookup. @throws not_found if nothing can have this name. */
export function getName (text: string, nameOf?: (text: string) => string): string {
  const name = findName(text, nameOf)
  if (name === undefined) throw new Problem('not_found')
  return name
}

/** The name that a list is asked for, as it is stored. One that nothing can have becomes `/`, which finds nothing. */
export function queriedName (text: string | undefined): string | undefined {
  return text === undefined ? undefined : findName(text) ?? '/'
}

/** A prefix of segments, in NFC; `/`, with which none begins, if it is too long or has a control character. */
export function namePrefix (text: string): string {
  return CONTROL.test(text) ? '/' : normaliseWithin(text, MAX_SEGMENT_BYTES) ?? '/'
}

/** The extension of a name in lower case, without the dot; empty if there is none, as in `.profile`. */
export function extensionOf (path: string): string {
  const { name } = splitPath(path)
  const dot = name.lastIndexOf('.')
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : ''
}

function pathOf (text: string, maxBytes: number): string {
  if (!text.isWellFormed()) refuse('It is not well-formed Unicode.')
  const path = normaliseWithin(text, maxBytes) ?? refuse(`It has more than ${maxBytes} bytes.`)
  if (path === '') refuse('It is empty.')
  if (path.includes('\\') || CONTROL.test(path)) refuse('It has a backslash or a control character.')
  for (const segment of path.split('/')) {
    if (segment === '') refuse('It has an empty segment: a slash at its beginning or end, or two in a row.')
    if (segment === '.' || segment === '..') refuse('A segment is `.` or `..`.')
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) refuse(`A segment has more than ${MAX_SEGMENT_BYTES} bytes.`)
  }
  return path
}

function requireFolder (path: string): string {
  if (Buffer.byteLength(path) > MAX_FOLDER_BYTES) {
    refuse(`The path of a folder has more than ${MAX_FOLDER_BYTES} bytes.`)
  }
  if (path.split('/').length > MAX_FOLDER_SEGMENTS) {
    refuse(`There are more than ${MAX_FOLDER_SEGMENTS} folders in one another.`)
  }
  return path
}

function refuse (detail: string): never {
  throw new Problem('name_invalid', { detail, errors: [{ field: 'name', message: detail }] })
}

/** Whether a text is a media type (RFC 9110 section 8.3.1) in ASCII, and so is safe as a header value. */
export function isMediaType (text: string): boolean {
  return text.length <= MAX_TYPE_LENGTH && MEDIA_TYPE.test(text)
}

/** The declared type if it is well formed, else the type of the name's extension, else `application/octet-stream`. */
export function mediaTypeOf (name: string, declared: string | undefined): string {
  const type = declared?.trim() ?? ''
  return isMediaType(type) ? type : lookup(extensionOf(name)) || 'application/octet-stream'
}
