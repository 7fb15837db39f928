import type { AccountRepository } from '../metadata/accounts.ts'
import type { FactorList } from '../metadata/factor-records.ts'
import type { IdentityRecord } from '../metadata/identities.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { type AccountRecord, NO_LIMIT, NO_PASSWORD } from '../metadata/records.ts'

/** Accounts read at a time. */
const PAGE = 500

/** All accounts, by id. */
export async function * allAccounts (accounts: Pick<AccountRepository, 'listAfter'>): AsyncGenerator<AccountRecord> {
  let afterId: number | undefined = 0
  while (afterId !== undefined) {
    const page: AccountRecord[] = await accounts.listAfter(afterId, PAGE)
    yield * page
    afterId = page.at(-1)?.id
  }
}

/** How an account can be signed in to, beside its password. */
export interface SignInMeans { readonly factors: FactorList, readonly identities: readonly IdentityRecord[] }

export async function meansOf (metadata: Metadata, { id }: AccountRecord): Promise<SignInMeans> {
  const [factors, identities] = await Promise.all([metadata.factors.list(id), metadata.identities.list(id)])
  return { factors, identities }
}

/** The properties of an account that are printed: all but the password hash. */
export function accountDetails ({
  id, username, passwordHash, createdAt, disabledAt,
  usedFiles, usedFolders, usedBytes, keptBytes, quotaFiles, quotaBytes
}: AccountRecord, means?: SignInMeans) {
  return {
    id,
    username,
    createdAt: new Date(createdAt).toISOString(),
    isDisabled: disabledAt !== null,
    hasPassword: passwordHash !== NO_PASSWORD,
    usedFiles,
    usedFolders,
    usedBytes,
    keptBytes,
    quotaFiles,
    quotaBytes,
    ...(means && {
      totp: means.factors.totp !== null,
      passkeys: means.factors.passkeys.length,
      recoveryCodesLeft: means.factors.recoveryCodes,
      identities: means.identities.map(({ id, issuer, subject, label, createdAt, lastUsedAt }) => ({
        id,
        issuer,
        subject,
        label,
        createdAt: new Date(createdAt).toISOString(),
        lastUsedAt: new Date(lastUsedAt).toISOString()
      }))
    })
  }
}

export function accountText ({
  id, username, createdAt, isDisabled, hasPassword,
  usedFiles, usedFolders, usedBytes, keptBytes, quotaFiles, quotaBytes,
  identities = [], ...factors
}: ReturnType<typeof accountDetails>): string {
  return [
    id,
    username,
    `created ${createdAt}`,
    `${usedFiles} of ${limitText(quotaFiles)} files`,
    `${usedFolders} folders`,
    `${usedBytes} of ${limitText(quotaBytes)} bytes`,
    `${keptBytes} bytes of versions and trash`,
    ...factorTexts(factors),
    ...(hasPassword ? [] : ['no password']),
    ...identities.map(({ issuer, subject, label }) => `identity ${label ?? subject} at ${issuer}`),
    ...(isDisabled ? ['disabled'] : [])
  ].join('\t')
}

function factorTexts (
  { totp, passkeys, recoveryCodesLeft }: { totp?: boolean, passkeys?: number, recoveryCodesLeft?: number }
): string[] {
  if (totp === undefined) return []
  const names = [...(totp ? ['one-time codes'] : []), ...(passkeys === 0 ? [] : [`${passkeys} passkeys`])]
  return names.length === 0 ? ['no second factor'] : [...names, `${recoveryCodesLeft} recovery codes left`]
}

function limitText (limit: number | null): string {
  return limit === null ? 'the default' : limit === NO_LIMIT ? 'unlimited' : String(limit)
}
