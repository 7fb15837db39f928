import createBidi, { type Bidi } from 'bidi-js'
import { Problem } from '../problems.ts'

/** Longest username, in code points. */
export const MAX_USERNAME_POINTS = 64

// Code points that RFC 5892 section 2.6 classifies one by one.
const PERMITTED_EXCEPTIONS = /[\u00DF\u03C2\u06FD\u06FE\u0F0B\u3007]/u
const REFUSED_EXCEPTIONS = /[\u{640}\u{7FA}\u{3031}-\u{3035}\u{303B}]|\u{302E}|\u{302F}/u
/** Code points valid only in context: what must match before, after or around them (RFC 5892 sections A.3 to A.9). */
const CONTEXT_RULES = [
  { character: /\u{B7}/u, before: /l$/, after: /^l/, all: /^/ },
  { character: /\u{375}/u, before: /$/, after: /^\p{Script=Greek}/u, all: /^/ },
  { character: /[\u{5F3}\u{5F4}]/u, before: /\p{Script=Hebrew}$/u, after: /^/, all: /^/ },
  { character: /\u{30FB}/u, before: /$/, after: /^/, all: /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u },
  { character: /[\u{660}-\u{669}]/u, before: /$/, after: /^/, all: /^[^\u{6F0}-\u{6F9}]*$/u },
  { character: /[\u{6F0}-\u{6F9}]/u, before: /$/, after: /^/, all: /^[^\u{660}-\u{669}]*$/u }
]

const OLD_HANGUL_JAMO = /[\u1100-\u11FF\uA960-\uA97F\uD7B0-\uD7FF]/u
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\p{Cc}\p{Cn}\p{Join_Control}]/u
const LETTERS_AND_DIGITS = /[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]/u

/** Fullwidth and halfwidth forms and the ideographic space, which RFC 8265 section 3.3.2 maps to their usual width. */
const WIDE = /[\uFF01-\uFFEE\u3000]/gu

/** Bidi classes allowed in a right-to-left word (RFC 5893 section 2, rule 2). */
const RIGHT_TO_LEFT_TYPES = new Set(['R', 'AL', 'AN', 'EN', 'ES', 'CS', 'ET', 'ON', 'BN', 'NSM'])

// Its types are those of a module.
const bidi = (createBidi as unknown as () => Bidi)()

/**
 * The form in which usernames are compared: UsernameCaseMapped of RFC 8265 section 3.3 (width-mapped, lower case, NFC,
 * with its directionality rule), for each word of a name whose words are separated by single spaces (section 3.1).
 * @throws username_invalid; its detail says what is wrong.
 */
export function usernameKey (username: string): string {
  if (!username.isWellFormed()) refuse('The username is not well-formed Unicode.')
  const points = Array.from(username).length
  if (points === 0 || points > MAX_USERNAME_POINTS) {
    refuse(`The username must have 1 to ${MAX_USERNAME_POINTS} characters.`)
  }
  const mapped = mapWidth(username)
  if (/^ | $| {2}/.test(mapped)) {
    refuse('The username must not start or end with a space or contain two spaces in a row.')
  }
  if (mapped.includes(':')) refuse('The username must not contain a colon, which HTTP Basic can\'t transmit.')
  const key = mapCase(mapped)
  const characters = Array.from(mapped)
  for (const [index, character] of characters.entries()) {
    const isAllowed = character === ' ' || isIdentifierCharacter(character) ||
      isValidInContext(character, characters.slice(0, index).join(''), characters.slice(index + 1).join(''))
    const point = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
    if (!isAllowed) refuse(`U+${point} is not allowed in a username.`)
  }
  if (looksLikeToken(username) || looksLikeToken(key)) refuse('The username looks like a token.')
  if (!key.split(' ').every(obeysBidiRule)) refuse('The username mixes left-to-right and right-to-left text.')
  return key
}

/** Whether a password is the username in any width and case, valid as a username or not. */
export function isUsername (password: string, username: string): boolean {
  return mapCase(mapWidth(password)) === mapCase(mapWidth(username))
}

function mapWidth (text: string): string {
  return text.replace(WIDE, character => character.normalize('NFKC'))
}

function mapCase (text: string): string {
  return text.toLowerCase().normalize('NFC')
}

/** Like {@link usernameKey}, but returns undefined for an invalid username. */
export function findUsernameKey (username: string): string | undefined {
  try {
    return usernameKey(username)
  } catch {
    return undefined
  }
}

/** Whether text looks like a personal access token or a JWT (base64url of `{"`, RFC 7515 section 3.1), in any case. */
export function looksLikeToken (text: string): boolean {
  return /^mst_/i.test(text) || /^eyj[\w-]+\.[\w-]*\.[\w-]*$/i.test(text)
}

function refuse (detail: string): never {
  throw new Problem('username_invalid', { detail, errors: [{ field: 'username', message: detail }] })
}

/** Whether a character is in IdentifierClass; the checks are in the order of RFC 8264 section 8. */
function isIdentifierCharacter (character: string): boolean {
  if (PERMITTED_EXCEPTIONS.test(character)) return true
  if (REFUSED_EXCEPTIONS.test(character) || CONTEXT_RULES.some(rule => rule.character.test(character))) return false
  if (IGNORABLE.test(character) || OLD_HANGUL_JAMO.test(character)) return false
  if (/[!-~]/.test(character)) return true
  if (character.normalize('NFKC') !== character) return false
  return LETTERS_AND_DIGITS.test(character)
}

/** Whether a character is valid in this context. Join controls have no rule and are refused: they are invisible. */
function isValidInContext (character: string, before: string, after: string): boolean {
  return CONTEXT_RULES.some(rule => rule.character.test(character) && rule.before.test(before) &&
    rule.after.test(after) && rule.all.test(before + character + after))
}

/** RFC 5893 section 2: a word with a right-to-left character starts with one and has no left-to-right characters. */
function obeysBidiRule (word: string): boolean {
  const types = Array.from(word, character => bidi.getBidiCharTypeName(character))
  if (!types.some(type => type === 'R' || type === 'AL' || type === 'AN')) return true
  const beginsRightToLeft = types[0] === 'R' || types[0] === 'AL'
  const endsWell = ['R', 'AL', 'EN', 'AN'].includes(String(types.findLast(type => type !== 'NSM')))
  const mixesDigits = types.includes('EN') && types.includes('AN')
  return beginsRightToLeft && endsWell && !mixesDigits && types.every(type => RIGHT_TO_LEFT_TYPES.has(type))
}
