import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

/** Probes per idle time: a stalled download is cut after at most 1.1 times the idle time. */
const PROBES_PER_IDLE_TIME = 10

/** A response in progress. */
export interface Probed {
  readonly session?: ServerHttp2Session
  /** What the idle time-out applies to: the socket, or over HTTP/2 the stream. */
  readonly transfer: Socket | ServerHttp2Stream
}

export interface StallProbe {
  /** Call this whenever a response begins. */
  begin (): void
  /** Probes at once, then as often as the changed idle time requires. */
  restart (): void
  /** Whether the `timeout` event being emitted comes from a probe: nothing is idle then. */
  isProbing (): boolean
}

/**
 * Cuts stalled downloads after the idle time, not twice that. When the time-out of a pending write expires, Node compares what is
 * left of the write with what was left at the previous expiry, and if the two differ, starts the time-out again without an event.
 * The first expiry has nothing to compare with. A probe runs Node's comparison early: the time-out of a write that has moved
 * since the previous probe starts again, all others continue.
 */
export function createStallProbe (inProgress: ReadonlySet<Probed>, idleMilliseconds: () => number): StallProbe {
  let isProbing = false
  let next: NodeJS.Timeout | undefined

  function begin (): void {
    next ??= setTimeout(restart, idleMilliseconds() / PROBES_PER_IDLE_TIME).unref()
  }

  function restart (): void {
    clearTimeout(next)
    next = undefined
    isProbing = true
    probeAll()
    isProbing = false
    if (inProgress.size > 0) begin()
  }

  function probeAll (): void {
    // Node counts what it sends per session, and a comparison uses the count up: the first result is valid for all its writes.
    const moved = new Set<ServerHttp2Session>()
    for (const { session, transfer } of inProgress) {
      if (session === undefined) hasMoved(transfer)
      else if (moved.has(session) && transfer.writableLength > 0) transfer.setTimeout(idleMilliseconds())
      else if (hasMoved(transfer)) moved.add(session)
    }
  }

  return { begin, restart, isProbing: () => isProbing }
}

/** Whether a pending write has moved since Node's previous comparison. If so, the time-out starts again, otherwise it emits `timeout`. */
function hasMoved (transfer: Socket | ServerHttp2Stream): boolean {
  let isStill = false
  const note = () => { isStill = true }
  transfer.once('timeout', note)
  // What Node calls at an expiry. It is not documented, so that a later version may lack it: then stalled downloads are cut later.
  const { _onTimeout: compare } = transfer as unknown as { _onTimeout?: () => void }
  compare?.call(transfer)
  transfer.off('timeout', note)
  // Node compares nothing for a destroyed stream.
  return compare !== undefined && !isStill && !transfer.destroyed
}
