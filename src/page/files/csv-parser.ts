import { parse } from 'papaparse'

/** The first rows of a text, whatever separates their values. */
export function rowsOf (text: string, count: number): readonly (readonly string[])[] {
  return parse(text, { preview: count, skipEmptyLines: true }).data
}
