import { MagicStoreError } from 'magicstore'

/** A failure that is not a response of the server. The message is for the user. */
export class PageError extends Error {
  /** The files and folders whose locks refused an action. */
  readonly locked: readonly string[]

  constructor (message: string, { locked = [], ...options }: ErrorOptions & { locked?: readonly string[] } = {}) {
    super(message, options)
    this.locked = locked
  }
}

/** The code of a refusal by the server. */
export function codeOf (error: unknown): string | undefined {
  return error instanceof MagicStoreError ? error.code : undefined
}

/** Refusals below 500 after which the same request may succeed: in time, or when there is room, or no lock. */
const PASSING_STATUSES = [401, 408, 409, 423, 425, 429]
const PASSING_CODES = ['quota_exceeded', 'link_limit_reached']

/** Whether the same request may succeed later. */
export function mayPass (error: unknown): boolean {
  if (!(error instanceof MagicStoreError)) return true
  const { status, code = '' } = error
  return status >= 500 || PASSING_STATUSES.includes(status) || PASSING_CODES.includes(code)
}

/** Whether the server gave no answer, or a proxy in its place. */
export function isUnreachable (error: unknown): boolean {
  return error instanceof MagicStoreError ? error.problem === undefined && error.status >= 502 : error !== undefined
}

/** The status of a refusal by the server. */
export function statusOf (error: unknown): number | undefined {
  return error instanceof MagicStoreError ? error.status : undefined
}
