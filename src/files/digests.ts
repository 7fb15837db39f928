import { createHash, type Hash } from 'node:crypto'
import { parseDictionary } from 'structured-headers'
import { Problem } from '../problems.ts'

/** Supported algorithms of RFC 9530 section 5, and the length of their digests in bytes. */
const algorithms = { 'sha-256': { name: 'sha256', bytes: 32 }, 'sha-512': { name: 'sha512', bytes: 64 } } as const

type Algorithm = keyof typeof algorithms

interface Expected { readonly algorithm: Algorithm, readonly digest: Buffer }

/** Computes the digests that a client announced, and compares them. */
interface DigestCheck {
  /** Whether a digest is, or may be, announced. */
  readonly isNeeded: boolean
  /** Passes `bytes` through unchanged. */
  readonly watch: (bytes: AsyncIterable<Buffer>) => AsyncIterable<Buffer>
  /** To be called when the bytes have ended. @throws digest_mismatch, digest_malformed for a trailer field. */
  readonly confirm: () => void
}

/** Header or trailer fields. */
export type Fields = Readonly<Record<string, string | string[] | undefined>>

/**
 * Reads `Content-Digest` and `Repr-Digest` (RFC 9530 sections 2 and 3). An unknown algorithm is ignored. `trailers`
 * returns the trailer fields, if digests are announced there.
 * @throws digest_malformed if a field is not a dictionary of digests.
 */
export function expectDigests (head: Fields, trailers?: () => Fields): DigestCheck {
  const expected = parseFields(head)
  const needed = trailers === undefined
    ? expected.map(({ algorithm }) => algorithm)
    : Object.keys(algorithms) as Algorithm[]
  const hashes = createHashes(needed)

  async function * watched (bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      for (const hash of hashes.values()) hash.update(chunk)
      yield chunk
    }
  }

  return {
    isNeeded: hashes.size > 0,
    watch: bytes => hashes.size === 0 ? bytes : watched(bytes),
    confirm () {
      const digests = new Map(Array.from(hashes, ([algorithm, hash]) => [algorithm, hash.digest()]))
      const wrong = [...expected, ...parseFields(trailers?.() ?? {})].find(({ algorithm, digest }) =>
        digests.get(algorithm)?.equals(digest) !== true)
      if (wrong !== undefined) throw new Problem('digest_mismatch', { detail: `The received bytes have another ${wrong.algorithm}.` })
    }
  }
}

/** The digests of a file that is still growing: SHA-256, and those of further algorithms. */
export class RunningDigest {
  readonly #hashes: Map<Algorithm, Hash>
  #size = 0

  constructor (algorithms: readonly Algorithm[]) {
    this.#hashes = createHashes(['sha-256', ...algorithms])
  }

  /** Bytes so far. */
  get size (): number {
    return this.#size
  }

  update (chunk: Buffer): void {
    for (const hash of this.#hashes.values()) hash.update(chunk)
    this.#size += chunk.length
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
export function algorithmsIn (field: string | undefined): Algorithm[] {
  return parseFields({ 'repr-digest': field }).map(({ algorithm }) => algorithm)
}

/**
 * Compares a file with a `Repr-Digest`, whose algorithms must be covered.
 * @throws digest_mismatch, digest_malformed.
 */
export function requireDigests (file: RunningDigest, field: string | undefined): void {
  const wrong = parseFields({ 'repr-digest': field }).find(({ algorithm, digest }) => !file.read(algorithm).equals(digest))
  if (wrong !== undefined) throw new Problem('digest_mismatch', { detail: `The file has another ${wrong.algorithm}.` })
}

/** The `Repr-Digest` of a file (RFC 9530 section 3) for its SHA-256 in hex. */
export function reprDigest (sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`
}

/** False if a client declines sha-256 with a preference of 0 (RFC 9530 section 4). */
export function wantsSha256 (wantReprDigest: string | undefined): boolean {
  if (wantReprDigest === undefined) return true
  try {
    return parseDictionary(wantReprDigest).get('sha-256')?.[0] !== 0
  } catch {
    return true
  }
}

function createHashes (needed: readonly Algorithm[]): Map<Algorithm, Hash> {
  return new Map(needed.map(algorithm => [algorithm, createHash(algorithms[algorithm].name)]))
}

function parseFields ({ 'content-digest': content, 'repr-digest': repr }: Fields): Expected[] {
  return [content, repr].flatMap(field => field === undefined ? [] : parseDigests(field.toString()))
}

function parseDigests (field: string): Expected[] {
  return Array.from(dictionaryOf(field)).flatMap(([key, [value]]) => {
    if (!Object.hasOwn(algorithms, key)) return []
    const algorithm = key as Algorithm
    if (!(value instanceof ArrayBuffer) || value.byteLength !== algorithms[algorithm].bytes) throw new Problem('digest_malformed', { detail: `The value of ${algorithm} is not a digest.` })
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
