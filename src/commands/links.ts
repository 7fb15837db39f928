import { dateOf, knownDateOf } from '../http/wire-values.ts'
import { type LinkRecord, MAX_LINKS } from '../metadata/link-records.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { OperatorStore } from '../services.ts'
import { print } from './command.ts'
import { recordAct } from './store.ts'

interface LinksOptions { readonly json: boolean, readonly account: AccountRecord, readonly isRevoking: boolean }

/** Prints the links of an account, newest first, without their secrets; or ends all and prints how many. */
export async function printLinks (
  store: OperatorStore, { account, isRevoking, ...values }: LinksOptions
): Promise<void> {
  const { links } = store.metadata
  if (!isRevoking) {
    const found = await links.list(account.id, { beforeId: undefined, limit: MAX_LINKS })
    for (const link of found) print(values, linkDetails(link), linkText)
    return
  }
  const revoked = await links.removeAll(account.id)
  await recordAct(store, { kind: 'links_revoked', account, details: { revoked } })
  print(values, { revoked }, () => `revoked ${revoked} links of ${account.username}`)
}

function linkDetails ({
  id, kind, name, passwordHash, createdAt, expiresAt, uses, lastUsedAt
}: LinkRecord) {
  return {
    id,
    kind,
    name,
    hasPassword: passwordHash !== null,
    createdAt: dateOf(createdAt),
    expiresAt: knownDateOf(expiresAt),
    uses,
    lastUsedAt: knownDateOf(lastUsedAt)
  }
}

function linkText (
  { id, kind, name, hasPassword, expiresAt, uses, lastUsedAt }: ReturnType<typeof linkDetails>
): string {
  return [
    id,
    kind,
    // Names have no control characters, such as tabs.
    name,
    expiresAt === null ? 'no end' : `until ${expiresAt}`,
    `${uses} uses`,
    ...(lastUsedAt === null ? [] : [`last ${lastUsedAt}`]),
    ...(hasPassword ? ['with a password'] : [])
  ].join('\t')
}
