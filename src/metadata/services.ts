import { createAccountAdder } from './accounts.ts'
import { createDiscard } from './blobs.ts'
import { createChangeLog } from './change-log.ts'
import type { Engine } from './engine.ts'
import { createEventWriter } from './events.ts'
import { createFactorChanges } from './factor-changes.ts'
import { createFileContents } from './file-contents.ts'
import { createFolderTree } from './folder-tree.ts'
import type { Ids } from './ids.ts'
import { createRetention } from './retention.ts'
import type { RetentionPolicy } from './retention-records.ts'
import { createLinkUploads } from './link-uploads.ts'
import { createMembers } from './listings.ts'
import { createLockGuard } from './lock-guard.ts'
import { createMethods, watchRemovals } from './methods.ts'
import { createOneTimeSecrets } from './claims.ts'
import { createOwners } from './owners.ts'
import { createTokenRemover } from './tokens.ts'

export interface ServiceOptions {
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
  const { engine, markRemoval } = watched
  const owners = createOwners(engine)
  const changeLog = createChangeLog(engine)
  const tokenRemover = createTokenRemover(engine)
  const secrets = createOneTimeSecrets(engine)
  return {
    ...options,
    ...watched,
    ...createMethods(engine, owners),
    owners,
    changeLog,
    tree: createFolderTree(engine, owners, changeLog),
    discard: createDiscard(engine, markRemoval),
    members: createMembers(engine),
    guard: createLockGuard(engine, options.ids),
    writeEvent: createEventWriter(engine),
    tokenRemover,
    secrets,
    addAccount: createAccountAdder(engine),
    factorChanges: createFactorChanges(engine, { owners, tokenRemover, secrets })
  }
}

/** What the rules of storage share. Each takes what it needs. */
export type Services = ReturnType<typeof createServices>

export function createServices (options: ServiceOptions) {
  const base = createBase(options)
  const retention = createRetention(base)
  const contents = createFileContents({ ...base, retention })
  return { ...base, retention, contents, linkUploads: createLinkUploads({ ...base, contents }) }
}
