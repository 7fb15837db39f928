import type { Config } from '../config.ts'
import { type LinkRecord, MAX_LINKS } from '../metadata/link-records.ts'
import type { AccountRecord } from '../metadata/records.ts'
import type { OperatorStore } from '../services.ts'
import { recordAct } from './acts.ts'
import { print } from './command.ts'

interface LinksOptions { readonly json: boolean, readonly account: AccountRecord, readonly isRevoking: boolean }

/** Prints the links of an account, newest first, without their secrets; or ends all and prints how many. */
export async function printLinks (
  config: Config, { metadata }: OperatorStore, { account, isRevoking, ...values }: LinksOptions
): Promise<void> {
  if (!isRevoking) {
    const links = await metadata.links.list(account.id, { beforeId: undefined, limit: MAX_LINKS })
    for (const link of links) print(values, linkDetails(link), linkText)
    return
  }
  const revoked = await metadata.links.removeAll(account.id)
  await recordAct(config, metadata, { kind: 'links_revoked', account, details: { revoked } })
  print(values, { revoked }, () => `revoked ${revoked} links of ${account.username}`)
}

interface LinkDetails extends Pick<LinkRecord, 'id' | 'kind' | 'name' | 'uses'> {
  readonly hasPassword: boolean
  readonly createdAt: string
  readonly expiresAt: string | null
  readonly lastUsedAt: string | null
}

function linkDetails (link: LinkRecord): LinkDetails {
  const { id, kind, name, passwordHash, createdAt, expiresAt, uses, lastUsedAt } = link
  return {
    id,
    kind,
    name,
    hasPassword: passwordHash !== null,
    createdAt: dateOf(createdAt),
    expiresAt: expiresAt === null ? null : dateOf(expiresAt),
    uses,
    lastUsedAt: lastUsedAt === null ? null : dateOf(lastUsedAt)
  }
}

function linkText ({ id, kind, name, hasPassword, expiresAt, uses, lastUsedAt }: LinkDetails): string {
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

function dateOf (milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
