import { signal } from '@preact/signals'

/** An invitation or the reset of a password, from a link of the operator. */
export interface Claim {
  readonly secret: string
  /** Unset if the user chooses one. */
  readonly username: string | undefined
}

/** The claim in the address of the page. It stays there until it is used, so that it survives a reload. */
export const claim = signal(claimOf(location.hash))

/** Reads `#claim=SECRET&username=NAME`. */
export function claimOf (hash: string): Claim | undefined {
  const fields = new URLSearchParams(hash.slice(1))
  const secret = fields.get('claim')
  return secret === null ? undefined : { secret, username: fields.get('username') ?? undefined }
}

export function kindOf ({ secret }: Claim): 'invitation' | 'reset' {
  return secret.startsWith('rst_') ? 'reset' : 'invitation'
}
