import { parseArgs } from 'node:util'
import type { Accounts } from '../accounts/accounts.ts'
import { KEPT_EVENTS, type EventKind } from '../accounts/events.ts'
import { parseByteSize, readConfig } from '../config.ts'
import { NO_LIMIT } from '../metadata/quota.ts'
import type { AccountRecord } from '../metadata/records.ts'
import { openOperatorStore, type OperatorStore } from '../store.ts'
import { UsageError } from './command.ts'
import { ask, askSecret } from './terminal.ts'

export const help = `magicstore user: look after people, beside a running server or without one.

  user add NAME        add a person; the password comes from a prompt or from standard input
  user list            everybody, a line each
  user show NAME       one person
  user disable NAME    keep a person out: password and tokens are refused from the next request on
  user enable NAME     let them in again
  user quota NAME [--bytes SIZE|none|default] [--files N|none|default]
  user passwd NAME     set a password, from a prompt or standard input; every token of the person ends
  user rm NAME         delete the person, their tokens and their files; asks first, unless --yes is given

  --json               one JSON object a line`

const verbs = ['add', 'list', 'show', 'disable', 'enable', 'quota', 'passwd', 'rm'] as const
type Verb = typeof verbs[number]

/** Verbs that change who can get in. */
const EVENTS: Partial<Record<Verb, EventKind>> = { disable: 'disabled', enable: 'enabled', passwd: 'password_changed' }

/** People on a page of a listing. */
const PAGE = 500

const options = { json: { type: 'boolean', default: false }, bytes: { type: 'string' }, files: { type: 'string' }, yes: { type: 'boolean', default: false } } as const

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

/** Carries out one verb on people. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [word, name, ...rest] } = parseArgs({ args, options, allowPositionals: true })
  const verb = verbs.find(known => known === word) ?? missingVerb()
  if (rest.length > 0) throw new UsageError('one name at a time; see magicstore user --help')
  if (verb !== 'list' && name === undefined) throw new UsageError('whose? see magicstore user --help')
  if (verb === 'rm' && !values.yes && !process.stdin.isTTY) throw new UsageError('rm asks before it deletes, and there is no terminal to ask at: give --yes')
  const store = await openOperatorStore(readConfig())
  const print = values.json ? printJson : printText
  try {
    if (verb === 'list' || name === undefined) return await list(store, print)
    const account = await act(store, { verb, name, values })
    await tellOwner(account, verb, store)
    print(account)
  } finally {
    await store.close()
  }
}

async function act ({ accounts, files, metadata }: OperatorStore, { verb, name, values }: { verb: Exclude<Verb, 'list'>, name: string, values: Values }): Promise<AccountRecord> {
  if (verb === 'add') return accounts.add({ username: name, password: await readPassword() })
  const account = await accounts.getByUsername(name)
  switch (verb) {
    case 'show': return account
    case 'disable':
      await metadata.setDisabled(account.id, account.disabledAt ?? Date.now())
      return accounts.get(account.id)
    case 'enable':
      await metadata.setDisabled(account.id, null)
      return accounts.get(account.id)
    case 'quota': return setQuota(account, values, { accounts, metadata })
    case 'passwd': {
      const password = await readPassword()
      // They may have set one of their own while the operator was typing.
      await accounts.changePassword(await accounts.get(account.id), password)
      return account
    }
    case 'rm':
      if (!values.yes) await confirmRemoval(account)
      await accounts.remove(account)
      files.sweep()
      return account
  }
}

/** What the operator did, where its owner looks for what happened to the account. */
async function tellOwner ({ id }: AccountRecord, verb: Verb, { metadata }: OperatorStore): Promise<void> {
  const kind = EVENTS[verb]
  if (kind !== undefined) await metadata.addEvent({ accountId: id, kind, network: 'operator', requestId: '-', at: Date.now() }, KEPT_EVENTS)
}

async function setQuota (account: AccountRecord, values: Values, { accounts, metadata }: { accounts: Accounts, metadata: OperatorStore['metadata'] }): Promise<AccountRecord> {
  const bytes = values.bytes === undefined ? account.quotaBytes : readLimit(values.bytes, parseByteSize)
  const files = values.files === undefined ? account.quotaFiles : readLimit(values.files, parseCount)
  await metadata.setQuota(account.id, { bytes, files })
  return accounts.get(account.id)
}

/** `none` is a limit that nobody reaches, whatever the settings say; `default` is what they say. */
function readLimit (text: string, parse: (text: string) => number | undefined): number | null {
  if (text === 'default') return null
  if (text === 'none') return NO_LIMIT
  const limit = parse(text)
  if (limit === undefined) throw new UsageError(`${JSON.stringify(text)} is no limit: a number, for bytes also a size such as 10G, none or default`)
  return limit
}

function parseCount (text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** From a prompt that does not show it, or all of standard input but its last line end. Never from an argument, which everybody on the machine can see. */
async function readPassword (): Promise<string> {
  if (!process.stdin.isTTY) {
    const chunks = await process.stdin.toArray() as Buffer[]
    return Buffer.concat(chunks).toString().replace(/\r?\n$/, '')
  }
  return await askSecret('Password: ') ?? missingPassword()
}

/** @throws {UsageError} unless a person says yes: nobody can bring the files back. */
async function confirmRemoval ({ username, usedFiles }: AccountRecord): Promise<void> {
  const answer = await ask(`Delete ${username} and their ${usedFiles} files for good? Type yes to confirm: `)
  if (answer?.trim() !== 'yes') throw new UsageError('nothing was deleted')
}

async function list ({ metadata }: OperatorStore, print: (account: AccountRecord) => void): Promise<void> {
  let afterId: number | undefined = 0
  while (afterId !== undefined) {
    const page: AccountRecord[] = await metadata.accountsAfter(afterId, PAGE)
    for (const account of page) print(account)
    afterId = page.at(-1)?.id
  }
}

/** Ctrl-C and Ctrl-D at the prompt. */
function missingPassword (): never {
  throw new UsageError('no password was given')
}

function missingVerb (): never {
  throw new UsageError('there is no such verb; see magicstore user --help')
}

/** What an operator may see: all but the hash. */
function factsOf ({ id, username, createdAt, disabledAt, usedFiles, usedBytes, quotaFiles, quotaBytes }: AccountRecord) {
  return { id, username, createdAt: new Date(createdAt).toISOString(), isDisabled: disabledAt !== null, usedFiles, usedBytes, quotaFiles, quotaBytes }
}

function printJson (account: AccountRecord): void {
  console.log(JSON.stringify(factsOf(account)))
}

function printText (account: AccountRecord): void {
  const { id, username, createdAt, isDisabled, usedFiles, usedBytes, quotaFiles, quotaBytes } = factsOf(account)
  console.log(`${id}\t${username}\tsince ${createdAt}\t${usedFiles} of ${limitText(quotaFiles)} files\t${usedBytes} of ${limitText(quotaBytes)} bytes${isDisabled ? '\tdisabled' : ''}`)
}

function limitText (limit: number | null): string {
  return limit === null ? 'the default' : limit === NO_LIMIT ? 'any' : String(limit)
}
