import type { Metadata } from '../metadata/metadata.ts'
import type { EventRecord } from '../metadata/records.ts'
import type { Origin } from './network.ts'

/** What can happen to an account, as its owner and the log are told. */
export const eventKinds = [
  'registered', 'sign_in', 'sign_in_failed', 'sign_in_new_network', 'token_issued', 'token_revoked', 'tokens_revoked',
  'personal_token_created', 'password_changed', 'disabled', 'enabled', 'account_removed'
] as const

export type EventKind = typeof eventKinds[number]

/** Events that are kept of each account. */
export const KEPT_EVENTS = 200

/**
 * What `record` only logs: a good sign-in, which some clients make for every request, is in no account's list, nor is what
 * ends the list; what issues a token has put that there itself, in one act with the token.
 */
const LOGGED_ONLY = new Set<EventKind>(['sign_in', 'account_removed', 'token_issued', 'personal_token_created'])

export interface SecurityEvent extends Origin {
  readonly kind: EventKind
  /** Undefined where nobody has the name that was tried. */
  readonly accountId: number | undefined
}

export interface SecurityLog {
  /** Writes a log line, and into the account's own list. Not waited for and never fails: an answer's time must not tell whether an account exists. */
  record (event: SecurityEvent): void
  /** The latest first, with an id below `beforeId`. */
  list (accountId: number, page: { beforeId: number | undefined, limit: number }): Promise<EventRecord[]>
}

/** `write` puts one structured line into the server's log. */
export function createSecurityLog (metadata: Metadata, write: (event: SecurityEvent) => void): SecurityLog {
  return {
    record (event) {
      write(event)
      const { kind, accountId, network, requestId } = event
      if (accountId === undefined || LOGGED_ONLY.has(kind)) return
      metadata.addEvent({ accountId, kind, network, requestId, at: Date.now() }, KEPT_EVENTS).catch(() => {})
    },

    list: (accountId, page) => metadata.listEvents(accountId, page)
  }
}
