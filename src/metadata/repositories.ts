import { createAccountAdder } from './account-rows.ts'
import { createAccounts } from './accounts.ts'
import { type AttemptClaims, createAttempts } from './attempts.ts'
import { createBlobs, createDiscard, createLeaseEnder, type DatabaseBlobMethods } from './blobs.ts'
import { ChangeLog, ChangeRules } from './changes.ts'
import type { Engine } from './engine.ts'
import { createClaims } from './claims.ts'
import { createEventWriter } from './event-writer.ts'
import { createEvents } from './events.ts'
import { createFactorChanges } from './factor-changes.ts'
import { createFactors } from './factors.ts'
import { FileContents } from './file-contents.ts'
import { FileRules } from './files.ts'
import { FolderTree } from './folder-tree.ts'
import { FolderRules } from './folders.ts'
import type { Ids } from './ids.ts'
import { KeptContents } from './kept-contents.ts'
import type { Keeping } from './kept-repository.ts'
import { KeptRules } from './kept.ts'
import { LinkUploads } from './link-uploads.ts'
import { LinkRules } from './links.ts'
import { LockGuard } from './lock-guard.ts'
import { createLocks } from './locks.ts'
import type { Metadata } from './metadata.ts'
import { createMethods } from './methods.ts'
import { createOneTimeSecrets } from './one-time-secrets.ts'
import { Owners } from './owners.ts'
import { createProperties } from './properties.ts'
import type { Services } from './services.ts'
import { createTokenRemover } from './token-remover.ts'
import { createTokens, type TokenFinder } from './tokens.ts'
import { UploadRules } from './uploads.ts'

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
  'blobs'
>

/** The repositories of a database: the shared rules, and the methods that it implements itself. */
export function createRepositories ({
  engine, ids, longRunning, keeping, tokenFinder, attemptClaims, discardedBlobs
}: RepositoryOptions): Repositories {
  const owners = new Owners(engine)
  const changeLog = new ChangeLog(engine)
  const tree = new FolderTree(engine, owners, changeLog)
  const discard = createDiscard(engine)
  const writeEvent = createEventWriter(engine)
  const tokenRemover = createTokenRemover(engine)
  const secrets = createOneTimeSecrets(engine)
  const addAccount = createAccountAdder(engine)
  const factorChanges = createFactorChanges(engine, { tokenRemover, secrets })
  const guard = new LockGuard(engine, ids)
  const keptContents = new KeptContents({ engine, owners, discard, keeping })
  const contents = new FileContents({
    engine,
    owners,
    tree,
    keptContents,
    guard,
    changeLog,
    discard,
    endLease: createLeaseEnder(engine),
    keepsDeleted: keeping.milliseconds > 0
  })
  const linkUploads = new LinkUploads({ engine, owners, tree, contents, guard })
  const services: Services = {
    engine,
    longRunning,
    owners,
    changeLog,
    tree,
    contents,
    guard,
    writeEvent,
    tokenRemover,
    secrets,
    addAccount,
    factorChanges,
    discard,
    ...createMethods(engine, owners)
  }
  const accounts = createAccounts(services)
  return {
    accounts,
    tokens: createTokens(services, tokenFinder),
    attempts: createAttempts(services, attemptClaims),
    factors: createFactors(services),
    claims: createClaims(services, accounts),
    events: createEvents(services),
    files: new FileRules({ engine, owners, tree, contents, keptContents, guard, changeLog }),
    folders: new FolderRules({ engine, longRunning, owners, tree, contents, guard, changeLog }),
    changes: new ChangeRules(engine, ids),
    kept: new KeptRules({ engine, owners, tree, contents, keptContents, keeping }),
    links: new LinkRules({ engine, owners, tree, contents, linkUploads }),
    locks: createLocks(services),
    properties: createProperties(services),
    uploads: new UploadRules({ engine, owners, tree, contents, keptContents, guard, discard, linkUploads }),
    blobs: createBlobs(engine, discardedBlobs)
  }
}
