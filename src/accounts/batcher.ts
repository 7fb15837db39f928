interface GatheringOptions {
  /** How many make a group. */
  size: number
  /** How long the first of a group waits for the others, at the most. */
  milliseconds: number
  /** Whether others are expected soon; else nobody waits. */
  expectsMore: () => boolean
}

/** Holds whoever comes until a group is there, then lets all of it go in one turn of the event loop. */
export function createGathering ({ size, milliseconds, expectsMore }: GatheringOptions): () => Promise<void> {
  let held: (() => void)[] = []
  let timer: NodeJS.Timeout | undefined

  function release (): void {
    clearTimeout(timer)
    timer = undefined
    const group = held
    held = []
    for (const go of group) go()
  }

  return () => new Promise(resolve => {
    held.push(resolve)
    if (held.length >= size || !expectsMore()) release()
    else timer ??= setTimeout(release, milliseconds)
  })
}
