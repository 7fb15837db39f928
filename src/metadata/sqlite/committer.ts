import { OutcomeUnknown, type CommitObserver } from '../metadata.ts'
import type { Database } from './driver.ts'
import { failureOf, isBusy } from './failures.ts'

/** Acts in one commit at the most, so that one transaction does not hold the event loop for long. */
const MAX_ACTS = 256

/** How long acts wait for another process that is writing: an operator's command writes in batches under 50 ms. */
const BUSY_MILLISECONDS = 5000

/** Pause between two tries to begin while another process is writing. */
const RETRY_MILLISECONDS = 5

export interface Committer {
  /**
   * Runs `act` inside a transaction and resolves with its result once that is on stable storage; a throw undoes this act alone.
   * @throws {OutcomeUnknown}, overloaded where another process writes for too long.
   */
  commit<T> (act: () => T): Promise<T>
  /**
   * Runs `look` at once and resolves with what it found when everything that it could see is on stable storage. So nobody
   * acts on a fact that a power cut could still undo. @throws {OutcomeUnknown}.
   */
  read<T> (look: () => T): Promise<T>
  /** Tells of every commit from now on. */
  watch (observer: CommitObserver): void
  /** Grows whenever something in the database may have changed, by this process or by another one; for use inside `read`, which looks for the changes of others. */
  readonly version: number
  /** Resolves when the log could not be synced: from then on everything is refused. */
  readonly failed: Promise<OutcomeUnknown>
}

interface Waiting { run: () => void, finish: () => void, reject: (error: unknown) => void }

/**
 * Lets acts that arrive together share one commit: each runs in a savepoint of its own, so that one that fails takes no
 * other with it. Commits that come while the log is being synced share the next sync, and meanwhile the event loop is
 * free: with SQLite's own sync in each commit, 4 KiB uploads over 16 connections spent two fifths of its time there.
 * `client` must not wait for locks itself, or the event loop would wait with it.
 */
export function createCommitter (client: Database, syncLog: () => Promise<void>): Committer {
  const begin = client.prepare('BEGIN IMMEDIATE')
  const commitAll = client.prepare('COMMIT')
  const rollbackAll = client.prepare('ROLLBACK')
  const savepoint = client.prepare('SAVEPOINT act')
  const release = client.prepare('RELEASE act')
  const rollbackAct = client.prepare('ROLLBACK TO act')
  const dataVersion = client.prepare<[], number>('PRAGMA data_version').pluck()
  const observers: CommitObserver[] = []
  let waiting: Waiting[] = []
  let busySince: number | undefined
  let ownChanges = 0
  let foreignVersion = dataVersion.get()
  let foreignChanges = 0
  /** The sync that covers everything committed so far; undefined once it is done. */
  let syncing: Promise<void> | undefined
  let failure: OutcomeUnknown | undefined
  let tellFailure!: (failure: OutcomeUnknown) => void
  const failed = new Promise<OutcomeUnknown>(resolve => { tellFailure = resolve })

  function commit<T> (act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.push(prepare(act, resolve, reject))
      if (waiting.length === 1) setImmediate(flush)
    })
  }

  function prepare<T> (act: () => T, resolve: (value: T) => void, reject: (error: unknown) => void): Waiting {
    let finish: () => void
    const run = () => {
      savepoint.run()
      try {
        const value = act()
        finish = () => resolve(value)
      } catch (error) {
        // After SQLITE_FULL or SQLITE_IOERR SQLite may have undone the whole transaction: then no act of it has happened.
        if (!client.inTransaction) throw error
        rollbackAct.run()
        finish = () => reject(failureOf(error))
      }
      release.run()
    }
    return { run, finish: () => finish(), reject }
  }

  async function read<T> (look: () => T): Promise<T> {
    noteForeignChange()
    const found = look()
    await syncing
    return found
  }

  /** What another process committed is in the same log, and may not be on stable storage either. */
  function noteForeignChange (): void {
    const version = dataVersion.get()
    if (version === foreignVersion) return
    foreignVersion = version
    foreignChanges++
    void sync()
  }

  function sync (): Promise<void> {
    const done = syncLog().then(() => {
      if (failure !== undefined) throw failure
      if (syncing === done) syncing = undefined
    }, fail)
    // Those who wait for it hear of its failure. There may be nobody, and that is no unhandled rejection.
    done.catch(() => {})
    syncing = done
    return done
  }

  /** After a failed sync nobody knows what is on the disk, not even the kernel, and a later sync that succeeds says nothing of it. */
  function fail (cause: unknown): never {
    failure ??= new OutcomeUnknown(cause)
    tellFailure(failure)
    throw failure
  }

  function flush (): void {
    if (!hasBegun()) return
    const batch = waiting.slice(0, MAX_ACTS)
    waiting = waiting.slice(MAX_ACTS)
    if (waiting.length > 0) setImmediate(flush)
    const start = performance.now()
    ownChanges++
    try {
      for (const act of batch) act.run()
      commitAll.run()
    } catch (error) {
      if (client.inTransaction) rollbackAll.run()
      for (const act of batch) act.reject(failureOf(error))
      return
    }
    sync().then(() => conclude(batch, start), (error: unknown) => { for (const act of batch) act.reject(error) })
  }

  /** Begins a transaction. While another process is writing, it is tried again, and the event loop is free meanwhile. */
  function hasBegun (): boolean {
    if (failure !== undefined) return rejectAll(failure)
    try {
      begin.run()
      busySince = undefined
      return true
    } catch (error) {
      busySince ??= performance.now()
      if (!isBusy(error) || performance.now() - busySince > BUSY_MILLISECONDS) return rejectAll(failureOf(error))
      setTimeout(flush, RETRY_MILLISECONDS)
      return false
    }
  }

  function rejectAll (error: unknown): false {
    busySince = undefined
    for (const act of waiting.splice(0)) act.reject(error)
    return false
  }

  function conclude (batch: Waiting[], start: number): void {
    const seconds = (performance.now() - start) / 1000
    for (const observer of observers) observer({ acts: batch.length, seconds })
    for (const act of batch) act.finish()
  }

  return {
    commit,
    read,
    watch: observer => { observers.push(observer) },
    get version () { return ownChanges + foreignChanges },
    failed
  }
}
