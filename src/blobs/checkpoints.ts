/** Progress is saved after this many bytes, unless the store says otherwise. */
const SAVE_BYTES = 64 * 1024 ** 2

/** It is also saved after this time, if bytes arrived in it. */
const SAVE_MILLISECONDS = 5000

interface Checkpoints {
  /**
   * Counts bytes that arrived. Begins to save if enough have; the append goes on meanwhile. A promise if the caller
   * must wait before the next bytes: when as many have arrived again, but that save is still in progress.
   */
  count (bytes: number): Promise<unknown> | undefined
  /** Resolves with the result of `work`, or rejects as soon as a save fails. */
  guard<T> (work: Promise<T>): Promise<T>
  /** Ends the saving: waits for the one in progress. Never fails. */
  stop (): Promise<void>
}

/** Saves progress at intervals by `save`; never without it. */
export function createCheckpoints (save: (() => Promise<unknown>) | undefined, saveBytes = SAVE_BYTES): Checkpoints {
  let unsavedBytes = 0
  let saving: Promise<unknown> | undefined
  let fail: (error: unknown) => void
  const failed = new Promise<never>((_resolve, reject) => { fail = reject })
  failed.catch(() => {})

  function begin (): void {
    if (save === undefined || saving !== undefined || unsavedBytes === 0) return
    unsavedBytes = 0
    saving = save().then(() => { saving = undefined }, (error: unknown) => fail(error))
  }

  const timer = setInterval(begin, SAVE_MILLISECONDS)

  return {
    count (bytes) {
      unsavedBytes += bytes
      if (unsavedBytes < saveBytes) return undefined
      if (saving !== undefined) return saving.then(begin)
      begin()
    },
    guard: work => Promise.race([work, failed]),
    async stop () {
      clearInterval(timer)
      await saving
    }
  }
}
