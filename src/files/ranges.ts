/** Bytes from `start` to `end`, both included. */
export interface ByteRange { readonly start: number, readonly end: number }

/** Ranges in one request at the most; a longer list is no use but to make the server work (RFC 9110 section 17.15). */
const MAX_RANGES = 32

/**
 * The byte ranges a `Range` header asks for (RFC 9110 section 14.1.2), overlapping ones merged, each clipped to `size`.
 * `undefined` means that the header is to be ignored: another unit, not well formed, too many ranges, or a suffix of an
 * empty file. `unsatisfiable` means that no range touches the file.
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
  // Compared as whole numbers of any length: two that are too long for a double must not look equal.
  if (last !== '' && BigInt(first) > BigInt(last)) return undefined
  if (Number(first) >= size) return 'unsatisfiable'
  return { start: Number(first), end: last === '' ? size - 1 : Math.min(Number(last), size - 1) }
}

/** The order asked for is kept unless ranges overlap: then they are sorted and joined, so that no byte is sent twice. */
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
