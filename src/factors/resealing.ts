import { createSigningKey, type KeyStore, type SigningKey } from '../config/signing-keys.ts'
import type { FactorRepository } from '../metadata/factors.ts'
import { kidOf, type Sealer } from './sealing.ts'

/** Secrets that are opened at a time. */
const BATCH = 1000

interface SealedSecret { readonly accountId: number, readonly secret: string }

interface Resealed {
  /** The id of the key that seals all. */
  readonly kid: string
  /** How many secrets had another key. */
  readonly resealed: number
  /** Those that can't be opened, which stay as they are. */
  readonly lost: readonly SealedSecret[]
}

interface ResealOptions {
  readonly factors: Pick<FactorRepository, 'listSecrets' | 'replaceSecret'>
  readonly keys: Pick<KeyStore, 'read'>
  readonly sealer: Sealer
}

/** Seals every secret with the first key, also while servers run. */
export async function reseal ({ factors, keys, sealer }: ResealOptions): Promise<Resealed> {
  const lost = new Map<string, SealedSecret>()
  let resealed = 0
  for (;;) {
    const [{ kid }] = await keys.read() as [SigningKey]
    const others = (await factors.listSecrets(`${kid}.`, lost.size + BATCH)).filter(({ secret }) => !lost.has(secret))
    if (others.length === 0) {
      return { kid, resealed, lost: [...lost.values(), ...await findLost(`${kid}.`, { factors, sealer })] }
    }
    // In parallel: each that is sealed with an unknown key waits until the ring is read again.
    const opened = await Promise.all(others.map(async each =>
      ({ ...each, text: await sealer.open(each.accountId, each.secret).catch(() => undefined) })))
    for (const { text, ...each } of opened) {
      if (text === undefined) {
        lost.set(each.secret, each)
        continue
      }
      await factors.replaceSecret(each.accountId, each.secret, await sealer.seal(each.accountId, text))
      resealed++
    }
  }
}

/** Secrets whose key has the id of the first one, but is another, which a mistake in SEALING_KEYS can cause. */
async function findLost (
  prefix: string, { factors, sealer }: Pick<ResealOptions, 'factors' | 'sealer'>
): Promise<SealedSecret[]> {
  // No secret begins with a dot: these are all.
  const all = await factors.listSecrets('.', Number.MAX_SAFE_INTEGER)
  const sealed = all.filter(({ secret }) => secret.startsWith(prefix))
  const failed = await Promise.all(sealed.map(each =>
    sealer.open(each.accountId, each.secret).then(() => false, () => true)))
  return sealed.filter((_, index) => failed[index])
}

/**
 * Adds a key in first place, seals every secret with it, and deletes the keys that seal nothing. The previous one
 * stays, because a server may have used it meanwhile, and so does one that another rotation adds.
 */
export async function rotateSealingKeys (
  { keys, ...options }: ResealOptions & { keys: KeyStore }
): Promise<Resealed> {
  const added = createSigningKey()
  await keys.change(others => [added, ...others])
  const resealed = await reseal({ keys, ...options })
  const used = new Set(resealed.lost.map(({ secret }) => kidOf(secret)))
  await keys.change(ring => {
    const previous = ring.findIndex(({ kid }) => kid === added.kid) + 1
    return ring.filter(({ kid }, index) => index <= previous || used.has(kid))
  })
  return resealed
}
