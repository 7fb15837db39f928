const MIB = 1024 ** 2

/** The smallest part that S3 takes, except the last one of an object. */
export const PART_BYTES = 5 * MIB

const MAX_PARTS = 10_000

/** Beyond `MAX_PARTS` of `PART_BYTES`, the size of a part doubles after this many. */
const PARTS_OF_ONE_SIZE = 1000

/** The largest object, 4.9 TiB: S3 takes 5 TiB. */
export const MAX_OBJECT_BYTES = PARTS_OF_ONE_SIZE * PART_BYTES * (2 ** (MAX_PARTS / PARTS_OF_ONE_SIZE) - 1)

/**
 * The size of the part with this index, of an object of at most `maxBytes`. All parts have the same size if they can:
 * some stores ask for it, and small ones need less memory.
 */
export function partBytes (index: number, maxBytes: number): number {
  return maxBytes <= MAX_PARTS * PART_BYTES ? PART_BYTES : PART_BYTES * 2 ** Math.floor(index / PARTS_OF_ONE_SIZE)
}

/** Parts of an upload that are sent at the same time, so that the store need not be waited for between two of them. */
export const PARTS_AT_ONCE = 2
