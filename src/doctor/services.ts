import type { Config } from '../config.ts'
import { OperatorError } from '../problems.ts'
import { diagnoseCopyFailure } from './database.ts'
import { fault, faultOf, good, type Diagnosis } from './diagnosis.ts'

/** What is known of a database server that a server of MagicStore can start with. */
interface DatabaseReport {
  readonly version: string
  /** Whether the next start upgrades the database. */
  readonly isOutdated: boolean
  /** What allows too few connections; undefined if they are enough. */
  readonly shortage: { readonly reason: string, readonly remedy: string } | undefined
  /** Servers that can run at the same time. */
  readonly maxServers: number
}

/** The functions of the backends that the checks need. All throw {OperatorError} in the words of a start. */
export interface ServiceTools {
  /** Changes nothing. */
  readonly checkDatabaseServer: (url: string) => Promise<DatabaseReport>
  /** Lists, writes, reads and deletes in the blob store. */
  readonly checkBlobStore: (config: Config) => Promise<void>
  /** Checks that the database and the blob store belong together, and changes nothing. */
  readonly checkPair: (config: Config) => Promise<void>
  /** The ids of keys that sealed secrets of second factors, and that a server would not have. Changes nothing. */
  readonly findMissingSealingKeys: (config: Config) => Promise<string[]>
}

/** Checks a database on a server, and its connections. */
export async function checkServerOfDatabase (
  url: string, { checkDatabaseServer }: ServiceTools
): Promise<{ database: Diagnosis, connections: Diagnosis }> {
  try {
    const { version, isOutdated, shortage, maxServers } = await checkDatabaseServer(url)
    return {
      database: good(isOutdated
        ? `PostgreSQL ${version} answers; the next start upgrades the database`
        : `PostgreSQL ${version} answers; to check the stored bytes run magicstore fsck --deep`),
      connections: shortage === undefined ? good(`there are enough for ${maxServers} servers`) : fault(shortage.reason, shortage.remedy)
    }
  } catch (error) {
    return { database: faultOf(error), connections: good('they are not checked until the database can be used') }
  }
}

export async function checkStorage (config: Config, { checkBlobStore }: ServiceTools): Promise<Diagnosis> {
  const { storageUrl } = config
  if (storageUrl === undefined) return good('files are in DATA_DIR')
  return checkBlobStore(config).then(() => good(`files can be listed, written, read and deleted in bucket ${storageUrl.bucket}`), faultOf)
}

/** `isReachable`: the database and the storage are good. */
export async function checkPair (
  config: Config, isReachable: boolean, { checkPair }: ServiceTools
): Promise<Diagnosis> {
  if (!isReachable) return good('it is not checked until database and storage can be used')
  return checkPair(config).then(
    () => good('the database and the stored files belong together'),
    diagnoseFailure
  )
}

/** `isReachable`: the database and the storage are good. */
export async function checkSealingKeys (
  config: Config, isReachable: boolean, { findMissingSealingKeys }: ServiceTools
): Promise<Diagnosis> {
  if (!isReachable) return good('they are not checked until database and storage can be used')
  return findMissingSealingKeys(config).then(
    missing => missing.length === 0
      ? good('every secret of one-time codes has its key')
      : fault(`secrets of one-time codes need keys that are missing: ${missing.join(', ')}`, 'restore sealing-keys from a backup, or set SEALING_KEYS as before'),
    diagnoseFailure
  )
}

function diagnoseFailure (error: Error): Diagnosis {
  return error instanceof OperatorError ? faultOf(error) : diagnoseCopyFailure(error)
}
