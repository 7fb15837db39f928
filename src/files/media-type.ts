import { lookup } from 'mime-types'
import { extensionOf } from './names.ts'

/** Longest declared media type that is kept; RFC 6838 section 4.2 allows 127 characters for each of its two names. */
export const MAX_TYPE_LENGTH = 255

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const QUOTED = '"(?:[\\t !#-\\[\\]-~]|\\\\[\\t -~])*"'
// Space belongs to one place only, before a `;` or before a name: two that could share it made one type cost minutes.
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:[ \\t]*;(?:[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))?)*$`)

/** True for a media type by the grammar of RFC 9110 section 8.3.1, ASCII only: safe to be sent back as a header. */
export function isMediaType (text: string): boolean {
  return text.length <= MAX_TYPE_LENGTH && MEDIA_TYPE.test(text)
}

/** What the client declared if it is well formed, else what the name's extension says, else `application/octet-stream`. */
export function mediaTypeOf (name: string, declared: string | undefined): string {
  const type = declared?.trim() ?? ''
  return isMediaType(type) ? type : lookup(extensionOf(name)) || 'application/octet-stream'
}
