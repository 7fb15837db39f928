import { LRUCache } from 'lru-cache'
import type { AccountRecord, EventDetails, KeptEvents } from '../metadata/records.ts'
import type { AppServices } from '../services.ts'
import type { Origin } from './network.ts'

/** Kinds of security events of an account. */
export const eventKinds = [
  'registered', 'sign_in', 'sign_in_failed', 'sign_in_new_network', 'token_issued', 'token_revoked', 'tokens_revoked',
  'personal_token_created', 'connection_allowed', 'connection_refused', 'connection_expired', 'session_created',
  'password_changed', 'factor_added', 'factor_removed',
  'recovery_codes_replaced', 'recovery_code_used', 'passkey_refused', 'second_factor_missing', 'second_factor_wrong',
  'identity_connected', 'identity_removed', 'identity_refused', 'password_removed', 'invitation_used',
  'reset_created', 'password_reset', 'disabled', 'enabled', 'quota_changed',
  'link_created', 'link_changed', 'link_revoked', 'links_revoked', 'link_password_wrong', 'trash_emptied',
  'files_restored', 'files_imported', 'account_exported', 'account_removed'
] as const

/** Kinds of events of the whole store. */
export const storeEventKinds = [
  'keys_rotated', 'invitation_created', 'backup_made', 'backup_failed', 'store_restored', 'store_repaired'
] as const

export type EventKind = typeof eventKinds[number]

/** Kept of each account, so that events can't fill the database, and an attacker can't evict evidence. */
export const KEPT_EVENTS: KeptEvents = { all: 20_000, ofKind: 1000 }

/**
 * Events that are logged without being stored: successful sign-ins, because some clients send a password with every
 * request; new tokens, because the event is stored in the same transaction as the token.
 */
const LOGGED_ONLY = new Set<string>(['sign_in', 'token_issued', 'personal_token_created', 'session_created'])

/** Events that an attacker can cause in any number. They must not evict all others. */
const REPEATABLE = new Set<string>([
  'second_factor_missing', 'second_factor_wrong', 'passkey_refused', 'identity_refused', 'link_password_wrong'
])

/** How many of these are stored of one kind and account in a quarter of an hour. All are logged. */
const STORED_REPEATS = 10

/** The origin of what operators do by a command. */
const OPERATOR: Origin = { network: 'operator', requestId: '-' }

interface SecurityEvent {
  readonly kind: EventKind
  /** Undefined if no account has the username that was tried. */
  readonly account: Pick<AccountRecord, 'id' | 'username'> | undefined
  readonly details?: EventDetails
}

/** What an operator did, to one account or to the whole store. */
export type OperatorAct = SecurityEvent |
  { readonly kind: typeof storeEventKinds[number], readonly account?: undefined, readonly details?: EventDetails }

/** An event as it is logged: without secrets. */
export interface LoggedEvent extends Origin {
  readonly kind: string
  readonly accountId: number | null
  readonly username: string | null
  readonly details?: EventDetails
}

export type LogEvent = (event: LoggedEvent) => void

export type SecurityLog = ReturnType<typeof createSecurityLog>

/** Records security events: logs each, and stores most. `onFailure` is called if one of a request can't be stored. */
export function createSecurityLog (
  { metadata, eventLogs, onFailure }:
  Pick<AppServices, 'metadata' | 'eventLogs'> & { onFailure: (error: unknown) => void }
) {
  /** How many repeatable events were stored, by kind and account. */
  const repeats = new LRUCache<string, number>({ max: 10_000, ttl: 15 * 60_000, noUpdateTTL: true })

  /** Whether enough of these events were stored lately. */
  function isRepeated (kind: string, accountId: number): boolean {
    if (!REPEATABLE.has(kind)) return false
    const key = `${kind} ${accountId}`
    const stored = repeats.get(key) ?? 0
    repeats.set(key, stored + 1)
    return stored >= STORED_REPEATS
  }

  return {
    /**
     * Records the event of a request. Not awaited and never throws, because response times must not reveal whether an
     * account exists.
     */
    record ({ kind, account, details, network, requestId }: SecurityEvent & Origin): void {
      const event = { kind, ...idOf(account), ...(details && { details }), network, requestId }
      for (const write of eventLogs) write(event)
      if (account === undefined || LOGGED_ONLY.has(kind) || isRepeated(kind, account.id)) return
      metadata.events.add(event, KEPT_EVENTS).catch(onFailure)
    },

    /** Records what an operator did. */
    async recordAct ({ kind, account, details }: OperatorAct): Promise<void> {
      const event = { kind, ...idOf(account), ...(details && { details }), ...OPERATOR }
      for (const write of eventLogs) write(event)
      await metadata.events.add(event, KEPT_EVENTS)
    }
  }
}

function idOf (account: SecurityEvent['account']): Pick<LoggedEvent, 'accountId' | 'username'> {
  return { accountId: account?.id ?? null, username: account?.username ?? null }
}
