import { Accounts } from './accounts/accounts.ts'
import { createAttemptLimiter, type AttemptLimiter } from './accounts/attempt-limiter.ts'
import { createPasswords, type Passwords } from './accounts/password.ts'
import { openBackends, lockDataFolder, prepareFolder, type Backends, type KeySource, type OpenOptions } from './backends/backends.ts'
import type { Config } from './config.ts'
import { createSealer, type Sealer } from './factors/sealing.ts'
import { BackgroundFailures } from './files/background-failures.ts'
import { BlobCleanup } from './files/blob-cleanup.ts'
import { Changes } from './files/changes.ts'
import { Copies } from './files/copies.ts'
import { DiskRoom } from './files/disk-room.ts'
import { Files } from './files/files.ts'
import { Folders } from './files/folders.ts'
import { startHousekeeping, type Housekeeping } from './files/housekeeping.ts'
import { IncomingBlobs } from './files/incoming-blobs.ts'
import { KeptFiles } from './files/kept.ts'
import { Locks } from './files/locks.ts'
import { Properties } from './files/properties.ts'
import { Quotas } from './files/quotas.ts'
import { LinkUses } from './links/link-uses.ts'
import { Problem } from './problems.ts'
import { createKeyRing, type KeyRing } from './tokens/key-ring.ts'
import { ResumableUploads } from './uploads/resumable.ts'

interface Rules {
  readonly passwords: Passwords
  readonly attemptLimiter: AttemptLimiter
  readonly accounts: Accounts
  readonly quotas: Quotas
  readonly failures: BackgroundFailures
  readonly cleanup: BlobCleanup
  readonly files: Files
  readonly folders: Folders
  readonly changes: Changes
  readonly copies: Copies
  readonly locks: Locks
  readonly properties: Properties
  readonly keptFiles: KeptFiles
  readonly uploads: ResumableUploads
  readonly linkUses: LinkUses
  /** Ends waiting requests, and uploads and acts of many steps between two: clients go on with the next server. */
  stop (): void
}

/** The store as operator commands use it, with or without a running server. */
export interface OperatorStore extends Backends, Rules {
  /** Waits for pending work, then closes the backends. A server's store leaves long removals to its next start. */
  close (): Promise<void>
}

/** The whole application but HTTP: the rules, over the backends that the settings choose. */
export interface Store extends OperatorStore {
  readonly config: Config
  readonly keyRing: KeyRing
  readonly sealer: Sealer
  readonly housekeeping: Housekeeping
}

/**
 * Opens a store that a server may be using, or creates one. Recovers nothing. Locks a data folder only while its
 * database is upgraded.
 * @throws {FolderInUseError} if it must be upgraded while a server, of an older version, is running.
 */
export async function openOperatorStore (config: Config): Promise<OperatorStore> {
  await prepareFolder(config)
  const inUse = 'a MagicStore server of an older version uses this data folder; restart the server first, so that it upgrades the database'
  const backends = await openBackends(config, { takeFolder: () => lockDataFolder(config, { inUse }) })
  const rules = await createRules(config, backends)
  return { ...backends, ...rules, close: () => closeAll(backends, rules) }
}

/**
 * Opens the store for the server, and completes or removes interrupted uploads. Other removals run in the background.
 * Locks the data folder. `onUpgrade` is called before a database is upgraded, with the number of files in it. With a
 * `clock`, what expires does so by that clock.
 * @throws {FolderInUseError} if another server uses it, {UnknownMigrationError} if the database can't be upgraded.
 */
export async function openStore (config: Config, options: Pick<OpenOptions, 'onUpgrade' | 'clock'> = {}): Promise<Store> {
  await prepareFolder(config)
  const lock = lockDataFolder(config)
  try {
    const backends = await openBackends(config, options)
    const keyRing = await openKeyRing(config, backends.keys)
    const rules = await createRules(config, backends)
    await rules.cleanup.recover()
    rules.cleanup.sweep()
    const { cleanup, failures } = rules
    const { eventMilliseconds } = config
    const sweep = () => cleanup.sweep()
    const housekeeping = startHousekeeping({ ...backends, sweep, eventMilliseconds, failures })
    return {
      ...backends,
      ...rules,
      config,
      keyRing,
      sealer: createSealer({ keys: backends.sealingKeys, installationId: backends.metadata.installationId }),
      housekeeping,
      async close () {
        housekeeping.stop()
        rules.cleanup.stop()
        await closeAll(backends, rules)
        lock.close()
      }
    }
  } catch (error) {
    lock.close()
    throw error
  }
}

/** Keys of the environment stay as they are. Others can be rotated while the server runs. */
async function openKeyRing ({ signingKeys }: Config, keys: KeySource): Promise<KeyRing> {
  if (signingKeys !== undefined) return createKeyRing(signingKeys, async () => signingKeys)
  return createKeyRing(await keys.read(), keys.find)
}

async function createRules (config: Config, { metadata, blobs, reserve }: Backends): Promise<Rules> {
  const passwords = await createPasswords(config.passwordPolicy)
  const attemptLimiter = createAttemptLimiter(metadata.attempts)
  const { registration, registrationsPerHour } = config
  const accounts = new Accounts({ metadata, passwords, attemptLimiter, registration, registrationsPerHour })
  const quotas = new Quotas(metadata.uploads, config)
  const failures = new BackgroundFailures()
  const cleanup = new BlobCleanup({ metadata, blobs, reserve, failures })
  const room = new DiskRoom({ metadata, blobs, cleanup })
  const limits = { ...config, redirectSeconds: config.downloadRedirectSeconds }
  const incoming = new IncomingBlobs(metadata.blobs, blobs)
  const files = new Files({ metadata, blobs, cleanup, room, quotas, incoming, limits })
  const stopping = new AbortController()
  const folders = new Folders({ metadata, quotas, room, stopping: stopping.signal })
  const changes = new Changes(metadata.changes)
  const uploads = new ResumableUploads({ metadata, blobs, room, files, quotas, limits: config })
  return {
    passwords,
    attemptLimiter,
    accounts,
    quotas,
    failures,
    cleanup,
    files,
    folders,
    changes,
    copies: new Copies({ metadata, blobs, incoming, room, quotas, files, folders, stopping: stopping.signal }),
    locks: new Locks({ metadata, files }),
    properties: new Properties({ metadata, room }),
    keptFiles: new KeptFiles({ metadata, quotas, files, stopping: stopping.signal }),
    uploads,
    linkUses: new LinkUses({ links: metadata.links, onFailure: failures.of('the record of the use of a link') }),
    stop () {
      stopping.abort(new Problem('stopping', { headers: { 'retry-after': '5' } }))
      uploads.stop()
      changes.stop()
    }
  }
}

async function closeAll ({ metadata, blobs }: Backends, { files, uploads, linkUses }: Rules): Promise<void> {
  await linkUses.close()
  await uploads.close()
  await files.close()
  await blobs.close()
  await metadata.close()
}
