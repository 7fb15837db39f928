/** Bytes from `start` to `end`, both inclusive. */
export interface ByteRange { readonly start: number, readonly end: number }

/** Maximum number of ranges in one request. Longer lists only cost the server work (RFC 9110 section 17.15). */
const MAX_RANGES = 32

/**
 * The byte ranges of a `Range` header (RFC 9110 section 14.1.2), limited to `size`, with overlapping ones merged.
 * `undefined` means to ignore the header: another unit, ill-formed, too many ranges, or a suffix of an empty file.
 * `unsatisfiable` means that no range is within the file.
 */
export function parseRanges (header: string, size: number): ByteRange[] | 'unsatisfiable' | undefined {
  const [, set] = /^bytes=(.*)$/i.exec(header.trim()) ?? []
  const specs = set?.split(',').map(spec => spec.trim()).filter(spec => spec !== '') ?? []
  if (specs.length === 0 || specs.length > MAX_RANGES) return undefined
  const ranges = specs.map(spec => parseSpec(spec, size))
  if (ranges.includes(undefined)) return undefined
  const satisfiable = ranges.filter((range): range is ByteRange => range !== undefined && range !== 'unsatisfiable')
  if (satisfiable.length === 0) return 'unsatisfiable'
  return size === 0 ? undefined : merge(satisfiable)
}

function parseSpec (spec: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^(\d*)-(\d*)$/.exec(spec) ?? []
  if (first === '') {
    if (last === '') return undefined
    return Number(last) === 0 ? 'unsatisfiable' : { start: Math.max(0, size - Number(last)), end: size - 1 }
  }
  // As BigInt, because numbers too large for a double could look equal.
  if (last !== '' && BigInt(first) > BigInt(last)) return undefined
  if (Number(first) >= size) return 'unsatisfiable'
  return { start: Number(first), end: last === '' ? size - 1 : Math.min(Number(last), size - 1) }
}

/** Keeps the requested order unless ranges overlap. Then they are sorted and merged, so that no byte is sent twice. */
function merge (ranges: ByteRange[]): ByteRange[] {
  const sorted = ranges.toSorted((a, b) => a.start - b.start)
  const merged: ByteRange[] = []
  for (const range of sorted) {
    const previous = merged.at(-1)
    if (previous !== undefined && range.start <= previous.end) {
      merged[merged.length - 1] = { start: previous.start, end: Math.max(previous.end, range.end) }
    } else {
      merged.push(range)
    }
  }
  return merged.length === ranges.length ? ranges : merged
}
