import { join } from 'node:path'
import { createAccounts, type Accounts } from './accounts/accounts.ts'
import { createPasswords } from './accounts/password.ts'
import { openDiskBlobs } from './blobs/disk.ts'
import type { Config, SigningKey } from './config.ts'
import { dataFolderLayout, prepareDataFolder, readSigningKeys } from './data-folder.ts'
import { createFiles, type Files } from './files/files.ts'
import { lockFolder } from './metadata/sqlite/lock.ts'
import { openSqliteMetadata } from './metadata/sqlite/sqlite.ts'
import type { Metadata } from './metadata/metadata.ts'

/** The store without its HTTP face: rules over the backends that the settings choose. */
export interface MagicStore {
  readonly config: Config
  readonly metadata: Metadata
  readonly signingKeys: SigningKey[]
  readonly accounts: Accounts
  readonly files: Files
  /** Ends what is under way and lets go of the data folder. */
  close (): Promise<void>
}

/**
 * Opens the data folder for this process alone, and ends what was in flight when the last one died.
 * @throws {FolderInUseError} where another process serves it, {NewerDatabaseError} where a newer version made it.
 */
export async function openMagicStore (config: Config): Promise<MagicStore> {
  await prepareDataFolder(config.dataDir)
  const lock = lockFolder(join(config.dataDir, dataFolderLayout.lock))
  try {
    const metadata = await openSqliteMetadata(join(config.dataDir, dataFolderLayout.database))
    const blobs = await openDiskBlobs({ folder: config.dataDir, minFreeBytes: config.minFreeBytes })
    const files = createFiles({ metadata, blobs, limits: config })
    await files.recover()
    const passwords = await createPasswords(config.passwordPolicy)
    return {
      config,
      metadata,
      signingKeys: config.signingKeys ?? await readSigningKeys(config.dataDir),
      accounts: createAccounts({ metadata, passwords, registration: config.registration }),
      files,
      async close () {
        await files.close()
        await blobs.close()
        await metadata.close()
        lock.close()
      }
    }
  } catch (error) {
    lock.close()
    throw error
  }
}
