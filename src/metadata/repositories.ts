import { createAccountRepository } from './accounts.ts'
import { type AttemptClaims, createAttemptRepository } from './attempts.ts'
import { createBlobRepository, createDiscard, createLeaseEnder, type OwnBlobMethods } from './blobs.ts'
import type { Engine } from './engine.ts'
import { createEventRepository, createEventWriter } from './events.ts'
import { createFileContents } from './file-contents.ts'
import { createFileRepository } from './files.ts'
import { createKeptContents } from './kept-contents.ts'
import type { Keeping } from './kept-repository.ts'
import { createKeptRepository } from './kept.ts'
import type { Metadata } from './metadata.ts'
import { createOwners } from './owners.ts'
import { createTokenRemover, createTokenRepository, type TokenFinder } from './tokens.ts'
import { createUploadRepository } from './uploads.ts'

interface RepositoryOptions {
  readonly engine: Engine
  /** For what reads whole tables. */
  readonly patient: Pick<Engine, 'read'>
  readonly keeping: Keeping
  readonly tokenFinder: TokenFinder
  readonly attemptClaims: AttemptClaims
  readonly discardedBlobs: OwnBlobMethods
}

export type Repositories = Pick<Metadata, 'accounts' | 'tokens' | 'attempts' | 'events' | 'files' | 'kept' | 'uploads' | 'blobs'>

/** The repositories of a database: the rules that all have, and what this one does in its own way. */
export function createRepositories ({ engine, patient, keeping, tokenFinder, attemptClaims, discardedBlobs }: RepositoryOptions): Repositories {
  const owners = createOwners(engine)
  const discard = createDiscard(engine)
  const writeEvent = createEventWriter(engine)
  const tokenRemover = createTokenRemover(engine)
  const keptContents = createKeptContents({ engine, owners, discard, keeping })
  const contents = createFileContents({ engine, owners, keptContents, discard, endLease: createLeaseEnder(engine), keepsDeleted: keeping.milliseconds > 0 })
  return {
    accounts: createAccountRepository({ engine, patient, tokenRemover, discard }),
    tokens: createTokenRepository({ engine, writeEvent, tokenRemover, tokenFinder }),
    attempts: createAttemptRepository(engine, attemptClaims),
    events: createEventRepository(engine, writeEvent),
    files: createFileRepository({ engine, owners, contents, keptContents }),
    kept: createKeptRepository({ engine, owners, contents, keptContents, keeping }),
    uploads: createUploadRepository({ engine, owners, contents, keptContents, discard }),
    blobs: createBlobRepository(engine, discardedBlobs)
  }
}
