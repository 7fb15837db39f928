import { findUsernameKey } from '../accounts/username.ts'
import { openSnapshotMetadata } from '../backends/transfer.ts'
import { BackupError } from '../backup/manifest.ts'
import {
  filesOf, hasName, openFolder, refuseUsedFolder, restoreFiles, withMetadata, type FilesReport, type PutFile,
  type SnapshotPlace
} from '../backup/restore-files.ts'
import { findSnapshot, listSnapshots } from '../backup/snapshots.ts'
import type { Config } from '../config.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord, EventDetails, FileRecord } from '../metadata/records.ts'
import { OperatorError } from '../problems.ts'
import { openOperatorStore, type OperatorStore } from '../services.ts'
import { recordAct, warnOfLostRecord } from './acts.ts'
import { createProgress } from './terminal.ts'

/** Files of one account in a backup, and where they go: to a folder, or back to the store. */
export interface FilesRequest {
  readonly folder: string
  readonly at: string | undefined
  readonly user: string
  /** Only the file of this name, or what is in the folder of this name, in any normal form. */
  readonly file: string | undefined
  /** A folder that is empty or does not exist. */
  readonly to: string | undefined
  /** The account that gets the files, although it is another than in the backup. */
  readonly as: string | undefined
}

/** What was restored, from which snapshot. */
export interface RestoredFiles extends FilesReport {
  readonly snapshot: string
  readonly createdAt: string
  readonly user: string
  /** Where the files are; undefined if in the store. */
  readonly folder: string | undefined
}

interface Target {
  readonly put: PutFile
  /** Adds an event for the owner, if there is one. */
  record? (details: EventDetails): Promise<void>
  close (): Promise<void>
}

/** Restores files of one account, and leaves everything else as it is. @throws {OperatorError} before it writes. */
export async function restoreFilesOf (config: Config, request: FilesRequest): Promise<RestoredFiles> {
  const { folder, at, user, to } = request
  const name = request.file?.normalize('NFC')
  if (to !== undefined) await refuseUsedFolder(to)
  else if (config.databaseUrl === undefined) await requireDatabase(config.dataDir)
  const backup = await findSnapshot(folder, at)
  const place = { folder, backup }
  const progress = createProgress()
  return withMetadata(place, openSnapshotMetadata, async metadata => {
    const account = await findAccount(metadata, user)
    if (account === undefined) throw new BackupError(`there is no account ${user} in ${backup.snapshot}`)
    if (name !== undefined && !await hasName(metadata, account, name)) {
      return refuseMissing(place, { user, file: name })
    }
    const target: Target = to === undefined ? await openAccount(config, account, request) : await openFolder(to)
    try {
      const onProgress = (done: number) => progress.show('restored', done)
      const report = await restoreFiles(folder, filesOf(metadata, account, name), { put: target.put, onProgress })
      await target.record?.({ snapshot: backup.snapshot, restored: report.restored, replaced: report.replaced })
      return { snapshot: backup.snapshot, createdAt: backup.createdAt, user: account.username, folder: to, ...report }
    } finally {
      progress.clear()
      await target.close()
    }
  })
}

async function findAccount ({ accounts }: Metadata, user: string): Promise<AccountRecord | undefined> {
  return accounts.findByKey(findUsernameKey(user) ?? '')
}

interface FileOfUser { readonly user: string, readonly file: string }

/** @throws {BackupError} with the snapshots that have the file. */
async function refuseMissing ({ folder, backup }: SnapshotPlace, { user, file }: FileOfUser): Promise<never> {
  const having: string[] = []
  for (const { summary } of await listSnapshots(folder)) {
    if (summary !== undefined && await hasFile({ folder, backup: summary }, { user, file }).catch(() => false)) {
      having.push(`${summary.snapshot} of ${summary.createdAt}`)
    }
  }
  const others = having.length === 0 ? 'no snapshot has it' : `it is in ${having.join(', ')}`
  throw new BackupError(`there is no file or folder ${JSON.stringify(file)} of ${user} in ${backup.snapshot}; ${others}`)
}

function hasFile (place: SnapshotPlace, { user, file }: FileOfUser): Promise<boolean> {
  return withMetadata(place, openSnapshotMetadata, async metadata => {
    const account = await findAccount(metadata, user)
    return account !== undefined && await hasName(metadata, account, file)
  })
}

/** Opens the store, with or without running servers, to put files into an account as its owner would. */
async function openAccount (config: Config, account: AccountRecord, { as }: FilesRequest): Promise<Target> {
  const keepsReplaced = config.keeping.milliseconds > 0 && config.keeping.versions > 0
  const store = await openOperatorStore(config)
  try {
    const owner = await findOwner(store.metadata, account, as)
    return {
      put: (...file) => putBack({ store, keepsReplaced }, owner, ...file),
      record: details => recordAct(config, store.metadata, { kind: 'files_restored', account: owner, details }).catch(warnOfLostRecord),
      close: () => store.close()
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** The account of the backup, or the one of the name `as`. */
async function findOwner (metadata: Metadata, account: AccountRecord, as: string | undefined): Promise<AccountRecord> {
  const name = as ?? account.username
  const owner = await findAccount(metadata, name)
  if (owner === undefined) {
    throw new OperatorError(`there is no account ${name} in the store: create one with magicstore user add ${name} and restore with --as ${name}, or restore to a folder with --to`)
  }
  if (as === undefined && (owner.id !== account.id || owner.createdAt !== account.createdAt)) {
    throw new OperatorError(`the account ${name} in the store is another than in the backup, created at ${new Date(owner.createdAt).toISOString()}: restore into it with --as ${name}, or to a folder with --to`)
  }
  return owner
}

/** A file with the same bytes stays as it is, unless they are missing. */
async function putBack (
  { store: { metadata, accounts, blobs, files }, keepsReplaced }: { store: OperatorStore, keepsReplaced: boolean },
  { id }: AccountRecord,
  ...[file, bytes]: Parameters<PutFile>
): ReturnType<PutFile> {
  const { name, type, size, sha256, modifiedAt } = file
  const current = await metadata.files.find(id, name)
  if (current?.sha256 === sha256 && await isThere(blobs, current)) return 'unchanged'
  if (current !== undefined && !keepsReplaced) throw new BackupError('it would replace another content, of which KEEP_DAYS and KEEP_VERSIONS keep no version; restore it to a folder with --to')
  // Its usage changes with every file.
  const owner = await accounts.get(id)
  const content = { name, type, bytes: bytes() }
  const stored = await files.store({
    uploader: { owner, linkId: null },
    upload: { name, minBytes: size, maxBytes: size, async * read () { yield content }, modifiedAt: () => modifiedAt },
    put: { conditions: {} }
  })
  // A server that starts meanwhile deletes bytes that belong to no file yet.
  await blobs.check(stored.file.blobId, size)
  return stored.isNew ? 'restored' : 'replaced'
}

function isThere (blobs: OperatorStore['blobs'], { blobId, size }: FileRecord): Promise<boolean> {
  return blobs.check(blobId, size).then(() => true, () => false)
}
