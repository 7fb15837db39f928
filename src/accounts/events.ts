import type { Metadata } from '../metadata/metadata.ts'
import type { EventRecord } from '../metadata/records.ts'
import type { Origin } from './network.ts'

/** Kinds of security events of an account. */
export const eventKinds = [
  'registered', 'sign_in', 'sign_in_failed', 'sign_in_new_network', 'token_issued', 'token_revoked', 'tokens_revoked',
  'personal_token_created', 'session_created', 'password_changed', 'disabled', 'enabled', 'account_removed'
] as const

export type EventKind = typeof eventKinds[number]

/** Events kept for each account. */
export const KEPT_EVENTS = 200

/**
 * Events that `record` logs without adding them to the account's list: successful sign-ins, because some clients send a
 * password with every request; the removal of the account, because its list is removed too; new tokens, because the
 * event is added in the same transaction as the token.
 */
const LOGGED_ONLY = new Set<EventKind>(['sign_in', 'account_removed', 'token_issued', 'personal_token_created', 'session_created'])

interface SecurityEvent extends Origin {
  readonly kind: EventKind
  /** Undefined if no account has the username that was tried. */
  readonly accountId: number | undefined
}

/** Records security events: each in the server's log, most of them also in the list of the account. */
export interface SecurityLog {
  /**
   * Writes a log line and adds the event to the account's list. Not awaited and never throws, because response times
   * must not reveal whether an account exists.
   */
  record (event: SecurityEvent): void
  /** Events with an id below `beforeId`, newest first. */
  list (accountId: number, page: { beforeId: number | undefined, limit: number }): Promise<EventRecord[]>
}

/** `write` adds one structured line to the server's log. */
export function createSecurityLog (metadata: Metadata, write: (event: SecurityEvent) => void): SecurityLog {
  return {
    record (event) {
      write(event)
      const { kind, accountId, network, requestId } = event
      if (accountId === undefined || LOGGED_ONLY.has(kind)) return
      metadata.events.add({ accountId, kind, network, requestId }, KEPT_EVENTS).catch(() => {})
    },

    list: (accountId, page) => metadata.events.list(accountId, page)
  }
}
