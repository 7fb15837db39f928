/** Takes the error of a task that no request waits for. */
type FailureObserver = (error: unknown, task: string) => void

/** Failures of work in the background, which is tried again. An operator must be able to see them. */
export class BackgroundFailures {
  #observer: FailureObserver | undefined

  /** Calls `observer` for every failure from now on. */
  watch (observer: FailureObserver): void {
    this.#observer = observer
  }

  /** Returns a function that reports the failure of a task. */
  of (task: string): (error: unknown) => void {
    return error => this.#observer?.(error, task)
  }
}
