/** Letters with a stroke and ligatures, which Unicode normalization does not decompose. */
const LETTERS: Readonly<Record<string, string>> = {
  Ø: 'O', Ł: 'L', Đ: 'D', Ð: 'D', Ħ: 'H', Ŋ: 'N', Ŧ: 'T', Æ: 'AE', Œ: 'OE', Þ: 'TH', ẞ: 'SS'
}

/** A text without case and accents, as the search of the API compares names: `Zoë`, `zoe` and `ZOË` are the same. */
export function folded (text: string): string {
  return text.normalize('NFKD').replaceAll(/[\u0300-\u036F]/g, '').toUpperCase()
    .replaceAll(/[ØŁĐÐĦŊŦÆŒÞẞ]/g, letter => LETTERS[letter] ?? letter)
}
