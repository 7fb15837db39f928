/** Invisible characters that change what is seen: those in an emoji, and those that select the form of a letter. */
const NEEDED = '\\p{RGI_Emoji}' +
  '|[[\\p{Script=Arabic}\\p{Mark}]--\\p{Default_Ignorable_Code_Point}][\\u200C\\u200D]' +
  '|\\p{Script=Han}[\\u{E0100}-\\u{E01EF}]'

/**
 * Characters that can't be seen. Those that change the direction of text make `photo\u202Egpj.exe` look like
 * `photoexe.jpg`.
 */
const INVISIBLE = '[\\p{Bidi_Control}\\p{Default_Ignorable_Code_Point}\\u2028\\u2029\\uFFF9-\\uFFFB]'

const NEEDED_OR_INVISIBLE = new RegExp(`(${NEEDED})|${INVISIBLE}`, 'gv')

/** Splits a name at its invisible characters. Every second piece is the code point of one, such as `[U+202E]`. */
export function piecesOf (name: string): string[] {
  const pieces: string[] = []
  let end = 0
  for (const { 0: text, 1: needed, index } of name.matchAll(NEEDED_OR_INVISIBLE)) {
    if (needed !== undefined) continue
    pieces.push(name.slice(end, index), codeOf(text))
    end = index + text.length
  }
  return [...pieces, name.slice(end)]
}

/** The name for a text without markup, with code points instead of characters that can't be seen. */
export function visibleName (name: string): string {
  return piecesOf(name).join('')
}

/** The name that an input offers to change: nothing in it is hidden. */
export function withoutInvisible (name: string): string {
  return piecesOf(name).filter((_piece, index) => index % 2 === 0).join('')
}

function codeOf (character: string): string {
  return `[U+${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`
}
