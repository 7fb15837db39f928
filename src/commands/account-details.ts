import type { FactorList } from '../metadata/factor-records.ts'
import { NO_LIMIT, type AccountRecord } from '../metadata/records.ts'

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
  const usage = [`${usedFiles} of ${limitText(quotaFiles)} files`, `${usedFolders} folders`, `${usedBytes} of ${limitText(quotaBytes)} bytes`, `${keptBytes} bytes of versions and trash`]
  return [id, username, `created ${createdAt}`, ...usage, ...factorTexts(factors), ...(isDisabled ? ['disabled'] : [])].join('\t')
}

interface Factors { readonly totp?: boolean, readonly passkeys?: number, readonly recoveryCodesLeft?: number }

function factorTexts ({ totp, passkeys, recoveryCodesLeft }: Factors): string[] {
  if (totp === undefined) return []
  const names = [...(totp ? ['one-time codes'] : []), ...(passkeys === 0 ? [] : [`${passkeys} passkeys`])]
  return names.length === 0 ? ['no second factor'] : [...names, `${recoveryCodesLeft} recovery codes left`]
}

function limitText (limit: number | null): string {
  return limit === null ? 'the default' : limit === NO_LIMIT ? 'unlimited' : String(limit)
}
