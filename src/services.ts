import { createAccounts, type Accounts } from './accounts/accounts.ts'
import { createAttemptLimiter, type AttemptLimiter } from './accounts/attempt-limiter.ts'
import { createClaims, type Claims } from './accounts/claims.ts'
import { createSecurityLog, type LogEvent, type SecurityLog } from './accounts/events.ts'
import { createPasswords, type Passwords } from './accounts/password.ts'
import { createSignIn, type SignIn } from './accounts/sign-in.ts'
import { openBackends, lockDataFolder, type Backends, type OpenOptions } from './backends/backends.ts'
import type { Config } from './config.ts'
import { createProgramConnections, type ProgramConnections } from './connections/connections.ts'
import { prepareFolder } from './data-folder/data-folder.ts'
import { createFactors, type Factors } from './factors/factors.ts'
import { createPasskeys, type Passkeys } from './factors/passkeys.ts'
import { createSealer, type Sealer } from './factors/sealing.ts'
import { createCodeVerifier, type CodeVerifier } from './factors/second-factor.ts'
import { createBlobCleanup, type BlobCleanup } from './files/blob-cleanup.ts'
import { Changes } from './files/changes.ts'
import { type Bulk, createBulk } from './files/bulk.ts'
import { createCopies, type Copies } from './files/copies.ts'
import { createCursors, type Cursors } from './files/cursor.ts'
import { createFiles, type Files } from './files/files.ts'
import { createFolders, type Folders } from './files/folders.ts'
import { BackgroundFailures, startHousekeeping, type Housekeeping } from './files/housekeeping.ts'
import { createIncomingBlobs, type IncomingBlobs } from './files/incoming-blobs.ts'
import { createSpace, type Space } from './files/space.ts'
import { createThumbnails, type Thumbnails } from './files/thumbnails.ts'
import { createTrash, createVersions, type Trash, type Versions } from './files/trash.ts'
import { createZips, type Zips } from './files/zips.ts'
import { createIdentities, type Identities } from './identities/identities.ts'
import { createLinkPasswords, type LinkPasswords } from './links/link-passwords.ts'
import { LinkUses } from './links/link-uses.ts'
import { createShareLinks, type ShareLinks } from './links/share-links.ts'
import type { Ids } from './metadata/ids.ts'
import { Problem } from './problems.ts'
import { createAccessTokens, type AccessTokens } from './tokens/jwt.ts'
import { createKeyRing, type KeyRing } from './tokens/key-ring.ts'
import { createSessionRequests, type SessionRequests } from './tokens/sessions.ts'
import { createSignedTexts, type SignedTexts } from './tokens/signed-texts.ts'
import { createTokens, type Tokens } from './tokens/tokens.ts'
import { createResumableUploads, type ResumableUploads } from './uploads/resumable.ts'

/** What works on a store with or without a running server. */
interface Rules {
  readonly passwords: Passwords
  readonly attemptLimiter: AttemptLimiter
  readonly accounts: Accounts
  readonly failures: BackgroundFailures
  readonly cleanup: BlobCleanup
  readonly incoming: IncomingBlobs
  readonly space: Space
  readonly files: Files
  readonly thumbnails: Thumbnails
  readonly folders: Folders
  readonly changes: Changes
  readonly copies: Copies
  readonly versions: Versions
  readonly trash: Trash
  readonly uploads: ResumableUploads
  readonly linkUses: LinkUses
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal
  /** Ends long polls, uploads and batch operations at the next safe point. */
  stop (): void
}

/** The store as operator commands use it, with or without a running server. */
export interface OperatorStore extends Backends, Rules {
  readonly config: Config
  /** Waits for pending work, then closes the backends. A server's store leaves long removals to its next start. */
  close (): Promise<void>
}

/** The whole application but HTTP: the rules, over the backends that the settings choose. Each takes what it needs. */
export interface AppServices extends OperatorStore {
  readonly ids: Ids
  readonly keyRing: KeyRing
  readonly signedTexts: SignedTexts
  readonly cursors: Cursors
  readonly sealer: Sealer
  /** Sinks that receive every security event. */
  readonly eventLogs: LogEvent[]
  readonly securityLog: SecurityLog
  readonly secondFactor: CodeVerifier
  readonly signIn: SignIn
  readonly claims: Claims
  readonly tokens: Tokens
  readonly accessTokens: AccessTokens
  readonly programConnections: ProgramConnections
  readonly sessions: SessionRequests
  readonly factors: Factors
  readonly passkeys: Passkeys
  readonly identities: Identities
  readonly shareLinks: ShareLinks
  readonly linkPasswords: LinkPasswords
  readonly zips: Zips
  readonly bulk: Bulk
  readonly housekeeping: Housekeeping
}

/**
 * Opens a store that a server may be using, or creates one. Recovers nothing. Locks a data folder only while its
 * database is upgraded.
 * @throws {FolderInUseError} if it must be upgraded while a server, of an older version, is running.
 */
export async function openOperatorStore (config: Config): Promise<OperatorStore> {
  await prepareFolder(config)
  const inUse = 'a MagicStore server of an older version uses this data folder; restart the server first, ' +
    'so that it upgrades the database'
  const backends = await openBackends(config, { takeFolder: () => lockDataFolder(config, { inUse }) })
  const rules = await createRules(config, backends)
  return { ...backends, ...rules, config, close: () => closeAll(backends, rules) }
}

/**
 * Opens the store for the server, and completes or removes interrupted uploads. Other removals run in the background.
 * Locks the data folder. `onUpgrade` is called before a database is upgraded, with the number of files in it. With a
 * `clock`, what expires does so by that clock.
 * @throws {FolderInUseError} if another server uses it, {UnknownMigrationError} if the database can't be upgraded.
 */
export async function openStore (
  config: Config, options: Pick<OpenOptions, 'onUpgrade' | 'clock'> = {}
): Promise<AppServices> {
  await prepareFolder(config)
  const lock = lockDataFolder(config)
  try {
    const backends = await openBackends(config, options)
    const keyRing = await openKeyRing(config, backends.keys)
    const rules = await createRules(config, backends)
    await rules.cleanup.recover()
    rules.cleanup.sweep()
    const serverRules = createServerRules({ ...backends, ...rules, config, keyRing })
    const housekeeping = startHousekeeping(serverRules)
    return {
      ...serverRules,
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
async function openKeyRing ({ signingKeys }: Config, keys: Backends['keys']): Promise<KeyRing> {
  if (signingKeys !== undefined) return createKeyRing(signingKeys, async () => signingKeys)
  return createKeyRing(await keys.read(), keys.find)
}

async function createRules (config: Config, { metadata, blobs, reserve }: Backends): Promise<Rules> {
  const passwords = await createPasswords(config.passwordPolicy)
  const attemptLimiter = createAttemptLimiter(metadata.attempts)
  const accounts = createAccounts({ config, metadata, passwords, attemptLimiter })
  const failures = new BackgroundFailures()
  const cleanup = createBlobCleanup({ metadata, blobs, reserve, failures })
  const incoming = createIncomingBlobs({ metadata, blobs })
  const space = createSpace({ metadata, blobs, cleanup, config })
  const linkUses = new LinkUses({ links: metadata.links, onFailure: failures.of('the record of the use of a link') })
  const files = createFiles({ metadata, blobs, incoming, space, linkUses, config })
  const stopped = new AbortController()
  const { signal: stopping } = stopped
  const folders = createFolders({ metadata, space, stopping })
  const changes = new Changes(metadata.changes)
  const uploads = createResumableUploads({ metadata, blobs, space, linkUses, files, config, stopping })
  return {
    passwords,
    attemptLimiter,
    accounts,
    failures,
    cleanup,
    incoming,
    space,
    files,
    thumbnails: createThumbnails({ metadata, space }),
    folders,
    changes,
    copies: createCopies({ metadata, blobs, incoming, space, files, folders, stopping }),
    versions: createVersions({ metadata, space, files }),
    trash: createTrash({ metadata, space, files, stopping }),
    uploads,
    linkUses,
    stopping,
    stop () {
      stopped.abort(new Problem('stopping', { retrySeconds: 5 }))
      changes.stop()
    }
  }
}

type Base = Backends & Rules & Pick<AppServices, 'config' | 'keyRing'>

/** The rules that only a server needs. */
function createServerRules (base: Base): Omit<AppServices, 'housekeeping' | 'close'> {
  const { metadata, failures, sealingKeys } = base
  const { installationId, ids } = metadata
  const sealer = createSealer({ keys: sealingKeys, installationId })
  const eventLogs: LogEvent[] = []
  const onFailure = failures.of('the record of a security event')
  const securityLog = createSecurityLog({ metadata, eventLogs, onFailure })
  const signedTexts = createSignedTexts(base)
  const logged = { ...base, ids, sealer, eventLogs, securityLog, signedTexts }
  const secondFactor = createCodeVerifier(logged)
  const signIn = createSignIn({ ...logged, secondFactor })
  const accessTokens = createAccessTokens(base)
  const tokens = createTokens({ ...logged, signIn, accessTokens })
  const services = { ...logged, secondFactor, signIn, tokens, accessTokens }
  return {
    ...services,
    claims: createClaims(services),
    cursors: createCursors(signedTexts),
    programConnections: createProgramConnections(services),
    sessions: createSessionRequests(services),
    factors: createFactors(services),
    passkeys: createPasskeys(services),
    identities: createIdentities(services),
    shareLinks: createShareLinks(services),
    linkPasswords: createLinkPasswords(services),
    zips: createZips(base),
    bulk: createBulk(base)
  }
}

async function closeAll (
  { metadata, blobs }: Backends, { cleanup, incoming, uploads, linkUses }: Rules
): Promise<void> {
  await linkUses.close()
  await uploads.close()
  incoming.close()
  await cleanup.close()
  await blobs.close()
  await metadata.close()
}
