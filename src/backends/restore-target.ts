import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RestoreTarget } from '../backup/restore-into.ts'
import type { Config } from '../config.ts'
import { dataFolderLayout, hasDatabase, isThere, refuseHalfRestored } from '../data-folder/data-folder.ts'
import { makeFolder, sync, writeDurably } from '../data-folder/durable-files.ts'
import { KeyFile, keyFiles } from '../data-folder/key-file.ts'
import type { PostgresMetadata } from '../metadata/postgres/postgres.ts'
import { ConfigError } from '../problems.ts'
import { lockDataFolder, makeFolderReady, openBlobs, openPostgres, storageRecordIn, usesDataFolder } from './backends.ts'
import { blobPlaceOf } from './blob-place.ts'
import { refuseForeignMark } from './pairing.ts'
import { beginRestore, endRestore, findCutRestore, pairRestored, requireMark, type RestoreRequest } from './restore-mark.ts'

/** Blobs are written in an empty store: no space is reserved. */
const noReserve = { missingBytes: 0 }

/** Where the metadata of a backup go. */
interface Importer extends Pick<PostgresMetadata, 'importMetadata' | 'close'> {
  /** To be called before anything is written. */
  begin (): Promise<void>
  /** To be called at the end. */
  end (): Promise<void>
}

/**
 * Opens an empty store that is not a data folder alone, to restore a backup into it, or to continue that.
 * @throws {ConfigError} if it is not empty, or if its blobs are another installation's or of another backup,
 * {FolderInUseError} if a server uses its data folder.
 */
export async function openRestoreTarget (config: Config, request: RestoreRequest): Promise<RestoreTarget> {
  // With the database in the folder, the folder says itself that a restore was interrupted.
  if (usesDataFolder(config) && config.databaseUrl !== undefined) await refuseHalfRestored(config.dataDir)
  await makeFolderReady(config)
  const opened: { close (): unknown }[] = [lockDataFolder(config)]
  const close = async () => { for (const each of opened.splice(0).reverse()) await each.close() }
  const place = blobPlaceOf(config)
  try {
    const importer = config.databaseUrl === undefined
      ? await importerInto(config.dataDir, request)
      : await openEmptyPostgres(config.databaseUrl)
    opened.push(importer)
    const blobs = await openBlobs(config, noReserve)
    opened.push(blobs)
    const cut = await findCutRestore(place, blobs, request)
    await refuseForeignMark(place, { metadata: request, blobs })
    await importer.begin()
    const restore = await beginRestore(blobs, request, cut)
    return {
      blobs,
      async importMetadata (file, keys) {
        await requireMark(place, blobs, restore)
        await importer.importMetadata(file, keys, await pairRestored(blobs, restore))
        await endRestore(blobs, restore)
        await importer.end()
      },
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Refused here before any blob is written; the import refuses it again, in its transaction. */
async function openEmptyPostgres (url: string): Promise<Importer> {
  const metadata = await openPostgres(url)
  const hasAccounts = (await metadata.accounts.listAfter(0, 1)).length > 0
  // The servers on it would go on with tokens of another installation.
  if (!hasAccounts && await metadata.findStorageId() === undefined) {
    return {
      begin: async () => {},
      importMetadata: (...backup) => metadata.importMetadata(...backup),
      end: async () => {},
      close: () => metadata.close()
    }
  }
  await metadata.close()
  throw new ConfigError(`DATABASE_URL: the database ${hasAccounts ? 'has accounts' : 'was used by a server'}`, {
    remedy: 'restore the backup into a new one, with another prefix in STORAGE_URL, or another DATA_DIR'
  })
}

/**
 * The database file is moved to its place whole. A folder says that it is not there yet, because a server would make a
 * new one before it looks at the blobs.
 */
async function importerInto (dataDir: string, { isDiscarding }: RestoreRequest): Promise<Importer> {
  const inDataFolder = (name: string) => join(dataDir, name)
  const restoring = inDataFolder(dataFolderLayout.restoring)
  if (await hasDatabase(dataDir)) {
    throw new ConfigError(`DATA_DIR: ${dataDir} has a database`, {
      remedy: 'restore the backup into an empty folder, with another prefix in STORAGE_URL if a server has used this one'
    })
  }
  return {
    async begin () {
      const leftovers = [dataFolderLayout.restoring, dataFolderLayout.storageId, ...keyFiles]
      if (isDiscarding && await isThere(restoring)) {
        for (const name of leftovers) await rm(inDataFolder(name), { recursive: true, force: true })
      }
      await makeFolder(restoring)
    },
    async importMetadata (file, keys, storageId) {
      await storageRecordIn(dataDir).record(String(storageId))
      for (const name of keyFiles) if (keys?.[name] !== undefined) await new KeyFile(dataDir, name).replace(keys[name])
      await writeDurably(inDataFolder(dataFolderLayout.database), createReadStream(file))
      await sync(dataDir)
    },
    end: () => rm(restoring, { recursive: true, force: true }),
    close: async () => {}
  }
}
