import type { RequestObserver } from '../monitoring/request-observer.ts'
import { Problem } from '../problems.ts'
import type { Ids } from './ids.ts'
import type { Repositories } from './services.ts'

/**
 * Accounts, tokens and file metadata: the contract of every backend.
 *
 * Writes. Each method is one transaction, even if the process or the power fails: it happens whole or not at all.
 * Checks (is the name taken, does the quota allow it) run inside the transaction that writes. When the promise of a
 * write resolves, the change is on stable storage. Concurrent writes may share one commit. If that commit fails, all of
 * them reject and none of them has happened.
 *
 * Reads. A read sees every write that was committed before it was called. It resolves once everything it could see is
 * on stable storage, so no caller ever acts on data that a power failure could undo. Every method that finds a file
 * takes the owner's id, except those documented for recovery, fsck and backup.
 *
 * Times. "Now" is the time of the transaction by the clock of the backend, after any wait for locks: processes that
 * share a database share its clock. A test can open a backend with another clock. A caller that passes a time to be
 * compared has it from the backend. The times of `accounts.remove`, `setDisabled` and `attempts.addKnownNetwork` are
 * only recorded: they are those of the caller's clock.
 *
 * Values. Times are milliseconds since 1970 (UTC), sizes are bytes, `sha256` is 64 lower-case hex digits. Names are
 * compared by code point; callers normalise them to NFC.
 *
 * Errors. A method throws `Problem` with the codes it documents only. In addition every write can throw `storage_full`,
 * or `overloaded` if another process keeps the database locked, and every method can throw `unavailable` if the
 * database can't be reached (nothing has happened then), or `OutcomeUnknown`.
 */
export interface Metadata extends Repositories {
  /** A random id of this installation, created with the database. It is the audience of the tokens. */
  readonly installationId: string
  /** The ids of files and folders. */
  readonly ids: Ids
  /**
   * Resolves if stable storage fails. From then on every method throws this error, and the process should exit: the
   * next start finds out what is stored.
   */
  readonly failed: Promise<OutcomeUnknown>
  /** The time by the clock of the backend. May cost a round trip. */
  now (): Promise<number>
  /** Errors in the database itself, one line each. For fsck. */
  checkIntegrity (): Promise<string[]>
  /** Reads, and commits a change without effect: rejects if reads or writes would fail. For monitoring. */
  probe (): Promise<void>
  /** Calls `observer` after every commit from now on. For monitoring. */
  watchCommits (observer: CommitObserver): void
  /** Undefined for SQLite. For monitoring. */
  readonly server: DatabaseServer | undefined
  close (): Promise<void>
}

/** A database server, and what this process asks it. */
export interface DatabaseServer {
  /** Calls `observer` after every query from now on. */
  watchRequests (observer: RequestObserver): void
  countConnections (): ConnectionCounts
}

/** The connections of this process to a database server. */
export interface ConnectionCounts {
  /** Includes those that are being opened. */
  readonly inUse: number
  readonly idle: number
  /** Calls that wait for a connection. */
  readonly waiting: number
  readonly max: number
}

/**
 * It is unknown whether a write was committed. The caller must not delete anything because of it. With the code
 * `stopping` the process is about to exit, because its stable storage failed; with `unavailable` the connection to the
 * database was lost.
 */
export class OutcomeUnknown extends Problem {
  constructor (cause: unknown, code: 'stopping' | 'unavailable' = 'stopping') {
    const reason = code === 'stopping' ? 'The server is stopping' : 'The connection to the database was lost'
    super(code, {
      detail: `${reason}, and it is not known whether this request was carried out.`,
      retrySeconds: 5,
      resource: 'database',
      cause
    })
  }
}

/** Called after a commit is on stable storage, with its writes and duration. Must be fast and not throw. */
export type CommitObserver = (commit: { readonly writes: number, readonly seconds: number }) => void
