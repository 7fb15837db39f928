import { RemoteError, type Doing, type Remote, type State, type StateChange, type ServerEntry } from '#src/sync/ports.ts'
import type { BaseRow } from '#src/sync/plan.ts'
import { ServerLost, synchronize, type RunResult } from '#src/sync/sync.ts'
import { createRandom, type Random } from '../kit/random.ts'
import { createModelDisk, DiskError, portOf, type ModelClock, type ModelDisk } from './model-disk.ts'
import { createModelServer } from './model-server.ts'

/** What ends a process at any step. */
class Killed extends Error {}

/** A state in memory that is lost, or older, when the test says so. */
export function createModelState (step: () => void) {
  const base = new Map<string, BaseRow>()
  const mirror = new Map<string, ServerEntry>()
  const doing = new Map<string, Doing>()
  const maps = { base, mirror, doing }
  const snapshots: (typeof maps & { cursor: string | undefined })[] = []
  let cursor: string | undefined

  function fill<T> (map: Map<string, T>, changes: Iterable<readonly [string, T | undefined]> = []): void {
    for (const [key, value] of changes) {
      if (value === undefined) map.delete(key)
      else map.set(key, value)
    }
  }

  return {
    base,
    mirror,
    doing,
    get cursor () { return cursor },
    commit (change: StateChange): void {
      step()
      const now = { base: new Map(base), mirror: new Map(mirror), doing: new Map(doing), cursor }
      if (snapshots.push(now) > 4) snapshots.shift()
      for (const name of change.clear ?? []) maps[name].clear()
      fill(base, change.base)
      fill(mirror, change.mirror)
      fill(doing, change.doing)
      cursor = change.cursor ?? cursor
      step()
    },
    lose (): void {
      for (const map of Object.values(maps)) map.clear()
      cursor = undefined
    },
    /** After a power cut the state may be older than the folder. */
    fallBack (): void {
      const older = snapshots[0]
      if (older === undefined) return
      for (const name of ['base', 'mirror', 'doing'] as const) {
        maps[name].clear()
        fill(maps[name] as Map<string, any>, older[name])
      }
      cursor = older.cursor
    }
  } satisfies State & Record<string, unknown>
}

interface Chances {
  /** Of a person's act before each step of a run. */
  person: number
  cut: number
  locked: number
}

const CALM: Chances = { person: 0, cut: 0, locked: 0 }
const ROUGH: Chances = { person: 0.02, cut: 0.03, locked: 0.01 }

/** What `isIgnored` of the model ignores. */
const IGNORED = 'ignored'
const ANY_CONTENT = 'ffffffff'

/** What happens before a step of a run. */
export interface Hook { readonly step: number, readonly act: () => void }

/** One of the computers. */
export interface ModelComputer {
  readonly name: string
  /** Whether its file system folds case. */
  readonly folds: boolean
  readonly disk: ModelDisk
  readonly state: ReturnType<typeof createModelState>
  /** One run; undefined if it was killed after `steps`, or lost the server. */
  readonly sync: (steps?: number, hook?: Hook) => Promise<RunResult | undefined>
}

/** Three computers, a page, and a server, with a history that a seed draws. */
export class World {
  readonly random: Random
  readonly clock: ModelClock = { now: 1_000_000 }
  readonly server = createModelServer()
  readonly computers: ModelComputer[] = []
  /** Contents that a person replaced or deleted, and those that two files had. */
  readonly dropped = new Set<string>()
  readonly copied = new Set<string>()
  readonly written = new Set<string>()
  chances = CALM
  /** Of files and folders. */
  names: readonly string[] = ['a', 'b', 'c', 'd']
  /** Which requests the server answers with 423. */
  refuses: (request: string) => boolean = () => false
  backup = this.server.snapshot()
  /** Then no files are ignored: their folders stay where others delete them. */
  isAlone = false
  readonly log: string[] = []
  #contents = 0
  #isActing = false

  constructor (name: string, seed?: number) {
    this.random = createRandom(name, seed)
  }

  addComputer (name: string, { folds = false } = {}): ModelComputer {
    const disk = createModelDisk(this.clock, folds)
    for (const folder of ['.magicstore', '.magicstore/tmp', '.magicstore/aside', '.magicstore/kept']) disk.makeFolder(folder)
    disk.write('.magicstore/id', '')
    const run = { isDead: true, steps: Infinity, taken: 0, hook: undefined as Hook | undefined }
    const step = () => {
      if (run.isDead || --run.steps < 0) {
        run.isDead = true
        throw new Killed()
      }
      this.clock.now++
      if (++run.taken === run.hook?.step) run.hook.act()
      this.#disturb()
    }
    const state = createModelState(step)
    const computer: ModelComputer = {
      name,
      folds,
      disk,
      state,
      sync: async (steps = Infinity, hook) => {
        Object.assign(run, { isDead: false, steps, taken: 0, hook })
        let files = 0
        const keyOf = (path: string) => folds ? path.normalize('NFC').toLowerCase() : path.normalize('NFC')
        try {
          return await synchronize({
            disk: portOf(disk, this.clock, step),
            remote: this.#remote(computer, step),
            state,
            rootId: null,
            allowedDeletions: Infinity,
            keyOf,
            isIgnored: path => path.endsWith(IGNORED),
            newName: () => `${name}${this.clock.now}-${files++}`,
            today: () => 'today',
            sleep: async milliseconds => { this.clock.now += milliseconds },
            onAct: act => this.log.push(`${name}: ${act.what} ${act.key}${act.to === undefined ? '' : ` -> ${act.to}`}`)
          })
        } catch (error) {
          if (error instanceof Killed) this.log.push(`${name}: killed`)
          else if (error instanceof ServerLost) this.log.push(`${name}: ${error.message}`)
          else throw error
          return undefined
        } finally {
          run.isDead = true
        }
      }
    }
    this.computers.push(computer)
    return computer
  }

  #remote ({ disk, name }: ModelComputer, step: () => void): Remote {
    const { server } = this
    const call = async <T>(what: string, request: () => T): Promise<T> => {
      step()
      await null
      if (this.random.chance(this.chances.cut)) throw new RemoteError(this.random.pick([undefined, 503]), 'cut before')
      const isLocked = !/^(read|download)/.test(what) && this.random.chance(this.chances.locked)
      if (isLocked || this.refuses(what)) throw new RemoteError(423, 'locked')
      const result = request()
      await null
      if (this.random.chance(this.chances.cut)) {
        this.log.push(`${name}: answer of ${what} lost`)
        throw new RemoteError(undefined, 'cut after')
      }
      step()
      return result
    }
    return {
      changes: cursor => call('read', () => server.changes(cursor)),
      list: (kind, cursor) => call('read', () => server.list(kind, cursor)),
      upload: ({ path, folderId, source, sha256, replaces }) => call(`upload ${path}`, () => {
        if (disk.find(source)?.content !== sha256) throw new RemoteError(412, 'other bytes')
        return server.put(path, sha256, { folderId, replaces: replaces ?? null })
      }),
      makeFolder: (path, folderId) => call(`make ${path}`, () => server.makeFolder(path, folderId)),
      move: (target, to, folderId) => call(`move ${target.path}`, () => server.move(target, to, folderId)),
      remove: (target, sha256) => call(`remove ${target.path}`, () => {
        const isElsewhere = target.kind === 'folder' || this.#isElsewhere(sha256, disk)
        server.remove(target, sha256)
        if (!isElsewhere) this.log.push(`! deletes ${sha256}, which is nowhere else`)
      }),
      download: (target, { sha256, to }) => call(`download ${target.path}`, () => disk.write(to, server.bytes(target, sha256)))
    }
  }

  /** Whether bytes that no person deleted are somewhere else. */
  #isElsewhere (sha256: string, disk: ModelDisk): boolean {
    if (this.dropped.has(sha256) || this.copied.has(sha256)) return true
    return [...this.server.tree().values(), ...disk.tree().values()].filter(content => content === sha256).length > 1
  }

  #disturb (): void {
    if (this.#isActing || !this.random.chance(this.chances.person)) return
    this.actOfPerson()
  }

  /** A person writes a file, or replaces its bytes. */
  write (path: string, { disk }: { disk?: ModelDisk | undefined } = {}, content = this.newContent()): string {
    this.#drop([(disk?.tree() ?? this.server.tree()).get(path) ?? ''])
    if (disk === undefined) this.server.put(path, content)
    else disk.write(path, content)
    return content
  }

  newContent (): string {
    const content = (++this.#contents).toString(16).padStart(8, '0')
    this.written.add(content)
    return content
  }

  /** What a person does at a computer, or on the page. */
  actOfPerson (place = this.random.below(this.computers.length + 1)): void {
    this.#isActing = true
    const computer = this.computers[place]
    try {
      if (computer === undefined) this.#actOnPage()
      else this.#actOnComputer(computer)
    } catch (error) {
      if (!(error instanceof RemoteError) && !(error instanceof DiskError)) throw error
    } finally {
      this.#isActing = false
    }
    this.clock.now += this.random.pick([1, 1, 700, 3000])
  }

  #drop (contents: Iterable<string>): void {
    for (const content of contents) this.dropped.add(content)
  }

  #newPath (folders: readonly string[]): string {
    const folder = this.random.pick(['', ...folders.filter(path => path.split('/').length < 3)])
    const name = this.random.pick(this.names)
    return folder === '' ? name : `${folder}/${name}`
  }

  #actOnComputer ({ name, disk }: ModelComputer): void {
    const { random } = this
    const tree = disk.tree()
    const files = filesOf(tree)
    const folders = Array.from(tree).filter(([, content]) => content === '').map(([path]) => path)
    const to = this.#newPath(folders)
    const any = [...files, ...folders]
    const act = random.pick(['write', 'write', 'edit', 'edit', 'save', 'rename', 'rename', 'move', 'delete', 'folder', 'copy', 'ignored'])
    const file = files.length > 0 ? random.pick(files) : undefined
    const from = any.length > 0 ? random.pick(any) : undefined
    const note = (text: string) => this.log.push(`person at ${name}: ${text}`)
    switch (act) {
      case 'write': if (!disk.exists(to)) { const content = this.newContent(); note(`write ${to} ${content}`); disk.write(to, content) } break
      case 'edit': if (file !== undefined) { const content = this.newContent(); note(`edit ${file} ${content}`); this.#drop([String(tree.get(file))]); disk.write(file, content) } break
      case 'save': if (file !== undefined) {
        // As editors do: a new file takes the place.
        const content = this.newContent()
        const part = `${file}.part.ignored`
        note(`save ${file} ${content}`)
        disk.write(part, content)
        this.#drop([String(tree.get(file))])
        disk.rename(part, file)
      } break
      case 'rename': case 'move': if (from !== undefined && !disk.exists(to)) { note(`move ${from} -> ${to}`); disk.rename(from, to) } break
      case 'delete': if (from !== undefined) { note(`delete ${from}`); this.#drop([String(tree.get(from)), ...disk.tree(from).values()]); disk.removeAll(from) } break
      case 'folder': if (!disk.exists(to)) { note(`folder ${to}`); disk.makeFolder(to) } break
      case 'ignored': if (folders.length > 0 && !this.isAlone) disk.write(`${random.pick(folders)}/${IGNORED}`, ANY_CONTENT); break
      case 'copy': if (file !== undefined && !disk.exists(to)) { note(`copy ${file} -> ${to}`); this.copied.add(String(tree.get(file))); disk.write(to, String(tree.get(file))) } break
    }
  }

  #actOnPage (): void {
    const { random, server } = this
    const tree = server.tree()
    const files = filesOf(tree)
    const folders = Array.from(tree).filter(([, content]) => content === '').map(([path]) => path)
    const to = this.#newPath(folders)
    const any = [...files, ...folders]
    const from = any.length > 0 ? random.pick(any) : undefined
    const file = files.length > 0 ? random.pick(files) : undefined
    const note = (text: string) => this.log.push(`page: ${text}`)
    switch (random.pick(['write', 'edit', 'move', 'move', 'delete', 'folder', 'undelete', 'ignored'])) {
      case 'ignored': if (folders.length > 0 && !this.isAlone) server.put(`${random.pick(folders)}/${IGNORED}`, ANY_CONTENT); break
      case 'write': if (!tree.has(to)) { const content = this.newContent(); note(`write ${to} ${content}`); server.put(to, content) } break
      case 'edit': if (file !== undefined) { const content = this.newContent(); note(`edit ${file} ${content}`); this.#drop([String(tree.get(file))]); server.put(file, content) } break
      case 'move': if (from !== undefined) { note(`move ${from} -> ${to}`); server.move({ path: from, kind: files.includes(from) ? 'file' : 'folder' }, to) } break
      case 'delete': if (from !== undefined) {
        note(`delete ${from}`)
        this.#drop(Array.from(tree).filter(([path]) => `${path}/`.startsWith(`${from}/`)).map(([, content]) => content))
        server.removeAll(from)
      } break
      case 'folder': if (!tree.has(to)) { note(`folder ${to}`); server.makeFolder(to) } break
      case 'undelete': {
        const [entry] = server.trash().slice(-1)
        if (entry !== undefined && !tree.has(to)) { note(`undelete ${entry.sha256} -> ${to}`); server.undelete(entry, to); this.copied.add(entry.sha256) }
      }
    }
  }

  /** A random history of many acts at the same time. */
  async live (length: number): Promise<void> {
    const { random } = this
    for (let n = 0; n < length; n++) {
      this.chances = ROUGH
      const act = random.below(20)
      if (act < 9) this.actOfPerson()
      else if (act < 17) {
        const running = this.computers.filter(() => random.chance(0.5))
        await Promise.all(running.map(computer => computer.sync(random.chance(0.3) ? random.below(150) : Infinity)))
      } else if (act === 17) this.clock.now += 5000
      else if (act === 18) {
        const computer = random.pick(this.computers)
        const what = random.pick(['lose', 'fallBack', 'fallBack', 'expire', 'backup', 'restore'] as const)
        this.log.push(`${what} ${computer.name}`)
        if (what === 'lose') computer.state.lose()
        if (what === 'fallBack') computer.state.fallBack()
        if (what === 'expire') this.server.expire()
        if (what === 'backup') this.backup = this.server.snapshot()
        if (what === 'restore') this.restore(this.backup)
      }
    }
  }

  restore (backup: ReturnType<World['server']['snapshot']>): void {
    const before = this.server.tree()
    this.server.restore(backup)
    const after = new Set(this.server.tree().values())
    this.#drop(Array.from(before.values()).filter(content => !after.has(content)))
    for (const content of after) this.copied.add(content)
  }

  /**
   * One person at a time, at one computer or on the page, while requests fail and runs are killed. Returns where the
   * trees are not just what that person left.
   */
  async liveAlone (turns: number): Promise<string[]> {
    const { random } = this
    this.isAlone = true
    for (let turn = 0; turn < turns; turn++) {
      const place = random.below(this.computers.length + 1)
      for (let acts = random.between(1, 4); acts > 0; acts--) this.actOfPerson(place)
      const left = this.computers[place]?.disk.tree() ?? carried(this.server.tree())
      this.chances = { ...ROUGH, person: 0 }
      for (const computer of this.computers) await computer.sync(random.chance(0.3) ? random.below(150) : Infinity)
      const faults = await this.settle()
      const server = carried(this.server.tree())
      if (textOf(withoutLeft(left, server)) !== textOf(server)) faults.push(`not what was left: ${textOf(left)}, but ${textOf(server)}`)
      if (faults.length > 0) return faults
    }
    return []
  }

  /** Nobody acts: all computers run until nothing is left to do. */
  async settle (): Promise<string[]> {
    this.chances = CALM
    for (let round = 0; round < 12; round++) {
      this.clock.now += 5000
      let acts = 0
      for (const computer of this.computers) acts += (await computer.sync())?.acts ?? 1
      if (acts === 0) return this.#faults()
    }
    return ['it does not come to rest', ...this.#faults()]
  }

  #faults (): string[] {
    const faults = this.log.filter(line => line.startsWith('!'))
    const server = carried(this.server.tree())
    for (const { name, disk, state, folds } of this.computers) {
      const local = withoutLeft(disk.tree(), server, folds)
      const isEqual = folds ? isFolded(local, server) : textOf(local) === textOf(server)
      if (!isEqual) faults.push(`${name} is not equal: ${textOf(local)} and ${textOf(server)}`)
      if (listOf(state.mirror) !== listOf(this.server.entries())) faults.push(`the mirror of ${name} is wrong`)
    }
    const current = new Set(this.server.tree().values())
    const kept = new Set(this.computers.flatMap(({ disk }) => Array.from(disk.tree('.magicstore/kept').values())))
    const left = new Set([...current, ...this.server.contents, ...kept])
    for (const content of this.written) {
      if (this.dropped.has(content)) continue
      if (!this.copied.has(content) && !current.has(content)) faults.push(`${content} is not current`)
      if (!left.has(content)) faults.push(`${content} is lost`)
    }
    return faults
  }
}

/** What is synchronized of a tree. */
function carried (tree: ReadonlyMap<string, string>): Map<string, string> {
  return new Map(Array.from(tree).filter(([path]) => !path.endsWith(IGNORED)))
}

/** Without folders that are only here, because only ignored files are in them. */
function withoutLeft (
  tree: ReadonlyMap<string, string>, server: ReadonlyMap<string, string>, folds = false
): Map<string, string> {
  const left = carried(tree)
  const isIn = (folder: string) => (path: string) => path.startsWith(`${folder}/`)
  for (const folder of Array.from(left.keys()).reverse()) {
    const hasIgnored = Array.from(tree.keys()).some(path => isIn(folder)(path) && path.endsWith(IGNORED))
    const isEmpty = left.get(folder) === '' && !Array.from(left.keys()).some(isIn(folder))
    const fold = (path: string) => folds ? path.toLowerCase() : path
    const isThere = Array.from(server.keys()).some(path => fold(path) === fold(folder))
    if (isEmpty && hasIgnored && !isThere) left.delete(folder)
  }
  return left
}

/** Whether a computer that folds case has all of the server but for names that are alike there. */
function isFolded (local: ReadonlyMap<string, string>, server: ReadonlyMap<string, string>): boolean {
  const fold = (path: string) => path.toLowerCase()
  const alike = new Map<string, string[]>()
  for (const path of server.keys()) alike.set(fold(path), [...alike.get(fold(path)) ?? [], path])
  const isTwin = (path: string): boolean => (alike.get(fold(path)) ?? []).length > 1
  const prefixes = (path: string) => path.split('/').map((_, index, names) => names.slice(0, index + 1).join('/'))
  const apart = ([path]: [string, string]) => !prefixes(path).some(isTwin)
  const folded = (tree: ReadonlyMap<string, string>) =>
    textOf(new Map(Array.from(tree).filter(apart).map(([path, content]) => [fold(path), content])))
  return folded(local) === folded(server)
}

function filesOf (tree: ReadonlyMap<string, string>): string[] {
  return Array.from(carried(tree)).filter(([, content]) => content !== '').map(([path]) => path)
}

export function textOf (tree: ReadonlyMap<string, string>): string {
  return Array.from(tree, ([path, content]) => `${path}=${content}`).sort().join(' ')
}

function listOf (entries: ReadonlyMap<string, ServerEntry>): string {
  return Array.from(entries.values(), ({ id, parentId, name, sha256 }) => `${id} ${parentId} ${name} ${sha256}`).sort().join()
}
