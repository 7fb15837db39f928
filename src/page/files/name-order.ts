import { folded } from './folded.ts'

/**
 * Below zero if a name stands before another one as the server sorts names: `file 2` before `file 10`. For the place of
 * one new entry; lists come sorted.
 */
export function compareNames (a: string, b: string): number {
  return compare(keyOf(a), keyOf(b)) || compare(a, b)
}

function compare (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The folded name; each number has its length before it. */
function keyOf (name: string): string {
  return folded(name).replaceAll(/0*(\p{Nd}+)/gu, (_, digits: string) => {
    const count = Array.from(digits).length
    return (count < 9 ? String(count) : `9${String(count).padStart(3, '0')}`) + digits
  })
}
