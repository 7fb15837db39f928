import { MagicStoreError } from 'magicstore'

/** A failure that is not a response of the server. The message is for the user. */
export class PageError extends Error {}

/** The code of a refusal by the server. */
export function codeOf (error: unknown): string | undefined {
  return error instanceof MagicStoreError ? error.code : undefined
}

/** The status of a refusal by the server. */
export function statusOf (error: unknown): number | undefined {
  return error instanceof MagicStoreError ? error.status : undefined
}
