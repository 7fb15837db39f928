import { normaliseWithin } from '../http/wire-values.ts'
import { Problem } from '../problems.ts'

/** Longest name, in bytes of UTF-8 after NFC. */
export const MAX_NAME_BYTES = 255

/**
 * A file's name in the one form that is stored and compared, NFC. Everything else about it is kept as sent.
 * @throws name_invalid for what is no name: empty or too long, `/`, `\`, control characters, ill-formed Unicode, `.` and `..`.
 */
export function fileName (text: string): string {
  if (!text.isWellFormed()) refuse('It is not well-formed Unicode.')
  const name = normaliseWithin(text, MAX_NAME_BYTES) ?? refuse(`It has more than ${MAX_NAME_BYTES} bytes.`)
  if (name === '') refuse('It is empty.')
  if (/[/\\\p{Cc}]/u.test(name)) refuse('It holds a slash, a backslash or a control character.')
  if (name === '.' || name === '..') refuse('A folder is called so.')
  return name
}

/** Like {@link fileName}, for a name that something is looked up by: undefined where no file can have it. */
export function findFileName (text: string): string | undefined {
  try {
    return fileName(text)
  } catch {
    return undefined
  }
}

/** The stored form of what names begin with. One that is longer than any name becomes one that no name begins with. */
export function namePrefix (text: string): string {
  return normaliseWithin(text, MAX_NAME_BYTES) ?? '/'
}

/** The extension of a name in lower case, without its dot; empty where there is none, as in `.profile`. */
export function extensionOf (name: string): string {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : ''
}

function refuse (detail: string): never {
  throw new Problem('name_invalid', { detail, errors: [{ field: 'name', message: detail }] })
}
