import type { Config } from '../config.ts'
import { checkCertificate, checkKeyFile } from './certificate.ts'
import { checkDatabase, type DatabaseTools } from './database.ts'
import type { Diagnosis } from './diagnosis.ts'
import { checkClock, checkFileSystem, checkFolder, checkInodes, checkNames, checkOwner, checkPermissions, checkSpace, entriesOf, nearest } from './folder.ts'
import { checkPublicAddress, checkServer } from './network.ts'
import { checkMetrics, checkNode, checkPasswordPolicy, checkProxy, checkPublicUrl, checkRateLimit, checkSigningKeys, checkTransport } from './settings.ts'

/** What one check found. */
export interface Finding extends Diagnosis { readonly check: string }

interface Surroundings {
  readonly config: Config
  /** As Node.js says it of itself. */
  readonly nodeVersion: string
  /** The user whose process this is. */
  readonly userId: number
  readonly tools: DatabaseTools
  /** Hears before each look how many are done. */
  readonly onLook: (done: number, total: number) => void
}

/** Looks at all that a server stands on, beside a running one or without one, and changes nothing in the data folder. */
export async function * examine ({ config, nodeVersion, userId, tools, onLook }: Surroundings): AsyncGenerator<Finding> {
  const { dataDir } = config
  const now = Date.now()
  const entries = await entriesOf(dataDir)
  const there = await nearest(dataDir)
  // What may take long is last.
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
    folder: () => checkFolder(dataDir, there),
    permissions: () => checkPermissions(dataDir, entries),
    owner: () => checkOwner(dataDir, entries, userId),
    names: () => checkNames(entries, tools),
    file_system: () => checkFileSystem(there),
    free_space: () => checkSpace(there, config.minFreeBytes),
    free_inodes: () => checkInodes(there),
    clock: () => checkClock(entries, now),
    server: () => checkServer(config),
    public_address: () => checkPublicAddress(config),
    database: () => checkDatabase(dataDir, tools)
  }
  const all = Object.entries(checks)
  for (const [index, [check, look]] of all.entries()) {
    onLook(index, all.length)
    yield { check, ...await look() }
  }
}
