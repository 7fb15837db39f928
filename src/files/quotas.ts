import { type AccountRecord, NO_LIMIT, type Quota, refuseBeyondQuota } from '../metadata/records.ts'
import type { UploadRepository } from '../metadata/uploads-repository.ts'

/** Limits for accounts for which the operator set none. */
export interface QuotaLimits {
  readonly quotaBytes: number | undefined
  readonly quotaFiles: number | undefined
}

/** What an account uses, and its limits; null if unlimited. */
export interface AccountUsage {
  readonly files: number
  readonly bytes: number
  /** Of versions and trash. */
  readonly keptBytes: number
  /** Reserved for unfinished uploads. */
  readonly uploadBytes: number
  readonly quotaBytes: number | null
  readonly quotaFiles: number | null
}

/** The quotas of accounts. What is checked here avoids reading a body in vain; the write decides. */
export interface Quotas {
  /** The limits of an account: those that the operator set for it, else those of the settings. */
  of (owner: AccountRecord): Quota
  /** What an account uses, and its limits. */
  usageOf (owner: AccountRecord): Promise<AccountUsage>
  /** Bytes that are left for an upload, which itself counts already with `ownBytes`. Infinity without a quota. */
  availableBytes (owner: AccountRecord, ownBytes: number): Promise<number>
  /** @throws quota_exceeded. */
  check (owner: AccountRecord, added: { bytes: number, files: number }): Promise<void>
}

export function createQuotas (stored: Pick<UploadRepository, 'usage'>, limits: QuotaLimits): Quotas {
  function of (owner: AccountRecord): Quota {
    const chosen = (own: number | null, usual: number | undefined) => own === NO_LIMIT ? undefined : own ?? usual
    return { bytes: chosen(owner.quotaBytes, limits.quotaBytes), files: chosen(owner.quotaFiles, limits.quotaFiles) }
  }

  /** Files and unfinished uploads. */
  async function usedBy (owner: AccountRecord): Promise<{ bytes: number, files: number }> {
    const { bytes, uploads } = await stored.usage(owner.id)
    return { bytes: owner.usedBytes + bytes, files: owner.usedFiles + uploads }
  }

  return {
    of,

    async usageOf (owner) {
      const { bytes = null, files = null } = of(owner)
      const { bytes: uploadBytes } = await stored.usage(owner.id)
      return { files: owner.usedFiles, bytes: owner.usedBytes, keptBytes: owner.keptBytes, uploadBytes, quotaBytes: bytes, quotaFiles: files }
    },

    async availableBytes (owner, ownBytes) {
      const limit = of(owner).bytes
      return limit === undefined ? Infinity : limit - (await usedBy(owner)).bytes + ownBytes
    },

    async check (owner, added) {
      const quota = of(owner)
      if (quota.bytes === undefined && quota.files === undefined) return
      const used = await usedBy(owner)
      refuseBeyondQuota('bytes', { used: used.bytes, added: added.bytes, limit: quota.bytes })
      refuseBeyondQuota('files', { used: used.files, added: added.files, limit: quota.files })
    }
  }
}
