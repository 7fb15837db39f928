import type { Config } from '../config.ts'
import { isForeign } from '../data-folder/data-folder.ts'
import type { OperatorError } from '../problems.ts'
import { checkCertificate, checkKeyFile } from './certificate.ts'
import { checkDatabase, type DatabaseTools } from './database.ts'
import type { Diagnosis } from './diagnosis.ts'
import {
  checkClock,
  checkEntries,
  checkFileSystem,
  checkFolder,
  checkInodes,
  checkOwner,
  checkPermissions,
  checkSpace,
  deniedEntries,
  entriesOf,
  existingPart,
  type Entry
} from './folder.ts'
import { checkPublicAddress, checkServer, type ServerTools } from './network.ts'
import { checkPair, checkSealingKeys, checkServerOfDatabase, checkStorage, type ServiceTools } from './services.ts'
import {
  checkEventLog,
  checkMetrics,
  checkNames,
  checkNode,
  checkPasswordPolicy,
  checkProxy,
  checkPublicUrl,
  checkRateLimit,
  checkSigningKeys,
  checkTransport
} from './settings.ts'

/** The functions of the backends that the checks need. */
export interface DoctorTools extends DatabaseTools, ServiceTools, Pick<ServerTools, 'isFolderInUse' | 'usesDataFolder'> {
  /** Checks the data folder, if there is one, without changing it. @throws {ConfigError} in the words of a start. */
  readonly checkFolder: (config: Config) => Promise<void>
}

/** The result of one check, with the name of the check. */
export interface Finding extends Diagnosis { readonly check: string }

interface Environment {
  readonly config: Config
  /** `process.version`. */
  readonly nodeVersion: string
  /** The user that this process runs as. */
  readonly userId: number
  readonly tools: DoctorTools & ServerTools
  /** Called before each check with the number of checks done. */
  readonly onProgress: (done: number, total: number) => void
}

type Checks = Record<string, () => Diagnosis | Promise<Diagnosis>>

/**
 * Checks everything that a server depends on, with or without a running server. Changes nothing, but writes an object
 * to a bucket and deletes it.
 */
export async function * runChecks (environment: Environment): AsyncGenerator<Finding> {
  const { config, nodeVersion, tools, onProgress } = environment
  const now = Date.now()
  const entries = await entriesOf(config.dataDir)
  const inspected = { entries, denied: await deniedEntries(config.dataDir, entries, tools) }
  const folder = tools.usesDataFolder(config) ? await folderChecks(environment, inspected) : {}
  // The slow ones are last.
  const checks: Checks = {
    node: () => checkNode(nodeVersion),
    setting_names: () => checkNames(),
    transport: () => checkTransport(config),
    certificate: () => checkCertificate(config, now),
    certificate_key: () => checkKeyFile(config),
    proxy: () => checkProxy(config),
    public_url: () => checkPublicUrl(config),
    password_policy: () => checkPasswordPolicy(config),
    signing_keys: () => checkSigningKeys(config),
    rate_limit: () => checkRateLimit(config),
    metrics: () => checkMetrics(config),
    event_log: () => checkEventLog(config),
    ...folder,
    clock: () => checkClock(entries, now),
    server: () => checkServer(config, tools),
    public_address: () => checkPublicAddress(config),
    ...storeChecks(environment, inspected)
  }
  const all = Object.entries(checks)
  for (const [index, [name, check]] of all.entries()) {
    onProgress(index, all.length)
    yield { check: name, ...await check() }
  }
}

/** DATA_DIR as far as it can be read. */
interface Inspected { readonly entries: Entry[], readonly denied: string[] }

async function folderChecks (
  { config, userId, tools }: Environment, { entries, denied }: Inspected
): Promise<Checks> {
  const { dataDir, minFreeBytes } = config
  const existing = await existingPart(dataDir)
  const refusal: OperatorError | undefined = await tools.checkFolder(config).then(() => undefined, error => error)
  return {
    folder: () => checkFolder(dataDir, { existing, denied, refusal }),
    // Others' files keep their owners and modes.
    ...(!isForeign(entries.map(({ name }) => name).filter(name => name !== '')) && {
      permissions: () => checkPermissions(dataDir, entries),
      owner: () => checkOwner(dataDir, entries, userId),
      names: () => checkEntries(entries, tools)
    }),
    file_system: () => checkFileSystem(existing),
    free_space: () => checkSpace(existing, minFreeBytes),
    free_inodes: () => checkInodes(existing)
  }
}

function storeChecks ({ config, tools }: Environment, { denied }: Inspected): Checks {
  const { dataDir, databaseUrl, storageUrl } = config
  let connections: Diagnosis | undefined
  let isReachable = true
  const reached = (diagnosis: Diagnosis) => {
    isReachable &&= diagnosis.verdict !== 'fault'
    return diagnosis
  }
  return {
    database: async () => {
      if (databaseUrl === undefined) return reached(await checkDatabase(dataDir, denied, tools))
      const diagnoses = await checkServerOfDatabase(databaseUrl, tools)
      connections = diagnoses.connections
      return reached(diagnoses.database)
    },
    ...(databaseUrl !== undefined && { connections: () => connections as Diagnosis }),
    storage: async () => reached(await checkStorage(config, tools)),
    sealing_keys: () => checkSealingKeys(config, isReachable, tools),
    ...((databaseUrl ?? storageUrl) !== undefined && { pair: () => checkPair(config, isReachable, tools) })
  }
}
