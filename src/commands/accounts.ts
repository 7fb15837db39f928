import type { AccountRepository } from '../metadata/accounts.ts'
import type { FactorList } from '../metadata/factor-records.ts'
import { NO_LIMIT, type AccountRecord } from '../metadata/records.ts'

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

/** The properties of an account that are printed: all but the password hash. With its factors, if they are given. */
export function accountDetails ({
  id, username, createdAt, disabledAt, usedFiles, usedFolders, usedBytes, keptBytes, quotaFiles, quotaBytes
}: AccountRecord, factors?: FactorList) {
  return {
    id,
    username,
    createdAt: new Date(createdAt).toISOString(),
    isDisabled: disabledAt !== null,
    usedFiles,
    usedFolders,
    usedBytes,
    keptBytes,
    quotaFiles,
    quotaBytes,
    ...(factors && {
      totp: factors.totp !== null, passkeys: factors.passkeys.length, recoveryCodesLeft: factors.recoveryCodes
    })
  }
}

export function accountText ({
  id, username, createdAt, isDisabled, usedFiles, usedFolders, usedBytes, keptBytes, quotaFiles, quotaBytes, ...factors
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
