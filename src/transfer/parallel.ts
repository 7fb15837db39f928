/** How many files are read or written at a time: several share one sync of the disk. */
const AT_ONCE = 16

/** Calls `run` for each, some at a time. Fails with the first error, once what had begun has ended. */
export async function inParallel<T> (all: AsyncIterable<T>, run: (one: T) => Promise<void>): Promise<void> {
  const rest = all[Symbol.asyncIterator]()
  const failures: unknown[] = []
  async function work (): Promise<void> {
    try {
      for (;;) {
        const next = await rest.next()
        if (next.done === true || failures.length > 0) return
        await run(next.value)
      }
    } catch (error) {
      failures.push(error)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  if (failures.length > 0) throw failures[0]
}
