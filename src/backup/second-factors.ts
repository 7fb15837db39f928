import { join } from 'node:path'
import { dataFolderLayout } from '../data-folder/data-folder.ts'
import { KeyFile } from '../data-folder/key-file.ts'
import type { OpenSnapshot } from './snapshots.ts'

/** What a snapshot has of second factors. */
export interface SecondFactors {
  readonly recoveryCodes: number
  /** The ids of keys that sealed secrets, and are not in the backup: those of SEALING_KEYS. */
  readonly missingSealingKeys: readonly string[]
}

/** Looks into the folder of a snapshot. */
export async function findSecondFactors (folder: string, openSnapshot: OpenSnapshot): Promise<SecondFactors> {
  const snapshot = openSnapshot(join(folder, dataFolderLayout.database))
  snapshot.close()
  const { recoveryCodes, sealedBy } = snapshot.secondFactors
  const keys = await new KeyFile(folder, dataFolderLayout.sealingKeys).find() ?? []
  return { recoveryCodes, missingSealingKeys: sealedBy.filter(kid => !keys.some(key => key.kid === kid)) }
}
