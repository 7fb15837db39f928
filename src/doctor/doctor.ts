import type { Config } from '../config.ts'
import { checkDatabase, type DatabaseTools } from './database.ts'
import type { Diagnosis } from './diagnosis.ts'
import {
  checkClock,
  checkFileSystem,
  checkFolder,
  checkInodes,
  checkNames,
  checkOwner,
  checkPermissions,
  checkSpace,
  deniedEntries,
  entriesOf,
  existingPart
} from './folder.ts'
import { checkPublicAddress, checkServer, checkServerOfDatabase, checkStorage, type ServiceTools } from './network.ts'
import {
  checkCertificate,
  checkKeyFile,
  checkMetrics,
  checkNode,
  checkPasswordPolicy,
  checkProxy,
  checkPublicUrl,
  checkRateLimit,
  checkSigningKeys,
  checkTransport
} from './settings.ts'

/** The functions of the backends that the checks need. */
export interface DoctorTools extends DatabaseTools, ServiceTools {}

/** The result of one check, with the name of the check. */
export interface Finding extends Diagnosis { readonly check: string }

interface Environment {
  readonly config: Config
  /** `process.version`. */
  readonly nodeVersion: string
  /** The user that this process runs as. */
  readonly userId: number
  readonly tools: DoctorTools
  /** Called before each check with the number of checks done. */
  readonly onProgress: (done: number, total: number) => void
}

/** Checks everything that a server depends on, with or without a running server. Changes nothing in the data folder. */
export async function * runChecks ({
  config, nodeVersion, userId, tools, onProgress
}: Environment): AsyncGenerator<Finding> {
  const { dataDir, databaseUrl, storageUrl } = config
  const now = Date.now()
  const entries = await entriesOf(dataDir)
  const existing = await existingPart(dataDir)
  const denied = await deniedEntries(dataDir, entries, tools)
  // The slow ones are last.
  const checks: Record<string, () => Diagnosis | Promise<Diagnosis>> = {
    node: () => checkNode(nodeVersion),
    transport: () => checkTransport(config),
    certificate: () => checkCertificate(config, now),
    certificate_key: () => checkKeyFile(config),
    proxy: () => checkProxy(config),
    public_url: () => checkPublicUrl(config),
    password_policy: () => checkPasswordPolicy(config),
    signing_keys: () => checkSigningKeys(config),
    rate_limit: () => checkRateLimit(config),
    metrics: () => checkMetrics(config),
    // With a database server and a bucket there is no data folder.
    ...((databaseUrl === undefined || storageUrl === undefined) && {
      folder: () => checkFolder(dataDir, existing, denied),
      permissions: () => checkPermissions(dataDir, entries),
      owner: () => checkOwner(dataDir, entries, userId),
      names: () => checkNames(entries, tools),
      file_system: () => checkFileSystem(existing),
      free_space: () => checkSpace(existing, config.minFreeBytes),
      free_inodes: () => checkInodes(existing)
    }),
    clock: () => checkClock(entries, now),
    server: () => checkServer(config),
    public_address: () => checkPublicAddress(config),
    database: () =>
      databaseUrl === undefined ? checkDatabase(dataDir, denied, tools) : checkServerOfDatabase(databaseUrl, tools),
    storage: () => checkStorage(config, tools)
  }
  const all = Object.entries(checks)
  for (const [index, [name, check]] of all.entries()) {
    onProgress(index, all.length)
    yield { check: name, ...await check() }
  }
}
