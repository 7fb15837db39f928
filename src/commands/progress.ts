/** Between two looks of a person nothing needs to be drawn. */
const DRAW_MILLISECONDS = 100

export interface Progress {
  /** Says how far it is; without a total, how much was done. */
  show (what: string, done: number, total?: number): void
  /** Takes the line away, before something else is written or at the end. */
  clear (): void
}

/** One line on standard error that is written over; none where that is no terminal. `unit` is what is counted. */
export function createProgress (unit = 'files'): Progress {
  const { stderr } = process
  if (!stderr.isTTY) return { show: () => {}, clear: () => {} }
  let drawnAt = -Infinity
  return {
    show (what, done, total) {
      const now = performance.now()
      if (now - drawnAt < DRAW_MILLISECONDS && done !== total) return
      drawnAt = now
      stderr.write(`\r\x1b[K${what}: ${done}${total === undefined ? '' : ` of ${total}`} ${unit}`)
    },
    clear () {
      drawnAt = -Infinity
      stderr.write('\r\x1b[K')
    }
  }
}
