import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { refuseUsedFolder } from '../backup/restore-files.ts'
import { makeFolder, sync, writeNew } from '../data-folder/durable-files.ts'
import type { AccountRecord, EventRecord, TokenRecord } from '../metadata/records.ts'
import type { OperatorStore } from '../services.ts'
import { exportTree, type ExportReport } from '../transfer/export-tree.ts'
import { accountDetails, meansOf } from './accounts.ts'
import {
  FLAG, folderApartFrom, linesOf, onlyFolder, print, readArguments, secondsSince, UsageError, VALUE
} from './command.ts'
import { readStoreConfig, recordAct, warnOfLostRecord, withStore } from './store.ts'
import { createProgress } from './terminal.ts'

export const help = `\
magicstore export FOLDER --user NAME: write all that the store has of an account to a folder of this machine, with or
without a running server.

  --versions   also the versions of files
  --trash      also the files in the trash
  --json       one JSON object: user, folder, files, folders, versions, deleted, bytes, failed, seconds

  FOLDER must be empty or not exist; it gets the mode 0700. Its folder files/ has the files with the times of their last
  change, under names that every system can have, as in a zip; versions/, trash/ and trash-versions/ the rest.
  index.jsonl has a JSON object in a line for each: its path in FOLDER, its name in the store, size, SHA-256, type and
  times. account.json, tokens.json and events.json have the account, its tokens and its security events; no passwords,
  no secrets and no digest of one. The security events of the account get one more: account_exported.

Exit code: 0 if everything was written; 1 if the bytes of a file are damaged or gone, or FOLDER can't be used.`

/** Exports an account and prints what was written. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals } = readArguments(args, { user: VALUE, versions: FLAG, trash: FLAG })
  const given = onlyFolder('export', positionals)
  const { user, versions: hasVersions, trash: hasTrash } = values
  if (user === undefined) throw new UsageError('export needs --user NAME; see magicstore export --help')
  const config = await readStoreConfig()
  const folder = await folderApartFrom(given, { name: 'DATA_DIR', path: config.dataDir })
  const start = performance.now()
  await withStore(config, async store => {
    const account = await store.accounts.getByUsername(user)
    await refuseUsedFolder(folder)
    await makeFolder(folder)
    await chmod(folder, 0o700)
    const progress = createProgress()
    const options = { account, folder, hasVersions, hasTrash, onProgress: progress.count('exported') }
    const report = await exportTree(store, options).finally(progress.clear)
    await writeFacts(store, account, folder)
    const { files, bytes, failed } = report
    const details = { files, bytes, hasVersions, hasTrash }
    await recordAct(store, { kind: 'account_exported', account, details }).catch(warnOfLostRecord)
    print(values, { user: account.username, folder, ...report, seconds: secondsSince(start) }, textOf)
    if (failed.length > 0) process.exitCode = 1
  })
}

/** Tokens and events read at a time. */
const PAGE = 500

async function writeFacts ({ metadata }: OperatorStore, account: AccountRecord, folder: string): Promise<void> {
  const { tokens, events } = metadata
  const facts = {
    'account.json': accountDetails(account, await meansOf(metadata, account)),
    'tokens.json': (await allOf(page => tokens.list(account.id, page))).map(tokenDetails),
    'events.json': (await allOf(page => events.list(account.id, page))).map(eventDetails)
  }
  for (const [name, content] of Object.entries(facts)) {
    await writeNew(join(folder, name), [Buffer.from(`${JSON.stringify(content, null, 2)}\n`)])
  }
  await sync(folder)
}

/** All entries of a list, the newest first. */
async function allOf<Entry extends { readonly id: number }> (
  list: (page: { beforeId: number | undefined, limit: number }) => Promise<Entry[]>
): Promise<Entry[]> {
  const all: Entry[] = []
  let page: Entry[]
  do {
    page = await list({ beforeId: all.at(-1)?.id, limit: PAGE })
    all.push(...page)
  } while (page.length === PAGE)
  return all
}

function tokenDetails ({
  id, kind, name, scopes, factors, browser, system, createdAt, expiresAt, lastUsedAt
}: TokenRecord) {
  return {
    id,
    kind,
    name,
    scopes: scopes.split(' '),
    factors: factors.split(' '),
    browser,
    system,
    createdAt: textOfTime(createdAt),
    expiresAt: textOfTime(expiresAt),
    lastUsedAt: textOfTime(lastUsedAt)
  }
}

function eventDetails ({ id, at, kind, network, requestId, details }: EventRecord) {
  return { id, createdAt: textOfTime(at), kind, network, requestId, details }
}

function textOfTime (time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString()
}

function textOf (report: ExportReport & { user: string, folder: string, seconds: number }): string {
  const { user, folder, files, folders, versions, deleted, bytes, failed, seconds } = report
  return linesOf(
    `exported the account ${user} to ${folder} in ${seconds} s`,
    `  ${files} files, ${folders} folders, ${versions} versions and ${deleted} files of the trash, ${bytes} bytes`,
    ...failed.map(({ path, reason }) => `  failed: ${JSON.stringify(path)}: ${reason}`)
  )
}
