import { Problem } from '../problems.ts'

/** Requests about one upload, one at a time. A new one ends those before it. */
export interface Turns {
  /**
   * Aborts the requests for the same upload that are in progress, waits until they have ended, and runs `work`. Its signal is aborted with
   * `upload_taken_over` by the next request for the upload, or with the reason of `abort`.
   */
  take<T> (id: string, work: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Aborts all that are under way, and all that follow. */
  abort (reason: Problem): void
  /** Waits for the end of all. */
  close (): Promise<void>
}

interface Turn { readonly controller: AbortController, readonly ended: Promise<unknown> }

export function createTurns (): Turns {
  const latest = new Map<string, Turn>()
  let stopped: Problem | undefined

  return {
    take (id, work) {
      const before = latest.get(id)
      before?.controller.abort(new Problem('upload_taken_over'))
      const controller = new AbortController()
      if (stopped !== undefined) controller.abort(stopped)
      const result = (before?.ended ?? Promise.resolve()).then(() => work(controller.signal))
      const turn = { controller, ended: result.catch(() => {}).then(() => { if (latest.get(id) === turn) latest.delete(id) }) }
      latest.set(id, turn)
      return result
    },

    abort (reason) {
      stopped = reason
      for (const { controller } of latest.values()) controller.abort(reason)
    },

    async close () {
      await Promise.all(Array.from(latest.values(), ({ ended }) => ended))
    }
  }
}

/** Aborted with `signal`, or with the other one if there is one. */
export function either (signal: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? signal : AbortSignal.any([signal, other])
}

interface Confirmed { readonly bytes: AsyncIterable<Buffer>, readonly confirm: (() => void) | undefined }

/** Bytes until the signal is aborted, and the confirmation at their end. Fails with the reason of the signal. */
export async function * untilAborted ({ bytes, confirm }: Confirmed, signal: AbortSignal): AsyncGenerator<Buffer> {
  const iterator = bytes[Symbol.asyncIterator]()
  // Not `Promise.race` with a promise of the abort: that promise would keep every chunk until it settles.
  const next = () => new Promise<IteratorResult<Buffer>>((resolve, reject) => {
    signal.onabort = () => reject(signal.reason)
    iterator.next().then(resolve, reject)
  })
  try {
    for (;;) {
      signal.throwIfAborted()
      const { done, value } = await next()
      if (done === true) break
      yield value
    }
    confirm?.()
  } finally {
    signal.onabort = null
    // Not waited for: after an abort the source may wait for its client.
    void Promise.allSettled([iterator.return?.()])
  }
}
