import { join } from 'node:path'
import { createAccounts, type Accounts } from './accounts/accounts.ts'
import { createPasswords } from './accounts/password.ts'
import { createSignIn, type SignIn } from './accounts/sign-in.ts'
import { createTurnstile } from './accounts/turnstile.ts'
import type { BlobStore, Reserve } from './blobs/blob-store.ts'
import { openDiskBlobs } from './blobs/disk.ts'
import { openReserve } from './blobs/reserve.ts'
import type { Config, SigningKey } from './config.ts'
import { dataFolderLayout, prepareDataFolder, readSigningKeys } from './data-folder.ts'
import { createFiles, type Files } from './files/files.ts'
import { startHousekeeping } from './housekeeping.ts'
import { lockFolder } from './metadata/sqlite/lock.ts'
import { openSqliteMetadata } from './metadata/sqlite/sqlite.ts'
import type { Metadata } from './metadata/metadata.ts'

interface Backends { readonly metadata: Metadata, readonly blobs: BlobStore, readonly reserve: Reserve }

interface Rules { readonly accounts: Accounts, readonly signIn: SignIn, readonly files: Files }

/** What an operator's command works on, beside a running server or without one. */
export interface OperatorStore extends Backends, Rules {
  /** Ends what is under way. */
  close (): Promise<void>
}

/** The store without its HTTP face: rules over the backends that the settings choose. */
export interface MagicStore extends OperatorStore {
  readonly config: Config
  readonly signingKeys: SigningKey[]
}

/** Opens a data folder that a server may be serving, or makes one: takes no lock and recovers nothing. */
export async function openOperatorStore (config: Config): Promise<OperatorStore> {
  await prepareDataFolder(config.dataDir)
  const backends = await openBackends(config)
  const rules = await createRules(config, backends)
  return { ...backends, ...rules, close: () => closeAll(backends, rules) }
}

/**
 * Opens the data folder for this process alone, and ends what was in flight when the last one died.
 * @throws {FolderInUseError} where another process serves it, {NewerDatabaseError} where a newer version made it.
 */
export async function openMagicStore (config: Config): Promise<MagicStore> {
  await prepareDataFolder(config.dataDir)
  const lock = lockFolder(join(config.dataDir, dataFolderLayout.lock))
  try {
    const signingKeys = config.signingKeys ?? await readSigningKeys(config.dataDir)
    const backends = await openBackends(config)
    const rules = await createRules(config, backends)
    await rules.files.recover()
    const housekeeping = startHousekeeping(backends)
    return {
      ...backends,
      ...rules,
      config,
      signingKeys,
      async close () {
        housekeeping.stop()
        await closeAll(backends, rules)
        lock.close()
      }
    }
  } catch (error) {
    lock.close()
    throw error
  }
}

async function openBackends ({ dataDir, minFreeBytes }: Config): Promise<Backends> {
  const reserve = await openReserve(join(dataDir, dataFolderLayout.reserve))
  const metadata = await reserve.lend(() => openSqliteMetadata(join(dataDir, dataFolderLayout.database)))
  const blobs = await openDiskBlobs({ folder: dataDir, minFreeBytes: () => Math.max(minFreeBytes, reserve.missingBytes) })
  return { metadata, blobs, reserve }
}

async function createRules (config: Config, { metadata, blobs, reserve }: Backends): Promise<Rules> {
  const passwords = await createPasswords(config.passwordPolicy)
  const turnstile = createTurnstile(metadata)
  const accounts = createAccounts({ metadata, reserve, passwords, turnstile, registration: config.registration, registrationsPerHour: config.registrationsPerHour })
  return {
    accounts,
    signIn: createSignIn({ metadata, accounts, turnstile, maxFailures: config.signInFailures }),
    files: createFiles({ metadata, blobs, reserve, limits: config })
  }
}

async function closeAll ({ metadata, blobs }: Backends, { files }: Rules): Promise<void> {
  await files.close()
  await blobs.close()
  await metadata.close()
}
