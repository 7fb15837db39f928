import { createSigningKey, type KeyStore, type SigningKey } from '../config/signing-keys.ts'
import type { SealedText, SealedTextRepository } from '../metadata/sealed-texts.ts'
import { kidOf, type Sealer } from './sealing.ts'

/** Texts of a kind that are opened at a time. */
const BATCH = 1000

interface Resealed {
  /** The id of the key that seals all. */
  readonly kid: string
  /** How many texts had another key. */
  readonly resealed: number
  /** Those that can't be opened, which stay as they are. */
  readonly lost: readonly SealedText[]
}

interface ResealOptions {
  readonly texts: SealedTextRepository
  readonly keys: Pick<KeyStore, 'read'>
  readonly sealer: Sealer
}

/** Seals every text with the first key, also while servers run. */
export async function reseal ({ texts, keys, sealer }: ResealOptions): Promise<Resealed> {
  const unopened = new Set<string>()
  let resealed = 0
  for (;;) {
    const [{ kid }] = await keys.read() as [SigningKey]
    const listed = await texts.list(`${kid}.`, unopened.size + BATCH)
    const others = listed.filter(({ sealed }) => !unopened.has(sealed))
    // One that was listed before and is not now was sealed again by another rotation, which deleted its key.
    if (others.length === 0) {
      return { kid, resealed, lost: [...listed, ...await findLost(`${kid}.`, { texts, sealer })] }
    }
    // In parallel: each that is sealed with an unknown key waits until the ring is read again.
    const opened = await Promise.all(others.map(async each =>
      ({ each, text: await sealer.open(each.accountId, each.sealed, each.context).catch(() => undefined) })))
    for (const { each, text } of opened) {
      if (text === undefined) {
        unopened.add(each.sealed)
        continue
      }
      await texts.replace(each, await sealer.seal(each.accountId, text, each.context))
      resealed++
    }
  }
}

/** Texts whose key has the id of the first one, but is another, which a mistake in SEALING_KEYS can cause. */
async function findLost (
  prefix: string, { texts, sealer }: Pick<ResealOptions, 'texts' | 'sealer'>
): Promise<SealedText[]> {
  // No text begins with a dot: these are all.
  const all = await texts.list('.', Number.MAX_SAFE_INTEGER)
  const own = all.filter(({ sealed }) => sealed.startsWith(prefix))
  const failed = await Promise.all(own.map(({ accountId, sealed, context }) =>
    sealer.open(accountId, sealed, context).then(() => false, () => true)))
  return own.filter((_, index) => failed[index])
}

/**
 * Adds a key in first place, seals every text with it, and deletes the keys that seal nothing. The previous one
 * stays, because a server may have used it meanwhile, and so does one that another rotation adds.
 */
export async function rotateSealingKeys (
  { keys, ...options }: ResealOptions & { keys: KeyStore }
): Promise<Resealed> {
  const added = createSigningKey()
  await keys.change(others => [added, ...others])
  const resealed = await reseal({ keys, ...options })
  const used = new Set(resealed.lost.map(({ sealed }) => kidOf(sealed)))
  await keys.change(ring => {
    const previous = ring.findIndex(({ kid }) => kid === added.kid) + 1
    return ring.filter(({ kid }, index) => index <= previous || used.has(kid))
  })
  return resealed
}
