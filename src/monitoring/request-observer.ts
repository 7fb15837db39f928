/** Called when a request to a server that stores metadata or bytes has ended. Must be fast and not throw. */
export type RequestObserver = (request: BackendRequest) => void

/** One request to a server that stores metadata or bytes, after it has ended. */
export interface BackendRequest {
  /** One of a few names that the backend's code fixes. */
  readonly operation: string
  /** `refused`: the answer was an error; `failed`: there was no answer; `cancelled`: the answer is no longer needed. */
  readonly outcome: 'ok' | 'refused' | 'failed' | 'cancelled'
  /** Until the head of the answer; the bytes of a download may take longer. */
  readonly seconds: number
}
