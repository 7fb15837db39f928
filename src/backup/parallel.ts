import pLimit from 'p-limit'

/** Files that are looked after at a time: each waits for the disk, not for the processor. */
const PARALLEL = 8

/** Does `act` for each item, a few at a time. Ends when all have ended, with what the first that failed threw: nothing goes on behind the caller's back. */
export async function inParallel<T> (items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const limit = pLimit(PARALLEL)
  const ends = await Promise.allSettled(items.map(item => limit(() => act(item))))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}
