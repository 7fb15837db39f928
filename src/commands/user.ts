import { parseArgs } from 'node:util'
import type { Accounts } from '../accounts/accounts.ts'
import type { EventKind } from '../accounts/events.ts'
import { parseByteSize, readConfig } from '../config.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import type { FactorList } from '../metadata/factor-records.ts'
import { NO_LIMIT, type AccountRecord } from '../metadata/records.ts'
import { OperatorError } from '../problems.ts'
import { openOperatorStore, type OperatorStore } from '../services.ts'
import { accountDetails, accountText } from './account-details.ts'
import { recordAct } from './acts.ts'
import { allAccounts } from './accounts.ts'
import { printInvitation, printReset } from './claims.ts'
import { jsonOption, print, UsageError } from './command.ts'
import { printLinks } from './links.ts'
import { confirm, deleteBytes, readPassword } from './terminal.ts'

export const help = `magicstore user: manage accounts, with or without a running server.

  user add NAME        create an account; the password is read from a prompt or from standard input
  user invite [NAME]   print a link with which one person, within 24 hours, creates the account NAME, or one of any name; also if
                       REGISTRATION is closed
  user list            list all accounts, one per line
  user show NAME       show one account, with its second factors
  user disable NAME    disable an account: from the next request on its password and tokens are refused
  user enable NAME     enable it again
  user quota NAME [--bytes SIZE|none|default] [--files N|none|default]
  user passwd NAME     set the password, from a prompt or standard input, and revoke all tokens of the account
  user reset NAME [--without-factor]
                       print a link with which its owner, within 24 hours, sets a new password; that revokes all tokens. A second
                       factor is asked for, or with --without-factor removed. An earlier link ends
  user second-factor NAME --remove
                       remove all second factors and recovery codes: the password alone is enough
  user links NAME [--revoke]
                       list the links with which the account gives files and folders away, never their secrets; with --revoke end all
  user rm NAME         delete the account with its tokens, files, versions and trash; asks for confirmation unless --yes is given

  --json               one JSON object per line: id, username, createdAt, isDisabled, usedFiles, usedFolders, usedBytes, keptBytes (of
                       versions and trash), quotaFiles, quotaBytes (null: the default, ${NO_LIMIT}: none); of one account also
                       totp (whether one-time codes are on), passkeys (how many) and recoveryCodesLeft. invite and reset: link, username
                       and expiresAt. links: id, kind, name, hasPassword, createdAt, expiresAt, uses, lastUsedAt; with --revoke revoked

  A folder counts as a file in the quota. The links of invite and reset begin with PUBLIC_URL. Whoever has one can use it: send it by a
  safe way.`

const verbs = ['add', 'invite', 'list', 'show', 'disable', 'enable', 'quota', 'passwd', 'reset', 'second-factor', 'links', 'rm'] as const
type Verb = typeof verbs[number]

/** The verbs that are recorded as security events of the account. */
const EVENTS: Partial<Record<Verb, EventKind>> = {
  add: 'registered',
  disable: 'disabled',
  enable: 'enabled',
  quota: 'quota_changed',
  passwd: 'password_changed',
  'second-factor': 'factor_removed',
  rm: 'account_removed'
}

const options = {
  ...jsonOption,
  bytes: { type: 'string' },
  files: { type: 'string' },
  'without-factor': { type: 'boolean' },
  remove: { type: 'boolean' },
  revoke: { type: 'boolean' },
  yes: { type: 'boolean', default: false }
} as const

/** The verbs that take an option; `--json` and `--yes` are for all. */
const TAKEN_BY: Partial<Record<keyof typeof options, Verb>> = {
  bytes: 'quota', files: 'quota', 'without-factor': 'reset', remove: 'second-factor', revoke: 'links'
}

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

/** Runs one verb. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [word, name, ...rest] } = parseArgs({ args, options, allowPositionals: true })
  const verb = verbs.find(known => known === word) ?? missingVerb()
  if (rest.length > 0) throw new UsageError('only one name is allowed; see magicstore user --help')
  checkArguments(verb, name, values)
  const config = readConfig()
  // A mistyped DATA_DIR must not look like an empty store.
  if (verb !== 'add' && config.databaseUrl === undefined) await requireDatabase(config.dataDir)
  const store = await openOperatorStore(config)
  const show = (account: AccountRecord, factors?: FactorList) =>
    print(values, accountDetails(account, factors), accountText)
  try {
    if (verb === 'invite') return await printInvitation(config, store, { ...values, username: name ?? null })
    if (verb === 'list' || name === undefined) {
      for await (const account of allAccounts(store.metadata.accounts)) show(account)
      return
    }
    if (verb === 'reset' || verb === 'links') {
      const account = await store.accounts.getByUsername(name)
      if (verb === 'links') return await printLinks(config, store, { ...values, account, isRevoking: values.revoke === true })
      return await printReset(config, store, { ...values, account, removesFactors: values['without-factor'] === true })
    }
    const account = await carryOut(store, { verb, name, values })
    const kind = EVENTS[verb]
    const details = verb === 'quota' ? { details: quotaOf(account) } : {}
    if (kind !== undefined) await recordAct(config, store.metadata, { kind, account, ...details })
    if (verb === 'rm') await deleteBytes(store)
    const hasFactors = verb === 'show' || verb === 'second-factor'
    show(account, hasFactors ? await store.metadata.factors.list(account.id) : undefined)
  } finally {
    await store.close()
  }
}

function checkArguments (verb: Verb, name: string | undefined, values: Values): void {
  const isNameless = verb === 'list' || verb === 'invite'
  if (!isNameless && name === undefined) throw new UsageError('the name is missing; see magicstore user --help')
  if (verb === 'rm' && !values.yes && !process.stdin.isTTY) {
    throw new UsageError('rm asks for confirmation, which needs a terminal: use --yes to delete without it')
  }
  if (verb === 'second-factor' && values.remove !== true) {
    throw new UsageError('second-factor needs --remove: owners add theirs themselves')
  }
  const given = Object.keys(values) as (keyof Values)[]
  if ((verb === 'list' && name !== undefined) || given.some(option => (TAKEN_BY[option] ?? verb) !== verb)) {
    throw new UsageError(`user ${verb} takes no such argument; see magicstore user --help`)
  }
}

async function carryOut (
  { accounts, metadata }: OperatorStore,
  { verb, name, values }: { verb: Exclude<Verb, 'list' | 'invite' | 'reset' | 'links'>, name: string, values: Values }
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
    case 'second-factor':
      if (account.factorCount === 0) throw new OperatorError(`${account.username} has no second factor`)
      await metadata.factors.removeAll(account.id)
      return accounts.get(account.id)
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

function missingVerb (): never {
  throw new UsageError('unknown verb; see magicstore user --help')
}
