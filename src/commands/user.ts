import type { EventKind } from '../accounts/events.ts'
import { parseByteSize, readConfig } from '../config.ts'
import { NO_LIMIT, type AccountRecord } from '../metadata/records.ts'
import { ConfigError, OperatorError } from '../problems.ts'
import type { OperatorStore } from '../services.ts'
import { accountDetails, accountText, allAccounts, meansOf, type SignInMeans } from './accounts.ts'
import { printClaim } from './claims.ts'
import { FLAG, print, readArguments, UsageError, VALUE } from './command.ts'
import { printLinks } from './links.ts'
import { readStoreConfig, recordAct, withStore } from './store.ts'
import { confirm, deleteBytes, readPassword, requireTerminal } from './terminal.ts'

export const help = `magicstore user: manage accounts, with or without a running server.

  user add NAME        create an account; the password is read from a prompt or from standard input
  user invite [NAME]   print a link with which one person, within 24 hours, creates the account NAME, or one of any
                       name; also if REGISTRATION is closed
  user list            list all accounts, one per line
  user show NAME       show one account, with its second factors and identities
  user disable NAME    disable an account: from the next request on its password and tokens are refused
  user enable NAME     enable it again
  user quota NAME [--bytes SIZE|none|default] [--files N|none|default]
  user passwd NAME     set the password, from a prompt or standard input; that revokes all tokens of the account and
                       removes its identities
  user passwd NAME --remove
                       remove the password of an account that has an identity of OIDC_ISSUER, with its second factors
                       and sessions. Its tokens work for OIDC_TOKEN_DAYS, and again after each sign-in with the provider
  user reset NAME [--without-factor]
                       print a link with which its owner, within 24 hours, sets a new password; that revokes all tokens.
                       A second factor is asked for, or with --without-factor removed. An earlier link ends
  user second-factor NAME --remove
                       remove all second factors and recovery codes: the password alone is enough
  user links NAME [--revoke]
                       list the links by which the account shares files and folders, never their secrets; with
                       --revoke end all
  user rm NAME         delete the account with its tokens, files, versions and trash; asks for confirmation unless --yes
                       is given

  --json               one JSON object per line: id, username, createdAt, isDisabled, hasPassword, usedFiles,
                       usedFolders, usedBytes, keptBytes (of versions and trash), quotaFiles, quotaBytes (null: the
                       default, ${NO_LIMIT}: none); of one account also totp (whether one-time codes are
                       on), passkeys (how many), recoveryCodesLeft and identities. invite and reset: link, username and
                       expiresAt. links: id, kind, name, hasPassword, createdAt, expiresAt, uses, lastUsedAt; with
                       --revoke revoked

  A folder counts as a file in the quota. The links of invite and reset begin with PUBLIC_URL. Whoever has one can use
  it: send it over a secure channel.`

const options = {
  bytes: VALUE,
  files: VALUE,
  'without-factor': FLAG,
  remove: FLAG,
  revoke: FLAG,
  yes: FLAG
} as const

type UserValues = ReturnType<typeof readArguments<typeof options>>['values']

interface Verb {
  /** Its options beside `--json` and `--yes`. */
  readonly takes?: readonly (keyof UserValues)[]
  readonly isNameless?: true
  /** The security event of the account. */
  readonly event?: EventKind
  /** Changes the account. */
  readonly change?: (store: OperatorStore, account: AccountRecord, values: UserValues) => Promise<unknown>
}

const VERBS: Record<string, Verb> = {
  add: { event: 'registered' },
  invite: { isNameless: true },
  list: { isNameless: true },
  show: {},
  disable: {
    event: 'disabled',
    change: ({ metadata: { accounts } }, { id, disabledAt }) => accounts.setDisabled(id, disabledAt ?? Date.now())
  },
  enable: { event: 'enabled', change: ({ metadata: { accounts } }, { id }) => accounts.setDisabled(id, null) },
  quota: { takes: ['bytes', 'files'], event: 'quota_changed', change: setQuota },
  passwd: { event: 'password_changed', change: setPassword },
  reset: { takes: ['without-factor'] },
  'second-factor': { takes: ['remove'], event: 'factor_removed', change: removeFactors },
  links: { takes: ['revoke'] },
  rm: { event: 'account_removed', change: remove }
}

const REMOVE_PASSWORD: Verb = { takes: ['remove'], event: 'password_removed', change: removePassword }

/** Runs one verb. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [verb = '', ...names] } = readArguments(args, options)
  const { event, change } = checkArguments(verb, names, values)
  const [name] = names
  await withStore(verb === 'add' ? readConfig() : await readStoreConfig(), async store => {
    const { accounts, metadata } = store
    const show = (account: AccountRecord, means?: SignInMeans) =>
      print(values, accountDetails(account, means), accountText)
    if (verb === 'invite') return printClaim(store, { ...values, username: name ?? null, removesFactors: false })
    if (name === undefined) {
      for await (const account of allAccounts(metadata.accounts)) show(account)
      return
    }
    const account = verb === 'add'
      ? await accounts.add({ username: name, password: await readPassword() })
      : await accounts.getByUsername(name)
    const { username } = account
    if (verb === 'links') return printLinks(store, { ...values, account, isRevoking: values.revoke })
    if (verb === 'reset') {
      return printClaim(store, { ...values, username, account, removesFactors: values['without-factor'] })
    }
    await change?.(store, account, values)
    const changed = verb === 'rm' ? account : await accounts.get(account.id)
    const { quotaBytes, quotaFiles } = changed
    if (event !== undefined) {
      const details = verb === 'quota' ? { details: { quotaBytes, quotaFiles } } : {}
      await recordAct(store, { kind: event, account: changed, ...details })
    }
    if (verb === 'rm') await deleteBytes(store)
    const isOfSignIn = verb === 'show' || verb === 'second-factor' || values.remove
    show(changed, isOfSignIn ? await meansOf(store.metadata, account) : undefined)
  })
}

function checkArguments (word: string, names: readonly string[], values: UserValues): Verb {
  const known = Object.hasOwn(VERBS, word) ? VERBS[word] : undefined
  const verb = word === 'passwd' && values.remove ? REMOVE_PASSWORD : known
  if (verb === undefined) throw new UsageError('unknown verb; see magicstore user --help')
  if (names.length > 1) throw new UsageError('only one name is allowed; see magicstore user --help')
  if (verb.isNameless !== true && names.length === 0) {
    throw new UsageError('the name is missing; see magicstore user --help')
  }
  if (word === 'rm' && !values.yes) requireTerminal('rm')
  if (word === 'second-factor' && !values.remove) {
    throw new UsageError('second-factor needs --remove: owners add theirs themselves')
  }
  const taken: readonly string[] = ['json', 'yes', ...verb.takes ?? []]
  const isOther = Object.entries(values).some(([option, value]) => value !== false && !taken.includes(option))
  if (isOther || (word === 'list' && names.length > 0)) {
    throw new UsageError(`user ${word} takes no such argument; see magicstore user --help`)
  }
  return verb
}

async function setQuota ({ metadata }: OperatorStore, account: AccountRecord, values: UserValues): Promise<void> {
  const bytes = values.bytes === undefined ? account.quotaBytes : readLimit(values.bytes, parseByteSize)
  const files = values.files === undefined ? account.quotaFiles : readLimit(values.files, parseCount)
  await metadata.accounts.setQuota(account.id, { bytes, files })
}

/** `none` lifts the limit of the settings; `default`, null, applies it. */
function readLimit (text: string, parse: (text: string) => number | undefined): number | null {
  if (text === 'default') return null
  if (text === 'none') return NO_LIMIT
  const limit = parse(text)
  if (limit !== undefined) return limit
  const forms = 'use a number (for bytes also a size such as 10G), none or default'
  throw new UsageError(`${JSON.stringify(text)} is not a limit; ${forms}`)
}

function parseCount (text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

async function setPassword ({ accounts }: OperatorStore, { id }: AccountRecord): Promise<void> {
  const password = await readPassword()
  // Read again: its owner may have changed the password while the operator was typing.
  await accounts.changePassword(await accounts.get(id), password)
}

async function removePassword (
  { config: { identityProvider }, metadata }: OperatorStore, { id, username }: AccountRecord
): Promise<void> {
  if (identityProvider === undefined) throw new ConfigError('OIDC_ISSUER must be set to remove a password')
  const { issuer } = identityProvider
  if (!await metadata.identities.removePassword(id, issuer)) {
    throw new OperatorError(`${username} has no identity of ${issuer}`, {
      remedy: 'its owner connects one on the page first'
    })
  }
}

async function removeFactors ({ metadata }: OperatorStore, account: AccountRecord): Promise<void> {
  if (account.factorCount === 0) throw new OperatorError(`${account.username} has no second factor`)
  await metadata.factors.removeAll(account.id)
}

async function remove ({ accounts }: OperatorStore, account: AccountRecord, { yes }: UserValues): Promise<void> {
  const { username, usedFiles } = account
  if (!yes) await confirm(`Permanently delete ${username} and ${usedFiles} files, with versions and trash?`)
  await accounts.remove(account)
}
