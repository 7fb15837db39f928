/** The smallest string greater than every string with this prefix, in code point order; undefined if there is none. */
export function afterPrefix (prefix: string): string | undefined {
  const points = Array.from(prefix, character => Number(character.codePointAt(0)))
  while (points.at(-1) === 0x10FFFF) points.pop()
  const last = points.pop()
  if (last === undefined) return undefined
  // U+D800 to U+DFFF are surrogates, not characters.
  return String.fromCodePoint(...points, last === 0xD7FF ? 0xE000 : last + 1)
}
