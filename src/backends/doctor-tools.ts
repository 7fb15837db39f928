import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { BlobView } from '../blobs/blob-store.ts'
import { viewDiskBlobs } from '../blobs/disk/disk.ts'
import type { Config } from '../config.ts'
import type { SigningKey } from '../config/signing-keys.ts'
import { dataFolderLayout, hasDatabase } from '../data-folder/data-folder.ts'
import { KeyFile } from '../data-folder/key-file.ts'
import { withScratch } from '../doctor/database.ts'
import type { DoctorTools } from '../doctor/doctor.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import { findReadableDatabase, isBesideDatabase } from '../metadata/sqlite/database-file.ts'
import { checkDatabaseIntegrity } from '../metadata/sqlite/integrity-check.ts'
import { isLocked } from '../metadata/sqlite/lock.ts'
import { openSnapshot } from '../metadata/sqlite/snapshot.ts'
import { checkFolder, openBlobs, storageRecordIn, usesDataFolder } from './backends.ts'
import { blobPlaceOf } from './blob-place.ts'
import { checkPair, refuseForeignMark, SAMPLE } from './pairing.ts'
import { refuseCutRestore } from './restore-mark.ts'

/** The backend functions that `magicstore doctor` needs. */
export const doctorTools: DoctorTools = {
  isBesideDatabase,
  findReadableDatabase,
  checkDatabaseIntegrity,
  checkFolder,
  isFolderInUse: config => usesDataFolder(config) && isLocked(join(config.dataDir, dataFolderLayout.lock)),
  usesDataFolder,

  async checkDatabaseServer (url) {
    const report = await inspectPostgres(url)
    await report.close()
    return report
  },

  // Opening it lists, writes, reads and deletes.
  async checkBlobStore (config) {
    const blobs = await openBlobs(config, noReserve)
    await blobs.close()
  },

  async checkPair (config) {
    if (config.storageUrl === undefined) return checkPairWith(config, viewDiskBlobs(config.dataDir))
    const blobs = await openBlobs(config, noReserve)
    await checkPairWith(config, blobs).finally(() => blobs.close())
  },

  async findMissingSealingKeys (config) {
    const { databaseUrl, sealingKeys } = config
    const { sealedBy, keys } = await (databaseUrl === undefined ? findSealing(config) : findSealingAt(databaseUrl))
    const known = [...keys, ...sealingKeys ?? []]
    return sealedBy.filter(kid => !known.some(key => key.kid === kid))
  }
}

interface Sealing { readonly sealedBy: readonly string[], readonly keys: readonly SigningKey[] }

async function findSealing ({ dataDir }: Config): Promise<Sealing> {
  const keys = await new KeyFile(dataDir, dataFolderLayout.sealingKeys).find() ?? []
  if (!await hasDatabase(dataDir)) return { sealedBy: [], keys }
  return withScratch(async scratch => {
    const snapshot = openSnapshot(await findReadableDatabase(join(dataDir, dataFolderLayout.database), scratch))
    snapshot.close()
    return { sealedBy: snapshot.secondFactors.sealedBy, keys }
  })
}

async function findSealingAt (url: string): Promise<Sealing> {
  const database = await inspectPostgres(url)
  return database.findSealing().finally(() => database.close())
}

/** No bytes are stored. */
const noReserve = { missingBytes: 0 }

/** Loaded on demand, as for the server. */
async function inspectPostgres (url: string) {
  const { inspectPostgres } = await import('../metadata/postgres/postgres.ts')
  return inspectPostgres(url)
}

async function checkPairWith (config: Config, blobs: BlobView): Promise<void> {
  await (config.databaseUrl === undefined
    ? checkSqlitePair(config, blobs)
    : checkPostgresPair(config, config.databaseUrl, blobs))
}

async function checkSqlitePair (config: Config, blobs: BlobView): Promise<void> {
  const { dataDir } = config
  if (!await hasDatabase(dataDir)) return refuseMarks(config, blobs)
  await withScratch(async scratch => {
    const snapshot = openSnapshot(await findReadableDatabase(join(dataDir, dataFolderLayout.database), scratch))
    const { installationId } = snapshot
    const contents = { listContents: async () => firstOf(snapshot) }
    try {
      const storage = storageRecordIn(dataDir)
      await checkPair(blobPlaceOf(config), { metadata: { installationId, blobs: contents }, blobs, storage })
    } finally {
      snapshot.close()
    }
  })
}

/** The first blobs of a snapshot, which lists those whose ids begin alike. */
function firstOf (snapshot: Snapshot): { blobId: string }[] {
  const found: { blobId: string }[] = []
  for (let byte = 0; byte < 256 && found.length < SAMPLE; byte++) {
    found.push(...snapshot.blobs(byte.toString(16).padStart(2, '0')).map(({ id }) => ({ blobId: id })))
  }
  return found.slice(0, SAMPLE)
}

async function checkPostgresPair (config: Config, url: string, blobs: BlobView): Promise<void> {
  const database = await inspectPostgres(url)
  const { installationId } = database
  try {
    if (installationId === undefined) return await refuseMarks(config, blobs)
    const storage = { find: () => database.findStorageId() }
    await checkPair(blobPlaceOf(config), { metadata: { installationId, blobs: database.blobs }, blobs, storage })
  } finally {
    await database.close()
  }
}

/** For a database that is not there yet. */
async function refuseMarks (config: Config, blobs: BlobView): Promise<void> {
  refuseCutRestore(blobPlaceOf(config), await blobs.marks.list())
  await refuseForeignMark(blobPlaceOf(config), { metadata: { installationId: randomUUID() }, blobs })
}
