import { issueClaim, linkOf } from '../accounts/claim-secrets.ts'
import { usernameKey } from '../accounts/username.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { OperatorStore } from '../services.ts'
import { print } from './command.ts'
import { recordAct } from './store.ts'

interface ClaimOptions {
  readonly json: boolean
  readonly username: string | null
  /** Whose password the link resets. Without it, the link is an invitation. */
  readonly account?: AccountRecord
  readonly removesFactors: boolean
}

/** Prints the link of an invitation, or of a reset. @throws username_invalid, username_taken. */
export async function printClaim (
  store: OperatorStore, { account, username, removesFactors, ...values }: ClaimOptions
): Promise<void> {
  const { metadata: { accounts, claims }, config: { publicUrl, port, tls } } = store
  if (account === undefined && username !== null && await accounts.findByKey(usernameKey(username)) !== undefined) {
    throw new Problem('username_taken')
  }
  const issued = await issueClaim(claims, { accountId: account?.id ?? null, username, removesFactors })
  const expiresAt = new Date(issued.expiresAt).toISOString()
  await recordAct(store, account === undefined
    ? { kind: 'invitation_created', details: { username, expiresAt } }
    : { kind: 'reset_created', account, details: { removesFactors, expiresAt } })
  const base = publicUrl ?? `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const link = linkOf(base, { ...issued, username })
  print(values, { link, username, expiresAt }, () => `${link}\nIt can be used once, until ${expiresAt}.`)
}
