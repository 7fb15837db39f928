import type { Config } from '../config.ts'
import { fault, good, type Diagnosis } from './diagnosis.ts'

/** The functions of the backends on other machines that the checks need. Each throws an error with the reason in one line. */
export interface ServiceTools {
  /** The version of the database server, and whether the next start upgrades the database. Changes nothing. */
  checkDatabaseServer (url: string): Promise<{ readonly version: string, readonly isOutdated: boolean }>
  /** Lists, writes, reads and deletes in the blob store. */
  checkBlobStore (config: Config): Promise<void>
}

export async function checkServerOfDatabase (url: string, { checkDatabaseServer }: ServiceTools): Promise<Diagnosis> {
  return checkDatabaseServer(url).then(({ version, isOutdated }) => good(isOutdated
    ? `PostgreSQL ${version} answers; the next start upgrades the database`
    : `PostgreSQL ${version} answers; to check the stored bytes run magicstore fsck --deep`), failed)
}

export async function checkStorage (config: Config, { checkBlobStore }: ServiceTools): Promise<Diagnosis> {
  const { storageUrl } = config
  if (storageUrl === undefined) return good('files are in DATA_DIR')
  return checkBlobStore(config).then(() => good(`files can be listed, written, read and deleted in bucket ${storageUrl.bucket}`), failed)
}

function failed ({ message }: Error): Diagnosis {
  return fault(message, 'correct the setting, or start what it names')
}
