import { folded } from './folded.ts'

/** Letters that follow each other within this time are one beginning of a name. */
const PAUSE_MS = 1000

export interface TypeAhead {
  /** Whether the next letter continues a name. */
  isTyping (): boolean
  /** Takes a letter, and returns the index of the next name that begins with what was typed; -1 without one. */
  find (letter: string, names: readonly string[], active: number): number
}

/** Finds names by their beginnings, without regard to case and accents. */
export function createTypeAhead (): TypeAhead {
  let typed = ''
  let typedAt = -Infinity
  const isTyping = () => typed !== '' && Date.now() - typedAt < PAUSE_MS
  return {
    isTyping,
    find (letter, names, active) {
      typed = (isTyping() ? typed : '') + folded(letter)
      typedAt = Date.now()
      // A letter that is typed again goes on to the next name, unless a name begins with both.
      const [first = ''] = typed
      const isSame = typed === first.repeat(typed.length)
      const found = nextOf(names, isSame ? active + 1 : active, typed)
      return found === -1 && isSame ? nextOf(names, active + 1, first) : found
    }
  }
}

/** The index of a name with this beginning, at `start` or after it, or else before it. */
function nextOf (names: readonly string[], start: number, beginning: string): number {
  const begins = (name: string) => folded(name.slice(0, 2 * beginning.length + 2)).startsWith(beginning)
  const after = names.slice(start).findIndex(begins)
  return after === -1 ? names.findIndex(begins) : start + after
}
