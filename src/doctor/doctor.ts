import type { Config } from '../config.ts'
import { isDataFolderAlone, isForeign, usesDataFolder } from '../data-folder/data-folder.ts'
import { checkCertificate, checkKeyFile } from './certificate.ts'
import { checkDatabase } from './database.ts'
import { good, type Diagnosis, type Environment } from './diagnosis.ts'
import {
  checkClock, checkEntries, checkFileSystem, checkFolder, checkInodes, checkOwner, checkPermissions, checkSpace,
  deniedEntries, entriesOf, existingPart
} from './folder.ts'
import { checkAccounts, checkIdentityProvider } from './identity-provider.ts'
import { checkPublicAddress, checkServer } from './network.ts'
import { checkDatabaseServer, checkPairing, checkSealingKeys, checkStorage } from './services.ts'
import {
  checkEventLog, checkMetrics, checkNames, checkNode, checkPasswordPolicy, checkProxy, checkPublicUrl, checkRateLimit,
  checkSigningKeys, checkTransport
} from './settings.ts'

/** The result of one check, with the name of the check. */
export interface CheckResult extends Diagnosis { readonly check: string }

type DoctorCheck = (environment: Environment) => Diagnosis | Promise<Diagnosis>

interface DoctorOptions extends Pick<Environment, 'nodeVersion' | 'userId'> {
  /** Called before each check with the number of checks done. */
  readonly onProgress: (done: number, total: number) => void
}

/**
 * Checks everything that a server depends on, with or without a running server. Changes nothing, but writes an object
 * to a bucket and deletes it.
 */
export async function * runChecks (
  config: Config, { onProgress, ...options }: DoctorOptions
): AsyncGenerator<CheckResult> {
  const { dataDir } = config
  const entries = await entriesOf(dataDir)
  const denied = await deniedEntries(dataDir, entries)
  const existing = await existingPart(dataDir)
  const environment = { ...config, ...options, now: Date.now(), entries, denied, existing }
  const faults = new Set<string>()
  const checks = Object.entries(checksOf(environment, faults))
  for (const [index, [check, run]] of checks.entries()) {
    onProgress(index, checks.length)
    const diagnosis = await run(environment)
    if (diagnosis.verdict === 'fault') faults.add(check)
    yield { check, ...diagnosis }
  }
}

/** The checks by their names, the slow ones last. `faults`: the names of those that have found one. */
function checksOf (environment: Environment, faults: ReadonlySet<string>): Record<string, DoctorCheck> {
  const { databaseUrl, entries } = environment
  const ifUsable = (check: () => Promise<Diagnosis>) => () => faults.has('database') || faults.has('storage')
    ? good('it is not checked until database and storage can be used')
    : check()
  let connections: Diagnosis | undefined
  return {
    node: checkNode,
    setting_names: checkNames,
    transport: checkTransport,
    certificate: checkCertificate,
    certificate_key: checkKeyFile,
    proxy: checkProxy,
    public_url: checkPublicUrl,
    password_policy: checkPasswordPolicy,
    signing_keys: checkSigningKeys,
    rate_limit: checkRateLimit,
    metrics: checkMetrics,
    event_log: checkEventLog,
    ...(usesDataFolder(environment) && {
      folder: checkFolder,
      // Others' files keep their owners and modes.
      ...(!isForeign(entries.map(({ name }) => name).filter(name => name !== '')) && {
        permissions: checkPermissions,
        owner: checkOwner,
        names: checkEntries
      }),
      file_system: checkFileSystem,
      free_space: checkSpace,
      free_inodes: checkInodes
    }),
    clock: checkClock,
    server: checkServer,
    public_address: checkPublicAddress,
    ...(databaseUrl === undefined
      ? { database: checkDatabase }
      : {
        async database () {
          const server = await checkDatabaseServer(databaseUrl)
          connections = server.connections
          return server.database
        },
        connections: () => connections as Diagnosis
      }),
    storage: checkStorage,
    sealing_keys: ifUsable(() => checkSealingKeys(environment)),
    identity_provider: checkIdentityProvider,
    accounts: ifUsable(() => checkAccounts(environment)),
    ...(!isDataFolderAlone(environment) && { pair: ifUsable(() => checkPairing(environment)) })
  }
}
