import { createAccountAdder } from './account-rows.ts'
import { createAccounts } from './accounts.ts'
import { type AttemptClaims, createAttempts } from './attempts.ts'
import { createBlobs, createDiscard, type DatabaseBlobMethods } from './blobs.ts'
import { createChangeLog } from './change-log.ts'
import { createChanges } from './changes.ts'
import { createClaims } from './claims.ts'
import type { Engine } from './engine.ts'
import { createEventWriter } from './event-writer.ts'
import { createEvents } from './events.ts'
import { createFactorChanges } from './factor-changes.ts'
import { createFactors } from './factors.ts'
import { createFileContents } from './file-contents.ts'
import { createFiles } from './files.ts'
import { createFolderTree } from './folder-tree.ts'
import { createFolders } from './folders.ts'
import type { Ids } from './ids.ts'
import { createKeptContents } from './kept-contents.ts'
import type { Keeping } from './kept-records.ts'
import { createKept } from './kept.ts'
import { createLinkUploads } from './link-uploads.ts'
import { createLinks } from './links.ts'
import { createLockGuard } from './lock-guard.ts'
import { createLocks } from './locks.ts'
import type { Metadata } from './metadata.ts'
import { createMethods, watchRemovals } from './methods.ts'
import { createOneTimeSecrets } from './one-time-secrets.ts'
import { createOwners } from './owners.ts'
import { createProperties } from './properties.ts'
import type { Services } from './services.ts'
import { createTokenRemover } from './token-remover.ts'
import { createTokens, type TokenFinder } from './tokens.ts'
import { createUploads } from './uploads.ts'

interface RepositoryOptions {
  readonly engine: Engine
  readonly ids: Ids
  /** For what reads whole tables. */
  readonly longRunning: Pick<Engine, 'read'>
  readonly keeping: Keeping
  readonly tokenFinder: TokenFinder
  readonly attemptClaims: AttemptClaims
  readonly discardedBlobs: DatabaseBlobMethods
}

type Repositories = Pick<
  Metadata, 'accounts' | 'tokens' | 'attempts' | 'factors' | 'claims' | 'events' | 'files' | 'folders' | 'changes' | 'kept' | 'links' | 'locks' | 'properties' | 'uploads' |
  'blobs' | 'watchRemovals'
>

/** The repositories of a database: the shared rules, and the methods that it implements itself. */
export function createRepositories ({
  engine: unwatched, ids, longRunning, keeping, tokenFinder, attemptClaims, discardedBlobs
}: RepositoryOptions): Repositories {
  const { engine, markRemoval, tellRemoval, ...watch } = watchRemovals(unwatched)
  const owners = createOwners(engine)
  const methods = createMethods(engine, owners)
  const changeLog = createChangeLog(engine)
  const tree = createFolderTree(engine, owners, changeLog)
  const discard = createDiscard(engine, markRemoval)
  const writeEvent = createEventWriter(engine)
  const tokenRemover = createTokenRemover(engine)
  const secrets = createOneTimeSecrets(engine)
  const addAccount = createAccountAdder(engine)
  const factorChanges = createFactorChanges(engine, { tokenRemover, secrets })
  const guard = createLockGuard(engine, ids)
  const keptContents = createKeptContents({ engine, owners, discard, keeping, ...methods })
  const shared = {
    engine,
    ids,
    longRunning,
    owners,
    changeLog,
    tree,
    discard,
    tellRemoval,
    keeping,
    keptContents,
    guard,
    writeEvent,
    tokenRemover,
    secrets,
    addAccount,
    factorChanges,
    ...methods
  }
  const contents = createFileContents(shared)
  const linkUploads = createLinkUploads({ ...shared, contents })
  const services: Services = { ...shared, contents, linkUploads }
  const accounts = createAccounts(services)
  return {
    accounts,
    tokens: createTokens(services, tokenFinder),
    attempts: createAttempts(services, attemptClaims),
    factors: createFactors(services),
    claims: createClaims(services, accounts),
    events: createEvents(services),
    files: createFiles(services),
    folders: createFolders(services),
    changes: createChanges(services),
    kept: createKept(services),
    links: createLinks(services),
    locks: createLocks(services),
    properties: createProperties(services),
    uploads: createUploads(services),
    blobs: createBlobs(engine, discardedBlobs),
    ...watch
  }
}
