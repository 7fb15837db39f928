const UNITS = new Map([
  ['', 1], ['B', 1],
  ...['K', 'M', 'G', 'T'].flatMap((letter, index): [string, number][] => [
    [letter, 1024 ** (index + 1)], [`${letter}IB`, 1024 ** (index + 1)], [`${letter}B`, 1000 ** (index + 1)]
  ])
])

/** Units that a size is written in, the largest first; without one it is bytes. */
const WRITTEN = ['TiB', 'GiB', 'MiB', 'KiB', '']

/**
 * Reads a size such as `1000`, `64 MiB` or `1.5g` as bytes: K, M, G and T, also with iB, are powers of 1024; with B alone
 * they are powers of 1000. Undefined for anything else, also where the bytes are not a whole number that is counted exactly.
 */
export function parseByteSize (text: string): number | undefined {
  const [, digits, unit = ''] = /^\s*(\d+(?:\.\d+)?) ?([a-z]*)\s*$/i.exec(text) ?? []
  const bytes = Number(digits) * Number(UNITS.get(unit.toUpperCase()))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Writes a size in the largest unit of which it is a whole number or a half. */
export function byteSizeText (bytes: number): string {
  const inUnit = (unit: string) => bytes / Number(UNITS.get(unit.toUpperCase()))
  const unit = String(WRITTEN.find(name => 2 * inUnit(name) % 1 === 0))
  return `${inUnit(unit)} ${unit}`.trim()
}
