import { type AccountRecord, NO_LIMIT, type Quota, refuseBeyondQuota } from '../metadata/records.ts'
import type { UploadRepository } from '../metadata/uploads.ts'

/** Limits for accounts for which the operator set none. */
interface QuotaLimits {
  readonly quotaBytes: number | undefined
  readonly quotaFiles: number | undefined
}

/** What an account uses, and its limits; null if unlimited. */
interface AccountUsage {
  readonly files: number
  readonly folders: number
  readonly bytes: number
  /** Of versions and trash. */
  readonly keptBytes: number
  /** Reserved for unfinished uploads. */
  readonly uploadBytes: number
  readonly quotaBytes: number | null
  readonly quotaFiles: number | null
}

/** The quotas of accounts. This is an early check; the transaction decides. */
export class Quotas {
  readonly #stored: Pick<UploadRepository, 'usage'>
  readonly #limits: QuotaLimits

  constructor (stored: Pick<UploadRepository, 'usage'>, limits: QuotaLimits) {
    this.#stored = stored
    this.#limits = limits
  }

  /** The limits of an account: those that the operator set for it, else those of the settings. */
  of (owner: AccountRecord): Quota {
    const chosen = (own: number | null, usual: number | undefined) => own === NO_LIMIT ? undefined : own ?? usual
    const { quotaBytes, quotaFiles } = this.#limits
    return { bytes: chosen(owner.quotaBytes, quotaBytes), files: chosen(owner.quotaFiles, quotaFiles) }
  }

  /** What an account uses, and its limits. */
  async usageOf (owner: AccountRecord): Promise<AccountUsage> {
    const { usedFiles: files, usedFolders: folders, usedBytes: bytes, keptBytes } = owner
    const { bytes: uploadBytes } = await this.#stored.usage(owner.id)
    const { bytes: quotaBytes = null, files: quotaFiles = null } = this.of(owner)
    return { files, folders, bytes, keptBytes, uploadBytes, quotaBytes, quotaFiles }
  }

  /** Bytes left for an upload, of which `ownBytes` are counted already. Infinity without a quota. */
  async availableBytes (owner: AccountRecord, ownBytes: number): Promise<number> {
    const limit = this.of(owner).bytes
    return limit === undefined ? Infinity : limit - (await this.#usedBy(owner)).bytes + ownBytes
  }

  /** @throws quota_exceeded. */
  async check (owner: AccountRecord, added: { bytes: number, files: number }): Promise<void> {
    const quota = this.of(owner)
    if (quota.bytes === undefined && quota.files === undefined) return
    refuseBeyondQuota(quota, await this.#usedBy(owner), added)
  }

  /** Files, folders and unfinished uploads. */
  async #usedBy (owner: AccountRecord): Promise<{ bytes: number, files: number }> {
    const { bytes, uploads } = await this.#stored.usage(owner.id)
    return { bytes: owner.usedBytes + bytes, files: owner.usedFiles + owner.usedFolders + uploads }
  }
}
