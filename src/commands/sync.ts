import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { readSyncSettings } from '../config.ts'
import { OperatorError } from '../problems.ts'
import { AddressWrong, CredentialRefused, openFolder, readIgnored, Stopped, type SyncFolder } from '../sync/folder.ts'
import type { Act } from '../sync/plan.ts'
import { RemoteError } from '../sync/ports.ts'
import { StateBusy, StateLost } from '../sync/state.ts'
import { RootGone, ServerLost, synchronize, type RunResult } from '../sync/sync.ts'
import { FolderGone } from '../sync/trees.ts'
import { Watch } from '../sync/watch.ts'
import { FLAG, print, readArguments, UsageError, VALUE } from './command.ts'
import { SyncProgress } from './sync-progress.ts'
import { lineOf, reasonText, resultText, sentenceOf, sumOf, tellAct, type Told } from './sync-words.ts'
import { readPassword } from './terminal.ts'

export const help = `\
magicstore sync FOLDER URL[/FOLDER]: make a folder of this computer and the store, or a folder of it, equal, both ways.

  sync FOLDER URL[/FOLDER]   the first time
  sync FOLDER                after that

  --watch                go on: follow the changes of both sides, until the command is stopped
  --dry-run              show what would be done
  --allow-deletions N    delete up to N files on a side. Otherwise no file is deleted on a side on which more than 10
                         files, and more than a quarter of all, would be
  --json                 one JSON object per line: each act, and at the end the result

MAGICSTORE_TOKEN is a personal access token with the scopes files:read and files:write. Without it, the command takes
the one of magicstore connect, or asks for one, and keeps it with its state, which only you can read. What is replaced
or deleted is in the versions or the trash of the server, and here in FOLDER/.magicstore/kept.

Exit codes: 0 both are equal; 1 something waits, another run has the folder, or there is no server; 2 wrong usage;
3 stopped before anything that could be a mistake; 4 the credential is missing or refused.`

/** A pause of `--watch` after a pass that has not reached the server, which has tried for a minute. */
const LOST_MILLISECONDS = 10_000

/** Stopped for a question, or for the credential. */
class SyncError extends OperatorError {
  override readonly exitCode: 1 | 2 | 3 | 4

  constructor (exitCode: 1 | 2 | 3 | 4, reason: string, cause: unknown) {
    super(reason, { cause })
    this.exitCode = exitCode
  }
}

interface Output {
  readonly json: boolean
  readonly isDryRun: boolean
  readonly progress: SyncProgress
  /** What a dry run would do. */
  readonly pretended: Told[]
}

export async function run (args: string[]): Promise<void> {
  const { values, positionals: [folder, address, ...rest] } = readArguments(args, {
    'dry-run': FLAG, watch: FLAG, 'allow-deletions': VALUE
  })
  if (folder === undefined || rest.length > 0) throw new UsageError('sync needs a folder; see magicstore sync --help')
  const allowed = values['allow-deletions'] ?? '0'
  if (!/^\d{1,9}$/.test(allowed)) throw new UsageError('--allow-deletions takes a number')
  if (values.watch && values['dry-run']) throw new UsageError('--dry-run and --watch exclude each other')
  const { token, ...folders } = readSyncSettings()
  const progress = new SyncProgress()
  const output = { json: values.json, isDryRun: values['dry-run'], progress, pretended: [] }
  const askToken = async () => (await readPassword('Token: ')).trim()
  const onBytes = (count: number) => progress.bytes(count)
  const onRead = (count: number) => progress.read(count)
  const opened = await openFolder({
    folder: resolve(folder), address, ...folders, token, askToken, onBytes, onRead, isDryRun: output.isDryRun
  }).catch(explain)
  const watch = new Watch(resolve(folder))
  const once = async () => synchronizeOnce(opened, { ...output, allowedDeletions: Number(allowed) })
  try {
    if (!values.watch) return report(await once().catch(explain), output)
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit())
    for (;;) {
      const result = await once().catch(waitForServer)
      if (result === undefined) {
        // Nothing tells when the server is back, and what was to be done is left.
        await pause(LOST_MILLISECONDS)
        continue
      }
      if (result.acts > 0 || result.waits.size > 0) report(result, output)
      await watch.wait(opened.state, opened.remote)
    }
  } finally {
    progress.clear()
    watch.close()
    opened.close()
  }
}

/** Without a server, the next pass tries again. @throws all other failures. */
function waitForServer (error: unknown): undefined {
  const isLost = error instanceof ServerLost || (error instanceof RemoteError && error.isCut)
  if (!isLost) explain(error)
  console.error(`magicstore: the server can't be reached: ${(error as Error).message}`)
}

interface RunOptions extends Output { readonly allowedDeletions: number }

async function synchronizeOnce (folder: SyncFolder, { allowedDeletions, ...output }: RunOptions): Promise<RunResult> {
  const { disk, remote, state, settings, keyOf, findRoot } = folder
  let names = 0
  const options = {
    disk,
    remote,
    state,
    keyOf,
    isIgnored: readIgnored(settings().folder),
    allowedDeletions,
    isDryRun: output.isDryRun,
    newName: () => `${process.pid}-${++names}`,
    today: () => new Date().toISOString().slice(0, 10),
    sleep: (milliseconds: number) => new Promise<void>(resolve => { setTimeout(resolve, milliseconds) }),
    onPlan: (acts: readonly Act[]) => output.progress.plan(acts),
    onAct: (act: Act) => showAct(act, output)
  }
  output.progress.begin()
  const result = await synchronize({ ...options, rootId: settings().rootId }).catch(async (error: unknown) => {
    // Nothing was agreed yet, as after the restore of a backup: then the folder is the one at its path.
    if (!(error instanceof RootGone) || state.base.size > 0 || !await findRoot()) throw error
    return synchronize({ ...options, rootId: settings().rootId })
  })
  output.progress.clear()
  return result
}

function showAct (act: Act, { progress, isDryRun, json, pretended }: Output): void {
  const told = tellAct(act)
  if (told === undefined) return
  progress.clear()
  if (isDryRun) pretended.push(told)
  print({ json }, told, isDryRun ? sentenceOf : lineOf)
  progress.act()
}

function report ({ waits, left, deletions, acts }: RunResult, output: Output): void {
  for (const path of left) print(output, { left: path }, () => `left alone: ${path}`)
  for (const [path, wait] of waits) {
    print(output, { waits: path, ...wait }, () => `waits: ${path} (${reasonText(wait)})`)
  }
  const text = () => output.isDryRun ? sumOf(output.pretended) : resultText({ waits })
  print(output, { acts, waiting: waits.size, deletions }, text)
  if (deletions > 0) {
    const remedy = `if that is right, add --allow-deletions ${deletions}; if not, bring them back`
    throw new SyncError(3, `${deletions} files would be deleted; ${remedy}`, undefined)
  }
  if (waits.size > 0) process.exitCode = 1
}

/** @throws always: what a person can do about a failure. */
function explain (error: unknown): never {
  const { message } = error as Error
  const is = (...kinds: (new (...args: never[]) => Error)[]) => kinds.some(kind => error instanceof kind)
  if (is(AddressWrong)) throw new UsageError(message)
  if (is(Stopped, FolderGone)) throw new SyncError(3, message, error)
  if (is(RootGone)) {
    const remedy = 'bring it back there from the trash, or run with the address of another one'
    throw new SyncError(3, `${message}: ${remedy}`, error)
  }
  const status = error instanceof RemoteError ? error.status : undefined
  if (is(CredentialRefused) || status === 401 || status === 403) {
    const remedy = 'run magicstore connect with the address of the server, or set MAGICSTORE_TOKEN to a token with ' +
      'files:read and files:write'
    throw new SyncError(4, `the server refuses the token (${message}): ${remedy}`, error)
  }
  if (is(RemoteError, ServerLost)) {
    throw new SyncError(1, `the server can't be reached: ${message}; run again later`, error)
  }
  if (is(StateBusy, StateLost)) throw new SyncError(1, message, error)
  throw error
}
