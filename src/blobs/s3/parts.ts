const MIB = 1024 ** 2

/** The smallest part that S3 takes, except the last one of an object. */
export const PART_BYTES = 5 * MIB

const MAX_PARTS = 10_000

/** Beyond `MAX_PARTS` of `PART_BYTES`, the size of a part doubles after this many. */
const PARTS_OF_ONE_SIZE = 1000

/** The largest object, 4.9 TiB: S3 takes 5 TiB. */
export const MAX_OBJECT_BYTES = PARTS_OF_ONE_SIZE * PART_BYTES * (2 ** (MAX_PARTS / PARTS_OF_ONE_SIZE) - 1)

/** A buffer starts with this size, and doubles until it holds a part: most files are small. */
const INITIAL_BYTES = 64 * 1024

/**
 * The size of the part with this index, of an object of at most `maxBytes`. All parts have the same size if they can: some stores
 * ask for it, and small ones need less memory.
 */
export function partBytes (index: number, maxBytes: number): number {
  return maxBytes <= MAX_PARTS * PART_BYTES ? PART_BYTES : PART_BYTES * 2 ** Math.floor(index / PARTS_OF_ONE_SIZE)
}

/** Parts of an upload that are sent at the same time, so that the store need not be waited for between two of them. */
export const PARTS_AT_ONCE = 2

/** Buffers that take turns: one is filled while the parts in the others are sent. */
export interface PartBuffers {
  /** The bytes of the current part. They are overwritten when `PARTS_AT_ONCE` more parts are full and the next one begins. */
  filled (): Buffer
  /** Copies bytes of a chunk until the part has `partSize` bytes. Returns their number. */
  fill (chunk: Uint8Array, partSize: number): number
  /** Begins the next part, in the next buffer. */
  turn (): void
}

export function createPartBuffers (): PartBuffers {
  const buffers = Array.from({ length: PARTS_AT_ONCE + 1 }, () => Buffer.allocUnsafeSlow(INITIAL_BYTES))
  let index = 0
  let length = 0

  function filled (): Buffer {
    return (buffers[index] as Buffer).subarray(0, length)
  }

  function enlarge (needed: number, partSize: number): void {
    if (needed <= (buffers[index] as Buffer).length) return
    const larger = Buffer.allocUnsafeSlow(Math.min(partSize, Math.max(needed, 2 * length)))
    larger.set(filled())
    buffers[index] = larger
  }

  return {
    filled,
    fill (chunk, partSize) {
      const piece = chunk.subarray(0, partSize - length)
      enlarge(length + piece.length, partSize)
      buffers[index]?.set(piece, length)
      length += piece.length
      return piece.length
    },
    turn () {
      index = (index + 1) % buffers.length
      length = 0
    }
  }
}

/** A part. Its bytes are overwritten when `PARTS_AT_ONCE` more were given out and the next one is asked for. */
export interface Part { readonly bytes: Buffer, readonly isLast: boolean }

/** Collects chunks in parts, at least one. */
export async function * inParts (chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Part> {
  const buffers = createPartBuffers()
  let index = 0
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length;) {
      // A full part is given out when the next byte is there, because only then it is known not to be the last one.
      if (buffers.filled().length === partBytes(index, maxBytes)) {
        yield { bytes: buffers.filled(), isLast: false }
        index++
        buffers.turn()
      }
      start += buffers.fill(chunk.subarray(start), partBytes(index, maxBytes))
    }
  }
  yield { bytes: buffers.filled(), isLast: true }
}
