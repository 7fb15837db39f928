import type { Precondition } from './preconditions.ts'

/** Conditions checked in the transaction, in this order: parents exist, `lists`, the precondition, locks. */
export interface Conditions extends Precondition {
  /** The id, as clients see it, that what is moved or deleted must have. */
  readonly id?: string | undefined
  /** `If` (RFC 4918 section 10.4): one list must hold. */
  readonly lists?: readonly StateList[] | undefined
  /** Lock tokens that the client has submitted: their locks do not refuse the change. */
  readonly tokens?: readonly string[] | undefined
  /** Whether missing parents are refused instead of made. */
  readonly needsParent?: boolean | undefined
}

/** Options of a copy or move. */
export interface Destination extends Conditions {
  /** Whether a file that has the new name is replaced. */
  readonly overwrites?: boolean | undefined
  /** A new time of the content of a file; by default it stays. */
  readonly modifiedAt?: number | undefined
}

/** How a file or folder is changed beside its content. */
export interface EntryChange extends Destination {
  /** Whether it is to have a star; by default that stays. */
  readonly isStarred?: boolean | undefined
}

/** One list of `If`: all its conditions hold. */
export interface StateList {
  /** The path of the resource that it is about, empty for the root; undefined for one that can't exist here. */
  readonly path: string | undefined
  readonly conditions: readonly StateCondition[]
}

/** Whether a resource has, or if `isNegated` has not, an entity tag as sent, or a lock with this token. */
export type StateCondition = { readonly isNegated: boolean } & ({ readonly tag: string } | { readonly token: string })
