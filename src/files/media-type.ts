import { lookup } from 'mime-types'
import { extensionOf } from './names.ts'

/** Maximum length of a declared media type. RFC 6838 section 4.2 allows 127 characters for each of its two names. */
export const MAX_TYPE_LENGTH = 255

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const QUOTED = '"(?:[\\t !#-\\[\\]-~]|\\\\[\\t -~])*"'
// White space is matched in one place only, before a `;` or before a name. Two places that could match it took minutes
// for one type.
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:[ \\t]*;(?:[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))?)*$`)

/** Whether a text is a media type (RFC 9110 section 8.3.1) in ASCII, and so is safe as a header value. */
export function isMediaType (text: string): boolean {
  return text.length <= MAX_TYPE_LENGTH && MEDIA_TYPE.test(text)
}

/** The declared type if it is well formed, else the type of the name's extension, else `application/octet-stream`. */
export function mediaTypeOf (name: string, declared: string | undefined): string {
  const type = declared?.trim() ?? ''
  return isMediaType(type) ? type : lookup(extensionOf(name)) || 'application/octet-stream'
}
