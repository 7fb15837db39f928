import type { AccountRecord } from '../metadata/records.ts'

/** Who stores a file: the owner, or with `linkId` a visitor by a link to one of the owner's folders. */
export interface Uploader {
  readonly owner: AccountRecord
  readonly linkId: number | null
  /** Called when a file has been stored. */
  readonly onStored?: () => void
}
