import { createAccountAdder, createAccounts } from './accounts.ts'
import { type OpenAttempts, createAttempts } from './attempts.ts'
import { createBlobs, createDiscard, type DatabaseBlobMethods } from './blobs.ts'
import { createChangeLog } from './change-log.ts'
import { createChanges } from './changes.ts'
import { createClaims, createOneTimeSecrets } from './claims.ts'
import { createConnections } from './connections.ts'
import { createDeletionCounts } from './deletion-counts.ts'
import { createDeletions } from './deletions.ts'
import type { Engine } from './engine.ts'
import { createEvents, createEventWriter } from './events.ts'
import { createFactorChanges } from './factor-changes.ts'
import { createFactors } from './factors.ts'
import { createFileContents } from './file-contents.ts'
import { createFiles } from './files.ts'
import { createFolderTree } from './folder-tree.ts'
import { createFolders } from './folders.ts'
import { createIdentities } from './identities.ts'
import type { Ids } from './ids.ts'
import { createLinkUploads } from './link-uploads.ts'
import { createLinks } from './links.ts'
import { createMembers } from './listings.ts'
import { createLockGuard } from './lock-guard.ts'
import { createLocks } from './locks.ts'
import { createMethods, watchRemovals } from './methods.ts'
import { createOwners } from './owners.ts'
import { createPictures, createPictureUse } from './pictures.ts'
import { createProperties } from './properties.ts'
import { createRetention } from './retention.ts'
import type { RetentionPolicy } from './retention-records.ts'
import { createRetentionRemovals } from './retention-removals.ts'
import { createSealedTexts } from './sealed-texts.ts'
import { createSearchTurns } from './searches.ts'
import { createSortKeys } from './sort-keys.ts'
import { createTimelines } from './timelines.ts'
import { createTokenAdder, createTokenRemover, createTokens } from './tokens.ts'
import { createTrash } from './trash.ts'
import { createUploads } from './uploads.ts'
import { createVersions } from './versions.ts'

interface ServiceOptions {
  readonly engine: Engine
  readonly ids: Ids
  /** For what reads whole tables. */
  readonly longRunning: Pick<Engine, 'read'>
  readonly retentionPolicy: RetentionPolicy
}

/** What the services that change files are made from. */
export type BaseServices = ReturnType<typeof createBase>

function createBase ({ engine: unwatched, ...options }: ServiceOptions) {
  const watched = watchRemovals(unwatched)
  const { engine, noteRemoval } = watched
  const owners = createOwners(engine)
  const changeLog = createChangeLog(engine)
  const tokenRemover = createTokenRemover(engine)
  const secrets = createOneTimeSecrets(engine)
  const writeEvent = createEventWriter(engine)
  return {
    ...options,
    ...watched,
    ...createMethods(engine, owners),
    owners,
    changeLog,
    tree: createFolderTree(engine, owners, changeLog),
    deletions: createDeletions(engine),
    pictureUse: createPictureUse(engine, owners),
    turns: createSearchTurns(engine),
    discard: createDiscard(engine, noteRemoval),
    members: createMembers(engine),
    guard: createLockGuard(engine, options.ids),
    writeEvent,
    tokenRemover,
    addToken: createTokenAdder(engine, writeEvent),
    secrets,
    addAccount: createAccountAdder(engine),
    factorChanges: createFactorChanges(engine, { owners, tokenRemover, secrets })
  }
}

/** What the rules of storage share. Each takes what it needs. */
export type Services = ReturnType<typeof createServices>

function createServices (options: ServiceOptions) {
  const base = createBase(options)
  const retention = createRetention(base)
  const contents = createFileContents({ ...base, retention })
  return { ...base, retention, contents, linkUploads: createLinkUploads({ ...base, contents }) }
}

interface RepositoryOptions extends ServiceOptions {
  readonly openAttempts: OpenAttempts
  readonly discardedBlobs: DatabaseBlobMethods
}

/** The repositories of a database: the shared rules, and the methods that it implements itself. */
export type Repositories = ReturnType<typeof createRepositories>

export function createRepositories ({ openAttempts, discardedBlobs, ...options }: RepositoryOptions) {
  const services = createServices(options)
  const accounts = createAccounts(services)
  return {
    accounts,
    tokens: createTokens(services),
    attempts: createAttempts(services, openAttempts),
    factors: createFactors(services),
    identities: createIdentities(services),
    claims: createClaims(services, accounts),
    connections: createConnections(services),
    events: createEvents(services),
    files: createFiles(services),
    folders: createFolders(services),
    sortKeys: createSortKeys(services),
    changes: createChanges(services),
    versions: createVersions(services),
    trash: createTrash(services),
    deletionCounts: createDeletionCounts(services),
    pictures: createPictures(services),
    timelines: createTimelines(services),
    retention: createRetentionRemovals(services),
    links: createLinks(services),
    sealedTexts: createSealedTexts(services),
    locks: createLocks(services),
    properties: createProperties(services),
    uploads: createUploads(services),
    blobs: createBlobs(services.engine, discardedBlobs),
    /**
     * Calls `observer`, and no other, after every commit from now on that discarded blobs or removed an account: there
     * are bytes to delete. Must be fast and not throw.
     */
    watchRemovals: services.watchRemovals
  }
}
