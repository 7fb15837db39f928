import { findUsernameKey } from '../accounts/username.ts'
import { BackupError, type BackupSummary } from '../backup/manifest.ts'
import {
  filesOf, hasName, openFolder, type PutFile, refuseUsedFolder, restoreFiles, withMetadata
} from '../backup/restore-files.ts'
import { findSnapshot, listSnapshots } from '../backup/snapshots.ts'
import type { Config } from '../config.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import type { Metadata } from '../metadata/metadata.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { OperatorError } from '../problems.ts'
import type { OperatorStore } from '../services.ts'
import { recordAct, warnOfLostRecord, withStore } from './store.ts'
import { createProgress } from './terminal.ts'

/** Files of one account in a backup, and where they go: to a folder, or back to the store. */
interface FilesRequest {
  readonly folder: string
  readonly at?: string | undefined
  readonly user: string
  /** Only the file of this name, or what is in the folder of this name, in any normal form. */
  readonly file?: string | undefined
  /** A folder that is empty or does not exist. */
  readonly to: string | undefined
  /** The account that gets the files, although it is another than in the backup. */
  readonly as?: string | undefined
}

/** Restores files of one account, and leaves everything else as it is. @throws {OperatorError} before it writes. */
export async function restoreFilesOf (config: Config, { folder, at, user, file, to, as }: FilesRequest) {
  const name = file?.normalize('NFC')
  await (to === undefined ? requireDatabase(config) : refuseUsedFolder(to))
  const backup = await findSnapshot(folder, at)
  const { snapshot, createdAt } = backup
  return withMetadata(folder, backup, async metadata => {
    const account = await findAccount(metadata, user)
    if (account === undefined) throw new BackupError(`there is no account ${user} in ${snapshot}`)
    if (name !== undefined && !await hasName(metadata, account, name)) {
      return refuseMissing(folder, snapshot, { user, file: name })
    }
    const progress = createProgress()
    const restore = (put: PutFile) =>
      restoreFiles(folder, filesOf(metadata, account, name), { put, onProgress: progress.count('restored') })
        .finally(progress.clear)
    const report = to === undefined
      ? await withStore(config, async store => {
        const owner = await findOwner(store.metadata, account, as)
        const report = await restore((...file) => putBack(store, owner, ...file))
        const { restored, replaced } = report
        const details = { snapshot, restored, replaced }
        await recordAct(store, { kind: 'files_restored', account: owner, details }).catch(warnOfLostRecord)
        return report
      })
      : await openFolder(to).then(target => restore(target.put).finally(() => target.close()))
    return { snapshot, createdAt, user: account.username, folder: to, ...report }
  })
}

async function findAccount ({ accounts }: Metadata, user: string): Promise<AccountRecord | undefined> {
  return accounts.findByKey(findUsernameKey(user) ?? '')
}

interface FileOfUser { readonly user: string, readonly file: string }

/** @throws {BackupError} with the snapshots that have the file. */
async function refuseMissing (folder: string, snapshot: string, { user, file }: FileOfUser): Promise<never> {
  const having: string[] = []
  for (const { summary } of await listSnapshots(folder)) {
    if (summary !== undefined && await hasFile(folder, summary, { user, file }).catch(() => false)) {
      having.push(`${summary.snapshot} of ${summary.createdAt}`)
    }
  }
  const others = having.length === 0 ? 'no snapshot has it' : `it is in ${having.join(', ')}`
  throw new BackupError(`there is no file or folder ${JSON.stringify(file)} of ${user} in ${snapshot}; ${others}`)
}

function hasFile (folder: string, backup: BackupSummary, { user, file }: FileOfUser): Promise<boolean> {
  return withMetadata(folder, backup, async metadata => {
    const account = await findAccount(metadata, user)
    return account !== undefined && await hasName(metadata, account, file)
  })
}

/** The account of the backup, or the one of the name `as`. */
async function findOwner (metadata: Metadata, account: AccountRecord, as: string | undefined): Promise<AccountRecord> {
  const name = as ?? account.username
  const owner = await findAccount(metadata, name)
  if (owner === undefined) {
    const remedy = `create one with magicstore user add ${name} and restore with --as ${name}`
    throw new OperatorError(`there is no account ${name} in the store: ${remedy}, or restore to a folder with --to`)
  }
  if (as === undefined && (owner.id !== account.id || owner.createdAt !== account.createdAt)) {
    const other = `another than in the backup, created at ${new Date(owner.createdAt).toISOString()}`
    throw new OperatorError(
      `the account ${name} in the store is ${other}: restore into it with --as ${name}, or to a folder with --to`
    )
  }
  return owner
}

/** As its owner would upload it. A file with the same bytes stays as it is, unless they are missing. */
async function putBack (
  { metadata, accounts, blobs, files, config: { retentionPolicy } }: OperatorStore,
  { id }: AccountRecord,
  ...[file, bytes]: Parameters<PutFile>
): ReturnType<PutFile> {
  const { name, type, size, sha256, modifiedAt } = file
  const current = await metadata.files.find(id, name)
  if (current?.sha256 === sha256) {
    const isThere = await blobs.check(current.blobId, current.size).then(() => true, () => false)
    if (isThere) return 'unchanged'
  }
  if (current !== undefined && (retentionPolicy.milliseconds === 0 || retentionPolicy.versions === 0)) {
    const reason = 'it would replace another content, of which KEEP_DAYS and KEEP_VERSIONS keep no version'
    throw new BackupError(`${reason}; restore it to a folder with --to`)
  }
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
