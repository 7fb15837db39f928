import { randomUUID } from 'node:crypto'
import { inspectPostgres, openBlobs, storageRecordIn } from '../backends/backends.ts'
import {
  checkPair, refuseCutRestore, refuseForeignMark, SAMPLE, type PairedDatabase
} from '../backends/pairing.ts'
import type { BlobView } from '../blobs/blob-store.ts'
import { viewDiskBlobs } from '../blobs/disk/disk.ts'
import type { Config } from '../config.ts'
import type { SigningKey } from '../config/signing-keys.ts'
import { dataFolderLayout, hasDatabase } from '../data-folder/data-folder.ts'
import { findKeys } from '../data-folder/key-file.ts'
import type { Snapshot } from '../metadata/snapshot.ts'
import { openSnapshot } from '../metadata/sqlite/snapshot.ts'
import { OperatorError } from '../problems.ts'
import { diagnoseCopyFailure, withReadableDatabase } from './database.ts'
import { fault, faultOf, good, type Diagnosis } from './diagnosis.ts'

/** Checks a database on a server, and its connections. */
export async function checkDatabaseServer (url: string): Promise<{ database: Diagnosis, connections: Diagnosis }> {
  try {
    const report = await inspectPostgres(url)
    await report.close()
    const { version, isOutdated, shortage, maxServers } = report
    return {
      database: good(isOutdated
        ? `PostgreSQL ${version} answers; the next start upgrades the database`
        : `PostgreSQL ${version} answers; to check the stored bytes run magicstore fsck --deep`),
      connections: shortage === undefined
        ? good(`there are enough for ${maxServers} servers`)
        : fault(shortage.reason, shortage.remedy)
    }
  } catch (error) {
    return { database: faultOf(error), connections: good('they are not checked until the database can be used') }
  }
}

/** Opening a bucket lists, writes, reads and deletes. */
export async function checkStorage (config: Config): Promise<Diagnosis> {
  const { storageUrl } = config
  if (storageUrl === undefined) return good('files are in DATA_DIR')
  return openBlobs(config).then(blobs => blobs.close())
    .then(() => good(`files can be listed, written, read and deleted in bucket ${storageUrl.bucket}`), faultOf)
}

/** Whether the database and the blob store belong together. */
export async function checkPairing (config: Config): Promise<Diagnosis> {
  const { storageUrl, dataDir } = config
  const diagnosis = storageUrl === undefined
    ? judgePair(config, viewDiskBlobs(dataDir))
    : openBlobs(config).then(blobs => judgePair(config, blobs).finally(() => blobs.close()))
  return diagnosis.catch(diagnoseFailure)
}

function judgePair (config: Config, blobs: BlobView): Promise<Diagnosis> {
  return withDatabase(config, async database => {
    const { installationId } = database
    if (installationId === undefined) {
      refuseCutRestore(config, await blobs.marks.list())
      await refuseForeignMark(config, randomUUID(), blobs)
    } else await checkPair(config, { ...database, installationId }, blobs)
    return good('the database and the stored files belong together')
  })
}

/** Whether the keys that sealed secrets of second factors are there. */
export async function checkSealingKeys (config: Config): Promise<Diagnosis> {
  return withDatabase(config, async ({ findSealing }) => {
    const { sealedBy, keys } = await findSealing()
    const known = [...keys, ...config.sealingKeys ?? []].map(({ kid }) => kid)
    const missing = sealedBy.filter(kid => !known.includes(kid))
    if (missing.length === 0) return good('every secret of one-time codes has its key')
    return fault(
      `secrets of one-time codes need keys that are missing: ${missing.join(', ')}`,
      'restore sealing-keys from a backup, or set SEALING_KEYS as before'
    )
  }).catch(diagnoseFailure)
}

/** The diagnosis of a database that can't be looked into. */
export function diagnoseFailure (error: Error): Diagnosis {
  return error instanceof OperatorError ? faultOf(error) : diagnoseCopyFailure(error)
}

/** A database as it is: it is not upgraded. Without an `installationId` if it does not exist yet. */
type UnchangedDatabase = Omit<PairedDatabase, 'installationId'> & {
  readonly installationId: string | undefined
  /** Some accounts, by their names, that neither a password nor an identity of this issuer opens. */
  readonly findUnopened: (issuer: string) => Promise<readonly string[]>
  readonly findSealing: () => Promise<{ readonly sealedBy: readonly string[], readonly keys: readonly SigningKey[] }>
}

/** Runs `use` with a database as it is. */
export async function withDatabase<T> (
  { databaseUrl, dataDir }: Config, use: (database: UnchangedDatabase) => Promise<T>
): Promise<T> {
  if (databaseUrl !== undefined) {
    const database = await inspectPostgres(databaseUrl)
    return use(database).finally(() => database.close())
  }
  const useSnapshot = (snapshot?: Snapshot) => use({
    ...storageRecordIn(dataDir),
    installationId: snapshot?.installationId,
    // Only called if the database exists.
    blobs: { listContents: async () => firstOf(snapshot as Snapshot) },
    findUnopened: async issuer => snapshot?.findUnopened(issuer) ?? [],
    findSealing: async () => ({
      sealedBy: snapshot?.secondFactors.sealedBy ?? [],
      keys: await findKeys(dataDir, dataFolderLayout.sealingKeys) ?? []
    })
  })
  if (!await hasDatabase(dataDir)) return useSnapshot()
  return withReadableDatabase(dataDir, async file => {
    const snapshot = openSnapshot(file)
    return useSnapshot(snapshot).finally(() => snapshot.close())
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
