import { createHash, type Hash } from 'node:crypto'
import { parseDictionary } from 'structured-headers'
import { Problem } from '../problems.ts'

/** Supported algorithms of RFC 9530 section 5, and the length of their digests in bytes. */
const algorithms = { 'sha-256': { name: 'sha256', bytes: 32 }, 'sha-512': { name: 'sha512', bytes: 64 } } as const

type Algorithm = keyof typeof algorithms

interface Expected { readonly algorithm: Algorithm, readonly digest: Buffer }

/** A header or trailer field. */
type FieldValue = string | string[] | undefined

/** Bytes whose digest a client announced, or may announce in the trailer section if `isChecked`. */
export interface CheckedBytes {
  readonly bytes: AsyncIterable<Buffer>
  readonly isChecked: boolean
  /** To be called when the bytes have ended. @throws digest_mismatch, digest_malformed for a trailer field. */
  readonly confirm: () => void
}

/**
 * Compares bytes with what `Content-Digest` and `Repr-Digest` announce (RFC 9530 sections 2 and 3). An unknown
 * algorithm is ignored. `trailers` returns the trailer fields, if digests are announced there.
 * @throws digest_malformed if a field is not a dictionary of digests.
 */
export function expectDigests (
  bytes: AsyncIterable<Buffer>, head: readonly FieldValue[], trailers?: () => readonly FieldValue[]
): CheckedBytes {
  const expected = head.flatMap(parseDigests)
  const needed = trailers === undefined ? algorithmsOf(expected) : Object.keys(algorithms) as Algorithm[]
  const digest = new RunningDigest(needed)
  const isChecked = needed.length > 0
  return {
    bytes: isChecked ? digest.watch(bytes) : bytes,
    isChecked,
    confirm () {
      const late = trailers?.().flatMap(parseDigests) ?? []
      compare(digest, [...expected, ...late], 'The received bytes have')
    }
  }
}

/** The digests of bytes that arrive. */
export class RunningDigest {
  readonly #hashes: Map<Algorithm, Hash>
  #size = 0

  constructor (needed: readonly Algorithm[]) {
    this.#hashes = new Map(needed.map(algorithm => [algorithm, createHash(algorithms[algorithm].name)]))
  }

  /** Bytes so far. */
  get size (): number {
    return this.#size
  }

  update (chunk: Buffer): void {
    for (const hash of this.#hashes.values()) hash.update(chunk)
    this.#size += chunk.length
  }

  /** Passes bytes through unchanged. */
  async * watch (bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      this.update(chunk)
      yield chunk
    }
  }

  /** Whether it has the digests of all these algorithms. */
  covers (algorithms: readonly Algorithm[]): boolean {
    return algorithms.every(algorithm => this.#hashes.has(algorithm))
  }

  /** The digest of the bytes so far. */
  read (algorithm: Algorithm): Buffer {
    return (this.#hashes.get(algorithm) as Hash).copy().digest()
  }

  /** An independent copy. */
  copy (): RunningDigest {
    const copied = new RunningDigest([])
    for (const [algorithm, hash] of this.#hashes) copied.#hashes.set(algorithm, hash.copy())
    copied.#size = this.#size
    return copied
  }
}

/** The supported algorithms that a `Repr-Digest` announces. @throws digest_malformed. */
export function algorithmsIn (field: FieldValue): Algorithm[] {
  return algorithmsOf(parseDigests(field))
}

function algorithmsOf (expected: readonly Expected[]): Algorithm[] {
  return expected.map(({ algorithm }) => algorithm)
}

/**
 * Compares a file with a `Repr-Digest`, whose algorithms must be covered.
 * @throws digest_mismatch, digest_malformed.
 */
export function requireDigests (file: RunningDigest, field: FieldValue): void {
  compare(file, parseDigests(field), 'The file has')
}

function compare (digest: RunningDigest, expected: readonly Expected[], subject: string): void {
  const wrong = expected.find(({ algorithm, digest: value }) => !digest.read(algorithm).equals(value))
  if (wrong !== undefined) throw new Problem('digest_mismatch', { detail: `${subject} another ${wrong.algorithm}.` })
}

/** The `Repr-Digest` of a file (RFC 9530 section 3) for its SHA-256 in hex. */
export function reprDigest (sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`
}

/** False if a client declines sha-256 with a preference of 0 (RFC 9530 section 4). */
export function wantsSha256 (wantReprDigest = ''): boolean {
  try {
    return parseDictionary(wantReprDigest).get('sha-256')?.[0] !== 0
  } catch {
    return true
  }
}

function parseDigests (field: FieldValue): Expected[] {
  return Array.from(dictionaryOf(field?.toString() ?? '')).flatMap(([key, [value]]) => {
    if (!Object.hasOwn(algorithms, key)) return []
    const algorithm = key as Algorithm
    if (!(value instanceof ArrayBuffer) || value.byteLength !== algorithms[algorithm].bytes) {
      throw new Problem('digest_malformed', { detail: `The value of ${algorithm} is not a digest.` })
    }
    return [{ algorithm, digest: Buffer.from(value) }]
  })
}

function dictionaryOf (field: string): ReturnType<typeof parseDictionary> {
  try {
    return parseDictionary(field)
  } catch (cause) {
    throw new Problem('digest_malformed', { detail: 'The field is not a dictionary (RFC 9651 section 3.2).', cause })
  }
}
