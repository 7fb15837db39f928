import { normaliseWithin } from '../http/wire-values.ts'
import { Problem } from '../problems.ts'

/** Maximum length of a name, in bytes of UTF-8 after NFC. */
export const MAX_NAME_BYTES = 255

const CONTROL = /\p{Cc}/u

/**
 * A file name in NFC, the form that is stored and compared. Otherwise it is kept as sent.
 * @throws name_invalid if it is empty, too long, ill-formed, `.` or `..`, or has a `/`, `\` or control character.
 */
export function fileName (text: string): string {
  if (!text.isWellFormed()) refuse('It is not well-formed Unicode.')
  const name = normaliseWithin(text, MAX_NAME_BYTES) ?? refuse(`It has more than ${MAX_NAME_BYTES} bytes.`)
  if (name === '') refuse('It is empty.')
  if (/[/\\]/.test(name) || CONTROL.test(name)) refuse('It has a slash, a backslash or a control character.')
  if (name === '.' || name === '..') refuse('It is the name of a folder.')
  return name
}

/** Like {@link fileName}, for a lookup: undefined if no file can have this name. */
export function findFileName (text: string): string | undefined {
  try {
    return fileName(text)
  } catch {
    return undefined
  }
}

/** A prefix of names, in NFC; `/`, with which no name begins, if it is too long or has a control character. */
export function namePrefix (text: string): string {
  return CONTROL.test(text) ? '/' : normaliseWithin(text, MAX_NAME_BYTES) ?? '/'
}

/** The extension of a name in lower case, without the dot; empty if there is none, as in `.profile`. */
export function extensionOf (name: string): string {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : ''
}

function refuse (detail: string): never {
  throw new Problem('name_invalid', { detail, errors: [{ field: 'name', message: detail }] })
}
