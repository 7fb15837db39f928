/** Letters with a stroke and ligatures, which no normalization form takes apart. */
const LETTERS: Readonly<Record<string, string>> = { Ø: 'O', Ł: 'L', Đ: 'D', Ð: 'D', Ħ: 'H', Ŧ: 'T', Æ: 'AE', Œ: 'OE', Þ: 'TH' }

/** A text without case and accents, as the search of the API compares names: `Zoë`, `zoe` and `ZOË` are the same. */
export function folded (text: string): string {
  return text.normalize('NFKD').replaceAll(/[\u0300-\u036F]/g, '').toUpperCase()
    .replaceAll(/[ØŁĐÐĦŦÆŒÞ]/g, letter => LETTERS[letter] ?? letter)
}
