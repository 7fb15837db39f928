import { parseArgs } from 'node:util'
import type { Accounts } from '../accounts/accounts.ts'
import type { EventKind } from '../accounts/events.ts'
import { parseByteSize, readConfig } from '../config.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import { NO_LIMIT, type AccountRecord } from '../metadata/records.ts'
import { Problem } from '../problems.ts'
import { openOperatorStore, type OperatorStore } from '../store.ts'
import { recordAct } from './acts.ts'
import { allAccounts } from './accounts.ts'
import { jsonOption, print, UsageError } from './command.ts'
import { askSecret, confirm, deleteBytes } from './terminal.ts'

export const help = `magicstore user: manage accounts, with or without a running server.

  user add NAME        create an account; the password is read from a prompt or from standard input
  user list            list all accounts, one per line
  user show NAME       show one account
  user disable NAME    disable an account: from the next request on its password and tokens are refused
  user enable NAME     enable it again
  user quota NAME [--bytes SIZE|none|default] [--files N|none|default]
  user passwd NAME     set the password, from a prompt or standard input, and revoke all tokens of the account
  user rm NAME         delete the account with its tokens, files, versions and trash; asks for confirmation unless --yes is given

  --json               one JSON object per line: id, username, createdAt, isDisabled, usedFiles, usedFolders, usedBytes, keptBytes (of
                       versions and trash), quotaFiles, quotaBytes (null: the default, ${NO_LIMIT}: none)

  A folder counts as a file in the quota.`

const verbs = ['add', 'list', 'show', 'disable', 'enable', 'quota', 'passwd', 'rm'] as const
type Verb = typeof verbs[number]

/** The verbs that are recorded as security events. */
const EVENTS: Partial<Record<Verb, EventKind>> = {
  add: 'registered',
  disable: 'disabled',
  enable: 'enabled',
  quota: 'quota_changed',
  passwd: 'password_changed',
  rm: 'account_removed'
}

const options = {
  ...jsonOption,
  bytes: { type: 'string' },
  files: { type: 'string' },
  yes: { type: 'boolean', default: false }
} as const

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

/** Runs one verb. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [word, name, ...rest] } = parseArgs({ args, options, allowPositionals: true })
  const verb = verbs.find(known => known === word) ?? missingVerb()
  if (rest.length > 0) throw new UsageError('only one name is allowed; see magicstore user --help')
  if (verb !== 'list' && name === undefined) throw new UsageError('the name is missing; see magicstore user --help')
  if (verb === 'rm' && !values.yes && !process.stdin.isTTY) {
    throw new UsageError('rm asks for confirmation, which needs a terminal: use --yes to delete without it')
  }
  if ((verb === 'list' && name !== undefined) || (verb !== 'quota' && (values.bytes ?? values.files) !== undefined)) {
    throw new UsageError(`user ${verb} takes no such argument; see magicstore user --help`)
  }
  const config = readConfig()
  // A mistyped DATA_DIR must not look like an empty store.
  if (verb !== 'add' && config.databaseUrl === undefined) await requireDatabase(config.dataDir)
  const store = await openOperatorStore(config)
  const show = (account: AccountRecord) => print(values, detailsOf(account), textOf)
  try {
    if (verb === 'list' || name === undefined) {
      for await (const account of allAccounts(store.metadata.accounts)) show(account)
      return
    }
    const account = await carryOut(store, { verb, name, values })
    const kind = EVENTS[verb]
    if (kind !== undefined) await recordAct(config, store.metadata, { kind, account, ...(verb === 'quota' && { details: quotaOf(account) }) })
    if (verb === 'rm') await deleteBytes(store)
    show(account)
  } finally {
    await store.close()
  }
}

async function carryOut (
  { accounts, metadata }: OperatorStore,
  { verb, name, values }: { verb: Exclude<Verb, 'list'>, name: string, values: Values }
): Promise<AccountRecord> {
  if (verb === 'add') return accounts.add({ username: name, password: await readPassword() })
  const account = await accounts.getByUsername(name)
  switch (verb) {
    case 'show': return account
    case 'disable':
      await metadata.accounts.setDisabled(account.id, account.disabledAt ?? Date.now())
      return accounts.get(account.id)
    case 'enable':
      await metadata.accounts.setDisabled(account.id, null)
      return accounts.get(account.id)
    case 'quota': return setQuota(account, values, { accounts, metadata })
    case 'passwd': {
      const password = await readPassword()
      // Read again: its owner may have changed the password while the operator was typing.
      await accounts.changePassword(await accounts.get(account.id), password)
      return account
    }
    case 'rm':
      if (!values.yes) await confirm(`Permanently delete ${account.username} and ${account.usedFiles} files, with versions and trash?`)
      await accounts.remove(account)
      return account
  }
}

/** The limits of an account itself: null stands for the default. */
function quotaOf ({ quotaBytes, quotaFiles }: AccountRecord) {
  return { quotaBytes, quotaFiles }
}

async function setQuota (
  account: AccountRecord,
  values: Values,
  { accounts, metadata }: { accounts: Accounts, metadata: OperatorStore['metadata'] }
): Promise<AccountRecord> {
  const bytes = values.bytes === undefined ? account.quotaBytes : readLimit(values.bytes, parseByteSize)
  const files = values.files === undefined ? account.quotaFiles : readLimit(values.files, parseCount)
  await metadata.accounts.setQuota(account.id, { bytes, files })
  return accounts.get(account.id)
}

/** `none` lifts the limit of the settings; `default`, null, applies it. */
function readLimit (text: string, parse: (text: string) => number | undefined): number | null {
  if (text === 'default') return null
  if (text === 'none') return NO_LIMIT
  const limit = parse(text)
  if (limit === undefined) {
    throw new UsageError(`${JSON.stringify(text)} is not a limit; use a number (for bytes also a size such as 10G), none or default`)
  }
  return limit
}

function parseCount (text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/**
 * From a prompt that does not show it, or from standard input, without the last line break. Never from an argument,
 * which all users of the machine can see.
 */
async function readPassword (): Promise<string> {
  if (!process.stdin.isTTY) {
    const chunks = await process.stdin.toArray() as Buffer[]
    return decode(Buffer.concat(chunks)).replace(/\r?\n$/, '')
  }
  return await askSecret('Password: ') ?? missingPassword()
}

/**
 * Decoded like the password of a request: replacing bytes that are not UTF-8 would set another password.
 * @throws password_invalid.
 */
function decode (bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new Problem('password_invalid', { detail: 'The password is not valid UTF-8.', cause })
  }
}

/** After Ctrl-C or Ctrl-D at the prompt. */
function missingPassword (): never {
  throw new UsageError('no password was given')
}

function missingVerb (): never {
  throw new UsageError('unknown verb; see magicstore user --help')
}

/** The properties that are printed: all but the password hash. */
function detailsOf ({
  id, username, createdAt, disabledAt, usedFiles, usedFolders, usedBytes, keptBytes, quotaFiles, quotaBytes
}: AccountRecord) {
  return {
    id,
    username,
    createdAt: new Date(createdAt).toISOString(),
    isDisabled: disabledAt !== null,
    usedFiles,
    usedFolders,
    usedBytes,
    keptBytes,
    quotaFiles,
    quotaBytes
  }
}

function textOf ({
  id, username, createdAt, isDisabled, usedFiles, usedFolders, usedBytes, keptBytes, quotaFiles, quotaBytes
}: ReturnType<typeof detailsOf>): string {
  const usage = [`${usedFiles} of ${limitText(quotaFiles)} files`, `${usedFolders} folders`, `${usedBytes} of ${limitText(quotaBytes)} bytes`, `${keptBytes} bytes of versions and trash`]
  return [id, username, `created ${createdAt}`, ...usage, ...(isDisabled ? ['disabled'] : [])].join('\t')
}

function limitText (limit: number | null): string {
  return limit === null ? 'the default' : limit === NO_LIMIT ? 'unlimited' : String(limit)
}
