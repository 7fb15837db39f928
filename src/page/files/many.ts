import { signal } from '@preact/signals'
import { MagicStoreError, type ChangeList } from 'magicstore'
import { dismiss } from '../notices.tsx'
import { texts } from '../texts.ts'

/** A browser sends at most six requests to a server at a time. Two are left for what the user does meanwhile. */
const AT_ONCE = 4

/** The wait if the server does not say how long. */
const DEFAULT_WAIT_SECONDS = 1

export type ManyAct = 'remove' | 'move' | 'copy' | 'restore' | 'deleteForGood' | 'star'

/** A change of a file or folder that the server tells. */
export type Change = ChangeList['changes'][number]

/** An act on many entries that is running. */
export interface Running {
  readonly act: ManyAct
  readonly done: number
  readonly all: number
  /** Undefined if the server finishes the act in any case. */
  readonly stop?: () => void
}

/** An entry for which an act failed, and why; undefined if the user has stopped the act there. */
export interface Failure { readonly name: string, readonly error: unknown }

export const running = signal<Running | undefined>(undefined)

/** The entries for which the last act failed. */
export const failed = signal<{ readonly act: ManyAct, readonly failures: readonly Failure[] } | undefined>(undefined)

/** Whether a change is a step of the act that runs on the server. */
let isStep: (change: Change) => boolean = () => false

/** Settles when the last act has ended. */
let last: Promise<unknown> = Promise.resolve()

/** How many entries there are, in words. */
export function countOf ({ length }: readonly unknown[]): string {
  return texts.selection.items(length)
}

interface Named { readonly name: string }

/**
 * Runs an act on each entry, a few at a time, after the acts before it. Returns the results of those that succeeded. A
 * dialog names the others.
 */
export async function runAll<Entry extends Named, Result> (
  act: ManyAct, entries: readonly Entry[], run: (entry: Entry) => Promise<Result>
): Promise<Result[]> {
  dismiss()
  const ended = last.then(() => runNow(act, entries, run))
  last = ended
  return ended
}

async function runNow<Entry extends Named, Result> (
  act: ManyAct, entries: readonly Entry[], run: (entry: Entry) => Promise<Result>
): Promise<Result[]> {
  const results: Result[] = []
  const failures: Failure[] = []
  let isStopped = false
  const stop = () => { isStopped = true }
  isStep = () => false
  const report = () => { running.value = { act, done: results.length + failures.length, all: entries.length, stop } }
  // The workers take entries from the same iterator.
  const waiting = entries.values()
  const work = async () => {
    for (const entry of waiting) {
      if (isStopped) return
      report()
      await withinRateLimit(() => run(entry))
        .then(result => results.push(result), (error: unknown) => failures.push({ name: entry.name, error }))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  running.value = undefined
  failed.value = failures.length === 0 ? undefined : { act, failures }
  return results
}

interface ServerAct<Result> {
  readonly act: ManyAct
  /** How many entries. */
  readonly all: number
  readonly isStep: (change: Change) => boolean
  /** If the signal is aborted, the server stops an act that it would not finish by itself. */
  readonly run: (signal: AbortSignal) => Promise<Result>
}

/** Runs an act that the server does as a whole, after the acts before it. @throws what `run` throws. */
export function runOnServer<Result> (wanted: ServerAct<Result>): Promise<Result> {
  dismiss()
  const ended = last.then(async () => {
    const { act, all, run } = wanted
    const stopped = new AbortController()
    isStep = wanted.isStep
    running.value = { act, done: 0, all, ...act === 'copy' && { stop: () => stopped.abort() } }
    try {
      return await run(stopped.signal)
    } finally {
      running.value = undefined
    }
  })
  last = ended.catch(() => {})
  return ended
}

/** Counts what the server has done of the act that runs. */
export function countSteps (changes: readonly Change[]): void {
  const act = running.peek()
  const steps = act === undefined ? 0 : changes.filter(isStep).length
  if (act !== undefined && steps > 0) running.value = { ...act, done: Math.min(act.done + steps, act.all) }
}

/** Repeats a request that the rate limit refused, after the time that the server asks for. */
export async function withinRateLimit<Result> (run: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof MagicStoreError) || error.status !== 429) throw error
      const seconds = error.retryAfterSeconds ?? DEFAULT_WAIT_SECONDS
      await new Promise(resolve => setTimeout(resolve, seconds * 1000))
    }
  }
}
