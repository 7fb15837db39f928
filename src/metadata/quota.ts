import { Problem } from '../problems.ts'

/** A limit that nobody reaches: how the operator lifts the limits of the settings for one person. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER

interface Change { used: number, added: number, limit: number | undefined }

/**
 * Refuses what would pass a quota. What adds nothing is never refused: a person above a lowered quota can still put
 * smaller files in place of larger ones.
 * @throws quota_exceeded naming the numbers.
 */
export function refuseBeyondQuota (unit: 'bytes' | 'files', { used, added, limit }: Change): void {
  if (limit === undefined || added <= 0 || used + added <= limit) return
  throw new Problem('quota_exceeded', { detail: `The quota is ${limit} ${unit}, ${used} are used, and this would add ${added}.` })
}
