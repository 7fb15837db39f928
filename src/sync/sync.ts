import { carryOut, pretendMove, type PassTrees } from './acts.ts'
import { createDiskActs, Outdated } from './disk-acts.ts'
import { plan, type Act, type BaseRow, type Plan } from './plan.ts'
import { pauseAfter, RemoteError, type Disk, type Remote, type State, type ServerEntry } from './ports.ts'
import { mirrorTree, movedRows, scan, type NameRules, type Sightings } from './trees.ts'

/** How many acts are under way at a time: more than requests, so that the next ones are ready when an answer comes. */
const CONCURRENCY = 8

/** After so long, what is left of a plan is planned again. */
const PASS_MILLISECONDS = 60_000

/** A pause before a pass that is to find what changed just now quiet. */
const QUIET_PAUSE_MILLISECONDS = 2100

/** Pauses after requests that failed: of one second, then twice as long each time. */
const FIRST_PAUSE_MILLISECONDS = 1000
const MAX_PAUSES = 5

export interface SyncOptions extends NameRules {
  readonly disk: Disk
  readonly remote: Remote
  readonly state: State
  /** The folder of the server; null for all of the account. */
  readonly rootId: string | null
  readonly allowedDeletions: number
  readonly newName: () => string
  readonly today: () => string
  readonly sleep: (milliseconds: number) => Promise<void>
  /** Whether only the plan is wanted. */
  readonly isDryRun?: boolean
  /** Called with what a plan has, before it is done. */
  readonly onPlan?: (acts: readonly Act[]) => void
  /** Called after each act, or for a dry run with each act of the plan. */
  readonly onAct?: (act: Act) => void
}

/** Why something waits: what the plan says, or the status or code of what was refused, with its message. */
export interface Wait { readonly reason: string, readonly message?: string }

export interface RunResult {
  /** Why what is not equal waits. */
  readonly waits: ReadonlyMap<string, Wait>
  /** Paths that are left alone: links and the like, and names that are alike here or that this computer can't have. */
  readonly left: readonly string[]
  /** How many files would be deleted on a side, if that is too many. */
  readonly deletions: number
  readonly acts: number
}

interface PassResult {
  /** How many acts were made. */
  readonly done: number
  readonly waits: Plan['waits']
  readonly left: readonly string[]
  readonly deletions: number
  readonly isEmpty: boolean
  /** The last request that ended without a useful answer. */
  readonly cut: RemoteError | undefined
  /** The acts of a dry run. */
  readonly pretended: readonly Act[]
}

const NOTHING_DONE = { done: 0, waits: new Map(), left: [], deletions: 0, isEmpty: false, pretended: [] }

/** The folder of the server is gone, or has another id. */
export class RootGone extends Error {}

/** Requests ended without a useful answer again and again. */
export class ServerLost extends Error {}

/** Statuses of requests that hold for this run, whatever is planned again. */
const WAITING_STATUSES = [400, 413, 415, 423, 507]
const OUTDATED_STATUSES = [404, 409, 412]

/** Codes of the system of what changed since it was planned. */
const OUTDATED_CODES = ['ENOENT', 'EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR', 'ELOOP']

/** Passes until both sides are equal, or what is left has to wait. @throws {RootGone}, {ServerLost}. */
export async function synchronize (options: SyncOptions): Promise<RunResult> {
  const { disk, remote, state, sleep } = options
  const refused = new Set<string>()
  const waiting = new Set<string>()
  const reasons = new Map<string, Wait>()
  const sightings: Sightings = new Map()
  const diskActs = createDiskActs(disk, options)
  let total = 0
  let idle = 0
  let isStuck = false
  let failures = 0

  for (;;) {
    const { done, waits, left, deletions, isEmpty, cut, pretended } = await pass()
    total += done
    failures = cut !== undefined && done === 0 ? failures + 1 : 0
    idle = done === 0 ? idle + 1 : 0
    const isAlone = waiting.size === 0 && Array.from(waits.values()).every(reason => reason === 'bytes elsewhere')
    isStuck = done === 0 && cut === undefined && isAlone
    const isLater = Array.from(waits.values()).some(reason => reason === 'changing' || reason === 'unknown')
    if (cut === undefined && (idle > 1 || ((isEmpty || options.isDryRun === true) && !isLater))) {
      for (const act of pretended) options.onAct?.(act)
      const planned = Array.from(waits, ([path, reason]) => [path, { reason }] as const)
      return { waits: new Map<string, Wait>([...planned, ...reasons]), left, deletions, acts: total }
    }
    if (failures > MAX_PAUSES) throw new ServerLost(String(cut?.message), { cause: cut })
    if (cut !== undefined) await sleep(pauseAfter(cut, failures, FIRST_PAUSE_MILLISECONDS))
    else if (done === 0) await sleep(QUIET_PAUSE_MILLISECONDS)
  }

  async function pass (): Promise<PassResult> {
    const startedAt = disk.elapsed()
    let cut = await readServer(remote, state).catch((error: unknown) => {
      if (error instanceof RemoteError && error.isCut) return error
      throw error
    })
    if (cut !== undefined) return { ...NOTHING_DONE, cut }
    if (state.doing.size > 0) state.commit({ clear: ['doing'], base: settledRows(state, treesOf(new Map())) })
    await diskActs.tidy(state, key => state.commit({ base: [[key, undefined]] }))
    const { local, left } = await scan(disk, state, { ...options, sightings })
    const pretended: Act[] = []
    const copy = new Map(options.isDryRun === true ? state.base : [])
    const trees = options.isDryRun === true ? { ...treesOf(local), base: copy } : treesOf(local)
    const context = { ...options, diskActs, trees }
    const isOver = () => cut !== undefined || disk.elapsed() - startedAt > PASS_MILLISECONDS
    let done = 0

    for (;;) {
      const next = plan(trees, { refused, waiting, isStuck, allowedDeletions: options.allowedDeletions })
      options.onPlan?.(next.acts)
      if (options.isDryRun === true) next.acts.forEach(pretend)
      else for (const group of groupsOf(next.acts)) await inParallel(group, make)
      if (next.isMoves && !isOver()) continue
      const others = Array.from(local.values()).filter(({ kind }) => kind === 'other').map(({ path }) => path)
      const { waits, deletions, acts } = next
      const alone = [...left, ...others, ...trees.left]
      return { done, waits, left: alone, deletions, cut, isEmpty: acts.length === 0, pretended }
    }

    function pretend (act: Act): void {
      pretended.push(act)
      pretendMove(act, trees, copy)
    }

    async function make (act: Act): Promise<void> {
      if (isOver()) return
      try {
        await carryOut(act, context)
        options.onAct?.(act)
        done++
      } catch (error) {
        if (error instanceof RemoteError && error.isCut) cut = error
        else fail(act, error, trees)
      }
    }
  }

  /** @throws what ends the run. */
  function fail ({ what, key, row, to, mover }: Act, error: unknown, { keyOf }: PassTrees): void {
    const { code = '', message } = error as NodeJS.ErrnoException
    const status = Number((error as Partial<RemoteError>).status)
    // The server has answered: nothing is under way.
    if (error instanceof RemoteError) state.commit({ doing: [[key, undefined]] })
    if (error instanceof Outdated || OUTDATED_CODES.includes(code) || OUTDATED_STATUSES.includes(status)) {
      const moved = mover ?? (what.startsWith('move') ? row?.id : undefined)
      if (moved !== undefined) refused.add(moved)
    } else if (code !== '' || WAITING_STATUSES.includes(status)) {
      for (const place of to === undefined ? [key] : [key, keyOf(to)]) {
        waiting.add(place)
        reasons.set(place, { reason: code === '' ? String(status) : code, message })
      }
    } else {
      throw error
    }
  }

  function treesOf (local: PassTrees['local']): PassTrees {
    const found = mirrorTree(state, options.rootId, options)
    if (found === undefined) throw new RootGone('the folder of the server is gone')
    const { tree: mirror, rootPath, left } = found
    return { base: state.base, local, mirror, rootPath, left, keyOf: options.keyOf }
  }
}

/** Reads the changes until there are none: only then the mirror is what the server has. */
async function readServer (remote: Remote, state: State): Promise<undefined> {
  for (;;) {
    const { changes, next, reason } = await remote.changes(state.cursor)
    if (reason === undefined) {
      state.commit({ mirror: changes, cursor: next })
      if (changes.length === 0) return undefined
    } else {
      const entries: ServerEntry[] = []
      for (const kind of ['folder', 'file'] as const) {
        for (let cursor: string | null | undefined; cursor !== null;) {
          const page = await remote.list(kind, cursor ?? null)
          entries.push(...page.entries)
          cursor = page.next
        }
      }
      // The base of an expired time still holds. That of a time that was undone may never have been.
      const clear = reason === 'expired' ? ['mirror'] as const : ['mirror', 'base', 'doing'] as const
      state.commit({ clear, mirror: entries.map(entry => [entry.id, entry] as const), cursor: next })
    }
  }
}

/** The rows of the base that acts wrote of which the answers were lost, but which the mirror shows as done. */
function settledRows (
  { base, doing, mirror }: State, { mirror: tree, keyOf }: PassTrees
): [string, BaseRow | undefined][] {
  const rows: [string, BaseRow | undefined][] = []
  for (const { what, row, from } of doing.values()) {
    const key = keyOf(row.path)
    const entry = tree.get(key)
    if (what === 'delete' && !mirror.has(row.id)) rows.push([from, undefined])
    const isStored = entry?.kind === 'file' && entry.sha256 === row.sha256
    if (what === 'upload' && isStored) rows.push([key, { ...row, id: entry.id }])
    if (what === 'upload' && !isStored) rows.push(...replacedRow(base.get(key), row))
    const isMoved = entry?.id === row.id && base.has(from)
    if (what === 'move' && isMoved) rows.push(...movedRows(base, { from, to: row, keyOf }))
  }
  return rows

  /**
   * An upload that replaced the bytes of a file, wherever that is now. If it has others than before and than were sent,
   * those may have been there in between: then the row goes, since what is here may not be replaced by what is there.
   */
  function replacedRow (before: BaseRow | undefined, row: BaseRow): [string, BaseRow | undefined][] {
    const now = mirror.get(String(before?.id))
    if (before === undefined || now === undefined || now.sha256 === before.sha256) return []
    const isSent = now.sha256 === row.sha256
    return [[keyOf(before.path), isSent ? { ...row, path: before.path, id: before.id } : undefined]]
  }
}

/** Acts that can be made at the same time: folders of one depth, or all that is between making and deleting. */
function groupsOf (acts: readonly Act[]): Act[][] {
  const groups: Act[][] = []
  let last: string | undefined
  for (const act of acts) {
    const isLevel = act.what.startsWith('make') || act.what.startsWith('delete')
    const name = isLevel ? `${act.what.split(' ')[0]} ${act.key.split('/').length}` : ''
    if (name === last) groups.at(-1)?.push(act)
    else groups.push([act])
    last = name
  }
  return groups
}

async function inParallel<T> (items: readonly T[], make: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  const worker = async () => { for (const item of rest) await make(item) }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker))
}
