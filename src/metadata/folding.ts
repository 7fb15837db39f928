/** Letters that Unicode does not take apart, as they are typed on a keyboard that lacks them. */
const letters: Readonly<Record<string, string>> = {
  Æ: 'AE', Ð: 'D', Ø: 'O', Þ: 'TH', Đ: 'D', Ħ: 'H', Ł: 'L', Ŋ: 'N', Œ: 'OE', Ŧ: 'T', ẞ: 'SS'
}

/**
 * A text without case and accents: two texts that people take for the same one are equal, such as `Straße` and
 * `STRASSE`, `Ωραίος` and `ωραιος`, `ﬁle` and `FILE`. Of an ASCII text, the same in upper case.
 */
export function fold (text: string): string {
  return text.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toUpperCase()
    .replace(/[ÆÐØÞĐĦŁŊŒŦẞ]/g, letter => letters[letter] as string)
}
