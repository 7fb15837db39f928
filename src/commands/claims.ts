import { issueClaim, linkOf } from '../accounts/claim-secrets.ts'
import { usernameKey } from '../accounts/username.ts'
import type { Config } from '../config.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import type { OperatorStore } from '../services.ts'
import { recordAct } from './acts.ts'
import { print } from './command.ts'

interface Output { readonly json: boolean }

/** Prints the link of an invitation. @throws username_invalid, username_taken. */
export async function printInvitation (
  config: Config, { metadata }: OperatorStore, { username, ...values }: Output & { username: string | null }
): Promise<void> {
  if (username !== null && await metadata.accounts.findByKey(usernameKey(username)) !== undefined) throw new Problem('username_taken')
  const claim = { accountId: null, username, removesFactors: false }
  const issued = await issueClaim(metadata.claims, claim)
  const expiresAt = new Date(issued.expiresAt).toISOString()
  await recordAct(config, metadata, { kind: 'invitation_created', details: { username, expiresAt } })
  printLink(config, values, { ...issued, username })
}

/** Prints the link of a reset. */
export async function printReset (
  config: Config,
  { metadata }: OperatorStore,
  { account, removesFactors, ...values }: Output & { account: AccountRecord, removesFactors: boolean }
): Promise<void> {
  const { id: accountId, username } = account
  const issued = await issueClaim(metadata.claims, { accountId, username, removesFactors })
  const expiresAt = new Date(issued.expiresAt).toISOString()
  await recordAct(config, metadata, { kind: 'reset_created', account, details: { removesFactors, expiresAt } })
  printLink(config, values, { ...issued, username })
}

function printLink (
  { publicUrl, port, tls }: Config,
  values: Output,
  { username, expiresAt, ...issued }: { secret: string, username: string | null, expiresAt: number }
): void {
  const base = publicUrl ?? `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const link = linkOf(base, { ...issued, username })
  print(values, { link, username, expiresAt: new Date(expiresAt).toISOString() }, ({ link, expiresAt }) => `${link}\nIt can be used once, until ${expiresAt}.`)
}
