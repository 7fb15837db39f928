import { AccountRules, createAccountAdder } from './accounts.ts'
import { type AttemptClaims, AttemptRules } from './attempts.ts'
import { BlobRules, createDiscard, type DatabaseBlobMethods } from './blobs.ts'
import { createChangeLog, createChanges } from './changes.ts'
import type { Engine } from './engine.ts'
import { ClaimRules } from './claims.ts'
import { createEventWriter, EventRules } from './events.ts'
import { FactorChanges } from './factor-changes.ts'
import { FactorRules } from './factors.ts'
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
import { LockGuard } from './lock-guard.ts'
import { createLocks } from './locks.ts'
import type { Metadata } from './metadata.ts'
import { createMethods } from './methods.ts'
import { OneTimeSecrets } from './one-time-secrets.ts'
import { Owners } from './owners.ts'
import { PasskeyRules } from './passkeys.ts'
import { createProperties } from './properties.ts'
import type { Services } from './services.ts'
import { type TokenFinder, TokenRemover, TokenRules } from './tokens.ts'
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
  'blobs'
>

/** The repositories of a database: the shared rules, and the methods that it implements itself. */
export function createRepositories ({
  engine, ids, longRunning, keeping, tokenFinder, attemptClaims, discardedBlobs
}: RepositoryOptions): Repositories {
  const owners = new Owners(engine)
  const methods = createMethods(engine, owners)
  const changeLog = createChangeLog(engine)
  const tree = createFolderTree({ engine, owners, changeLog })
  const discard = createDiscard(engine)
  const writeEvent = createEventWriter(engine)
  const tokenRemover = new TokenRemover(engine)
  const secrets = new OneTimeSecrets(engine)
  const addAccount = createAccountAdder(engine)
  const changes = new FactorChanges(engine, { tokenRemover, secrets })
  const accounts = new AccountRules({ engine, longRunning, tokenRemover, secrets, addAccount, discard })
  const guard = new LockGuard(engine, ids)
  const keptContents = createKeptContents({ engine, owners, discard, keeping, ...methods })
  const shared = {
    engine, ids, longRunning, owners, changeLog, tree, discard, keeping, keptContents, guard, ...methods
  }
  const contents = createFileContents(shared)
  const linkUploads = createLinkUploads({ ...shared, contents })
  const services: Services = { ...shared, contents, linkUploads }
  return {
    accounts,
    tokens: new TokenRules({ engine, writeEvent, tokenRemover, tokenFinder }),
    attempts: new AttemptRules(engine, attemptClaims),
    factors: new FactorRules({ engine, changes, secrets, passkeys: new PasskeyRules(engine, changes) }),
    claims: new ClaimRules({ engine, secrets, changes, tokenRemover, addAccount, accounts }),
    events: new EventRules(engine, writeEvent),
    files: createFiles(services),
    folders: createFolders(services),
    changes: createChanges(services),
    kept: createKept(services),
    links: createLinks(services),
    locks: createLocks(services),
    properties: createProperties(services),
    uploads: createUploads(services),
    blobs: new BlobRules(engine, discardedBlobs)
  }
}
