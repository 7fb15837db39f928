import { createAccounts } from './accounts.ts'
import { type AttemptClaims, createAttempts } from './attempts.ts'
import { createBlobs, type DatabaseBlobMethods } from './blobs.ts'
import { createChanges } from './changes.ts'
import { createClaims } from './claims.ts'
import { createEvents } from './events.ts'
import { createFactors } from './factors.ts'
import { createFiles } from './files.ts'
import { createFolders } from './folders.ts'
import { createLinks } from './links.ts'
import { createLocks } from './locks.ts'
import { createProperties } from './properties.ts'
import { createRetentionRemovals } from './retention-removals.ts'
import { createSealedTexts } from './sealed-texts.ts'
import { createServices, type ServiceOptions } from './services.ts'
import { createTokens } from './tokens.ts'
import { createTrash } from './trash.ts'
import { createUploads } from './uploads.ts'
import { createVersions } from './versions.ts'

interface RepositoryOptions extends ServiceOptions {
  readonly attemptClaims: AttemptClaims
  readonly discardedBlobs: DatabaseBlobMethods
}

/** The repositories of a database: the shared rules, and the methods that it implements itself. */
export type Repositories = ReturnType<typeof createRepositories>

export function createRepositories ({ attemptClaims, discardedBlobs, ...options }: RepositoryOptions) {
  const services = createServices(options)
  const accounts = createAccounts(services)
  return {
    accounts,
    tokens: createTokens(services),
    attempts: createAttempts(services, attemptClaims),
    factors: createFactors(services),
    claims: createClaims(services, accounts),
    events: createEvents(services),
    files: createFiles(services),
    folders: createFolders(services),
    changes: createChanges(services),
    versions: createVersions(services),
    trash: createTrash(services),
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
