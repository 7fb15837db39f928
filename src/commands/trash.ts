import type { AccountRecord } from '../metadata/records.ts'
import type { OperatorStore } from '../services.ts'
import { allAccounts } from './accounts.ts'
import { FLAG, print, readArguments, UsageError } from './command.ts'
import { readStoreConfig, recordAct, withStore } from './store.ts'
import { confirm, createProgress, deleteBytes, requireTerminal } from './terminal.ts'

export const help = `magicstore trash: delete the trash of accounts, with or without a running server.

  trash empty NAME     permanently delete the files in the trash of one account, with their versions
  trash empty --all    the same for all accounts

  --yes      do not ask for confirmation
  --json     one JSON object: accounts, files, and bytes with versions

  Versions of files that are not deleted stay. The space is free when the command ends; in a bucket, BLOB_GRACE_SECONDS
  later.`

/** Deletes trash and prints how much. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [verb, name, ...rest] } = readArguments(args, { all: FLAG, yes: FLAG })
  if (verb !== 'empty') throw new UsageError('the only verb is empty; see magicstore trash --help')
  if (rest.length > 0 || (name !== undefined) === values.all) {
    throw new UsageError('trash empty needs one name, or --all; see magicstore trash --help')
  }
  if (!values.yes) requireTerminal('trash empty')
  await withStore(await readStoreConfig(), async store => {
    const account = name === undefined ? undefined : await store.accounts.getByUsername(name)
    if (!values.yes) await confirm(`Permanently delete the trash of ${account?.username ?? 'all accounts'}?`)
    const removed = await empty(store, account === undefined ? allAccounts(store.metadata.accounts) : [account])
    await recordAct(store, { kind: 'trash_emptied', details: removed, ...(account && { account }) })
    await deleteBytes(store)
    const { accounts, files, bytes } = removed
    print(values, removed, () => `deleted ${files} files of ${accounts} accounts, ${bytes} bytes with their versions`)
  })
}

async function empty (
  { trash }: OperatorStore, accounts: Iterable<AccountRecord> | AsyncIterable<AccountRecord>
) {
  const removed = { accounts: 0, files: 0, bytes: 0 }
  const progress = createProgress()
  try {
    for await (const { id } of accounts) {
      const { files, bytes } =
        await trash.empty(id, ({ files }) => progress.show('deleted', removed.files + files))
      if (files > 0) removed.accounts++
      removed.files += files
      removed.bytes += bytes
    }
  } finally {
    progress.clear()
  }
  return removed
}
