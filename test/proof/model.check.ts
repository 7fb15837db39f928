import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { test } from 'tap'
import { SEED } from '../kit/random.ts'
import { formOf, signUp, startServer, type Answer, type RunningServer, type SendOptions } from '../kit/server.ts'
import { sizes } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { folderOf, lastOf, parentsOf } from './model-folders.ts'
import { entityTag, expect, nextState, metadataOf, keyOf, listed, usageOf, withoutIds, type Operation, type FileOrder, type Limits, type User, type Span, type State, type StoredFile, type Usage } from './model.ts'

/** Time limit for reducing a failure to the fewest steps; the two sequences of a round take a few seconds. */
const SHRINKING_MILLISECONDS = 90_000

/** Large enough that neighbouring seeds give different rounds. */
const ROUND_SEEDS = 1_000_003

/** So little that it is often full. */
const limits: Limits = { maxFileBytes: 1000, quotaBytes: 1500, quotaFiles: 9 }
const settings = {
  KEEP_DAYS: '0',
  MAX_FILE_BYTES: String(limits.maxFileBytes),
  QUOTA_BYTES: String(limits.quotaBytes),
  QUOTA_FILES: String(limits.quotaFiles),
  RATE_LIMIT_PER_MINUTE: '0',
  REGISTRATIONS_PER_HOUR: '0',
  MAX_EVENT_LOOP_DELAY_MS: '0'
}

/**
 * Edge cases. An emoji sorts after U+FFEE by code points, but before it by UTF-16 code units; U+D7FF is the last code
 * point before the surrogates, U+10FFFF the last of all; some names have an NFC and an NFD form; some are in folders
 * with the names of files; the last six are not valid names.
 */
const names = [
  'a', 'A', 'a.txt', 'ab', 'b.json', '\u00E9', 'e\u0301', 'e', '\u{1F600}', '\uFFEE', '\u{1F600}.pdf', '\u{1F600}a', '\u{1F601}', '\u{1F601}a', '\uD7FFa', '\uE000', '\u{10FFFF}', '\u{10FFFF}a', '"quoted" \'n\'.txt', '100%', '%61', '..a', ' a ', 'a;b=c',
  'x'.repeat(255), '\u754C'.repeat(85), 'e\u0301'.repeat(127) + 'x', ...['a', 'b.json', 'e\u0301', 'a/b', 'a/b/a.txt'].flatMap(name => [`folder/${name}`, `e\u0301/${name}`]), 'a/a', 'a/b/c/d',
  'x'.repeat(256), '..', 'a\u0001', '/a', 'folder//a', 'folder/../a'
]
/** The last three are no valid paths, or too long if there is a folder below. */
const folderNames = ['folder', 'e\u0301', 'a', 'a/b', 'folder/a', 'folder/a/b', 'new', 'new/er', '\u{1F600}', 'a/b/c', 'x'.repeat(255), `${'x'.repeat(255)}/${'y'.repeat(255)}/${'z'.repeat(255)}`, 'folder//a', '..']
const prefixes = ['', 'a', 'e', 'e\u0301', '\u{1F600}', '\uFFEE', '\uD7FF', '\u{10FFFF}', '%']
const types = ['', 'text/plain', 'text/html; charset=utf-8', 'not a type', 'application/pdf']
const orders: FileOrder[] = ['name', '-name', 'newest', 'oldest', 'largest', 'smallest']

/** The server, the expected state, and the steps so far. */
interface World {
  server: RunningServer
  readonly users: [User, User]
  readonly restart: () => Promise<RunningServer>
  /** The steps so far, one per line, to explain a failure. */
  readonly trace: string[]
}

type UserIndex = 0 | 1

interface Request extends SendOptions { method: string, path: string }

const counts = { steps: 0, restarts: 0, sequences: 0 }

async function send (world: World, { method, path, ...options }: Request): Promise<{ answer: Answer, span: Span }> {
  const from = Date.now()
  const answer = await world.server.send(method, path, options)
  return { answer, span: { from, to: Date.now() } }
}

function change (world: World, userIndex: UserIndex, changes: Partial<User>): void {
  world.users[userIndex] = { ...world.users[userIndex], ...changes }
}

/** Sends a request of a user. */
function sendAs (world: World, userIndex: UserIndex, request: Request) {
  return send(world, { ...request, token: world.users[userIndex].token })
}

async function get (world: World, userIndex: UserIndex, path: string): Promise<Answer> {
  return (await sendAs(world, userIndex, { method: 'GET', path })).answer
}

function expectAnswer (answer: Answer, status: number, code?: string): void {
  expect('the answer', [answer.status, answer.status < 400 ? undefined : answer.json.code], [status, code])
}

interface NameRecipe { exists: boolean, isDecomposed: boolean, pick: number }
interface OperationRecipe { kind: Operation['kind'], name: NameRecipe, to: NameRecipe, size: number | 'same' | 'rest' | 'one more' | 'limit' | 'above', fill: number, type: string, condition: string }

function folderNameOf ({ folders }: State, { exists, isDecomposed, pick }: NameRecipe): string {
  const choice = exists && folders.size > 0 ? Array.from(folders) : folderNames
  return String(choice[pick % choice.length]).normalize(isDecomposed ? 'NFD' : 'NFC')
}

function nameOf ({ files }: State, { exists, isDecomposed, pick }: NameRecipe): string {
  const choice = exists && files.size > 0 ? Array.from(files.keys()) : names
  return String(choice[pick % choice.length]).normalize(isDecomposed ? 'NFD' : 'NFC')
}

function bytesOf (state: State, current: StoredFile | undefined, { size, fill }: OperationRecipe): Buffer {
  if (size === 'same' && current !== undefined) return current.bytes
  const rest = limits.quotaBytes - usageOf(state).bytes + (current?.bytes.length ?? 0)
  const lengths = { same: 0, rest, 'one more': rest + 1, limit: limits.maxFileBytes, above: limits.maxFileBytes + 1 }
  return Buffer.alloc(typeof size === 'number' ? size : lengths[size], fill)
}

const STALE = `"${'0'.repeat(64)}"`

/** Conditions by name, given the entity tag and the time of the current file. */
const conditionsOf: Record<string, (tag: string, at: number) => Record<string, string>> = {
  none: () => ({}),
  'same version': tag => ({ 'if-match': tag }),
  'stale version': () => ({ 'if-match': STALE }),
  'weak version': tag => ({ 'if-match': `W/${tag}` }),
  'one of two versions': tag => ({ 'if-match': `${STALE}, ${tag}` }),
  'any version': () => ({ 'if-match': '*' }),
  'no version': () => ({ 'if-none-match': '*' }),
  'another version': tag => ({ 'if-none-match': `${STALE}, W/${tag}` }),
  'not a stale version': () => ({ 'if-none-match': STALE }),
  'unmodified since': (_tag, at) => ({ 'if-unmodified-since': new Date(at).toUTCString() }),
  'unmodified since before': (_tag, at) => ({ 'if-unmodified-since': new Date(at - 1000).toUTCString() })
}

function operationOf (store: State, recipe: OperationRecipe): Operation {
  const { kind, type } = recipe
  const name = nameOf(store, recipe.name)
  const current = store.files.get(keyOf(name) ?? '')
  const conditions = conditionsOf[recipe.condition]?.(
    current === undefined ? STALE : entityTag(current), current?.updatedAt ?? Date.now()
  ) ?? {}
  switch (kind) {
    case 'put': return { kind, name, bytes: bytesOf(store, current, recipe), type, conditions }
    case 'post': return { kind, name, folder: recipe.fill === 98 ? folderOf(name) : undefined, bytes: bytesOf(store, current, recipe), type }
    case 'get':
    case 'head':
    case 'metadata': return { kind, name }
    case 'delete': return { kind, name, conditions }
    case 'rename': return { kind, name, to: nameOf(store, recipe.to) }
    case 'make folder': return { kind, name: folderNameOf(store, { ...recipe.name, exists: false }) }
    case 'delete folder': return { kind, name: folderNameOf(store, recipe.name) }
    case 'delete tree': {
      // Rather one that is not empty.
      const full = new Set(Array.from(store.files.keys()).flatMap(parentsOf))
      return { kind, name: folderNameOf(full.size === 0 ? store : { ...store, folders: full }, recipe.name) }
    }
    case 'move folder': return { kind, name: folderNameOf(store, recipe.name), to: folderNameOf(store, recipe.to) }
  }
}

function requestOf (operation: Operation): Request {
  const name = encodeURIComponent(operation.name)
  const metadata = `/api/files/${name}`
  const folder = `/api/folders/${name}`
  const path = `/uploads/${name}`
  switch (operation.kind) {
    case 'put': return { method: 'PUT', path, body: operation.bytes, headers: { ...operation.conditions, ...(operation.type !== '' && { 'content-type': operation.type }) } }
    case 'post': return { method: 'POST', path: operation.folder === undefined ? '/' : `/?folder=${encodeURIComponent(operation.folder)}`, ...formOf(operation.name.replaceAll('"', '\\"'), operation.bytes, { type: operation.type }) }
    case 'get':
    case 'head': return { method: operation.kind.toUpperCase(), path }
    case 'metadata': return { method: 'GET', path: metadata }
    case 'delete': return { method: 'DELETE', path, headers: operation.conditions }
    case 'rename': return { method: 'PATCH', path: metadata, json: { name: operation.to } }
    case 'make folder': return { method: 'PUT', path: folder }
    case 'move folder': return { method: 'PATCH', path: folder, json: { name: operation.to } }
    case 'delete folder': return { method: 'DELETE', path: folder }
    case 'delete tree': return { method: 'DELETE', path: `${folder}?recursive=true` }
  }
}

function traceOperation (world: World, userIndex: UserIndex, operation: Operation): void {
  world.trace.push(`user ${userIndex}: ${JSON.stringify({ ...operation, ...('bytes' in operation && { bytes: `${operation.bytes.length} of ${operation.bytes[0]}` }) })}`)
}

async function perform (world: World, userIndex: UserIndex, operation: Operation): Promise<void> {
  traceOperation(world, userIndex, operation)
  const { store } = world.users[userIndex]
  const { answer, span } = await sendAs(world, userIndex, requestOf(operation))
  const context = { span, limits, url: world.server.url, usedBefore: usageOf(store) }
  change(world, userIndex, { store: nextState(store, operation, answer, context) })
}

/** The possible states after concurrent operations: the result of every order that explains all responses. */
function endsOf (
  store: State,
  done: { operation: Operation, answer: Answer, span: Span }[],
  circumstances: { url: string, usedBefore: Usage }
): State[] {
  if (done.length === 0) return [store]
  return done.flatMap((first, index) => {
    let next: State
    try {
      next = nextState(store, first.operation, first.answer, { ...circumstances, span: first.span, limits })
    } catch {
      return []
    }
    return endsOf(next, done.toSpliced(index, 1), circumstances)
  })
}

interface RaceRecipe { operations: OperationRecipe[], over: 'anything' | 'one file' | 'the first write' | 'one version' }

const raceConditions: Record<RaceRecipe['over'], Partial<OperationRecipe>> = {
  anything: {},
  'one file': {},
  'the first write': { kind: 'put', condition: 'no version' },
  'one version': { kind: 'put', condition: 'same version' }
}

async function race (world: World, userIndex: UserIndex, { operations: recipes, over }: RaceRecipe): Promise<void> {
  const { store } = world.users[userIndex]
  const { name } = recipes[0] as OperationRecipe
  const operations = recipes.map(recipe => operationOf(store, { ...recipe, ...raceConditions[over], ...(over !== 'anything' && { name }) }))
  for (const operation of operations) traceOperation(world, userIndex, operation)
  const done = await Promise.all(
    operations.map(async operation => ({ operation, ...await sendAs(world, userIndex, requestOf(operation)) }))
  )
  const brought = operations.flatMap(operation => 'bytes' in operation ? [operation.bytes.length] : [])
  const { bytes, files } = usageOf(store)
  // With every folder that may be made.
  const parents = operations.flatMap(operation => [operation.name, 'to' in operation ? operation.to : ''].flatMap(parentsOf))
  const usedBefore = {
    bytes: bytes + brought.reduce((sum, size) => sum + size, 0), files: files + brought.length + parents.length
  }
  const ends = endsOf(store, done, { url: world.server.url, usedBefore })
  const outcomes = done.map(({ operation, answer }) => `${operation.kind} ${answer.status}`).join(', ')
  if (ends.length === 0) throw new Error(`no order of these explains their responses: ${outcomes}`)
  const found = await readStore(world, userIndex)
  const possible = ends.filter(state => isDeepStrictEqual(contentsOf(state, world), found))
  const isCertain = new Set(possible.map(state => namesByAge(state).join('/'))).size < 2
  const names = isCertain ? [] : await readNamesByAge(world, userIndex)
  const end = possible.find(state => isCertain || isDeepStrictEqual(namesByAge(state), names))
  if (end === undefined) throw new Error(`after ${outcomes} no order explains what is stored: ${JSON.stringify(found.metadata)}`)
  await expectBytes(
    world, userIndex, Array.from(end.files.values()).filter(file => store.files.get(file.name) !== file)
  )
  change(world, userIndex, { store: end })
}

function namesByAge ({ files }: State): string[] {
  return Array.from(files.values()).sort((a, b) => a.serial - b.serial).map(({ name }) => name)
}

/**
 * Names in the order in which the server created the files of a race. The order decides between files of the same size;
 * of a file that is alone in its folder, no listing shows it before it moves.
 */
async function readNamesByAge ({ server, users }: World, userIndex: UserIndex): Promise<string[]> {
  const path = "coalesce(folders.path || '/', '') || files.name"
  const rows = await runSql(server.dataDir, `SELECT ${path} AS name FROM files LEFT JOIN folders ON folders.id = folder_id
    WHERE files.owner_id = ${users[userIndex].id} ORDER BY files.id`)
  return rows.map(({ name }) => String(name))
}

/**
 * A user's files and folders as the listings show them. `bySize`, folder by folder, shows the order of creation of
 * files with the same size.
 */
interface Contents { metadata: { name: string, updatedAt: string }[], folders: string[], bySize: string[][] }

const byCodeUnits = (a: { name: string }, b: { name: string }) => a.name < b.name ? -1 : 1

function contentsOf ({ files, folders: all }: State, { server }: World): Contents {
  const folders = Array.from(all).sort()
  return {
    metadata: Array.from(files.values(), file => metadataOf(file, server)).sort(byCodeUnits),
    folders,
    bySize: ['', ...folders].map(folder => listed(files, 'smallest', { folder }).map(({ name }) => name))
  }
}

async function readStore (world: World, userIndex: UserIndex): Promise<Contents> {
  const read = async (path: string) => (await get(world, userIndex, path)).json
  const folders = await readFolders(read, '')
  const bySize = await Promise.all(['', ...folders.sort()].map(async folder => (await read(`/api/files?order=smallest&folder=${encodeURIComponent(folder)}`)).files))
  return {
    metadata: (await read('/api/files')).files.map(withoutIds).sort(byCodeUnits),
    folders,
    bySize: bySize.map(files => files.map(({ name }: { name: string }) => name))
  }
}

/** All folders in a folder and below. */
async function readFolders (read: (path: string) => Promise<any>, folder: string): Promise<string[]> {
  const { folders } = await read(`/api/folders?folder=${encodeURIComponent(folder)}`)
  const names = folders.map(({ name }: { name: string }) => name) as string[]
  return (await Promise.all(names.map(async name => [name, ...await readFolders(read, name)]))).flat()
}

async function expectBytes (world: World, userIndex: UserIndex, files: StoredFile[]): Promise<void> {
  for (const { name, bytes } of files) {
    expect(`the bytes of ${name}`, (await get(world, userIndex, `/uploads/${encodeURIComponent(name)}`)).bytes.toString('latin1'), bytes.toString('latin1'))
  }
}

interface WalkRecipe {
  order: FileOrder
  limit: number
  prefix: string | NameRecipe | null
  /** Null for none: by name all files, else those in the root. */
  folder: NameRecipe | null
  changes: OperationRecipe[]
  pick: number
}

/**
 * Reads a listing page by page, with changes in between: unchanged files are listed once, none twice, and all in order.
 */
async function walk (
  world: World, userIndex: UserIndex, { order, limit, prefix: beginning, folder: place, changes, pick }: WalkRecipe
): Promise<void> {
  const before = world.users[userIndex].store
  const prefix = typeof beginning === 'object' && beginning !== null ? String.fromCodePoint(Number(lastOf(nameOf(before, beginning)).codePointAt(0))) : beginning
  const folder = place === null ? undefined : folderNameOf(before, place)
  world.trace.push(`user ${userIndex} lists ${order} by ${limit}, prefix ${JSON.stringify(prefix)}, folder ${folder}`)
  const chosen = { ...(prefix !== null && { prefix }), ...(folder !== undefined && { folder }) }
  const query = new URLSearchParams({ order, limit: String(limit), ...chosen })
  const seen: number[] = []
  const left = [...changes]
  for (let path: string | undefined = `/api/files?${query}`; path !== undefined;) {
    const answer: Answer = await get(world, userIndex, path)
    if (prefix !== null && !order.endsWith('name')) return expectAnswer(answer, 400, 'validation_failed')
    if (folder !== undefined && !before.folders.has(folder.normalize('NFC'))) return expectAnswer(answer, 404, 'not_found')
    expectAnswer(answer, 200)
    for (const metadata of answer.json.files) {
      expect('whether it begins so', lastOf(metadata.name).startsWith((prefix ?? '').normalize('NFC')), true)
      seen.push(identify(world, userIndex, metadata))
    }
    path = nextPage(answer, query, pick, world)
    const change = left.shift()
    if (path !== undefined && change !== undefined) await comeOrGo(world, userIndex, change)
  }
  const { files } = world.users[userIndex].store
  const serials = new Set(Array.from(before.files.values(), ({ serial }) => serial))
  const isAll = folder === undefined && prefix === null && order.endsWith('name')
  const places = isAll ? foldersSeen(Array.from(files.values()), seen) : [folder?.normalize('NFC') ?? '']
  const stayed = places.flatMap(folder => listed(files, order, { folder, prefix: prefix ?? '' }))
    .map(({ serial }) => serial).filter(serial => serials.has(serial))
  expect('the list of those who stayed', seen.filter(serial => stayed.includes(serial)), stayed)
  expect('how often each is seen', seen.length, new Set(seen).size)
}

/** The folders of all files, first the root, then those in which files were seen, in this order. */
function foldersSeen (files: StoredFile[], seen: number[]): string[] {
  const ofSeen = seen.flatMap(serial => files.filter(file => file.serial === serial))
  return Array.from(new Set(['', ...[...ofSeen, ...files].map(({ name }) => folderOf(name))]))
}

function identify (world: World, userIndex: UserIndex, metadata: { name: string }): number {
  const file = world.users[userIndex].store.files.get(metadata.name)
  if (file === undefined) throw new Error(`${metadata.name} is listed but missing`)
  expect('the listed file', withoutIds(metadata), metadataOf(file, world.server))
  return file.serial
}

function nextPage (
  { json: { next }, headers: { link } }: Answer, query: URLSearchParams, pick: number, { server }: World
): string | undefined {
  expect('a link to the next page', link !== undefined, next !== null)
  if (next === null) return undefined
  return pick % 2 === 0 ? `/api/files?${new URLSearchParams([...query, ['cursor', next]])}` : String(link).slice(1 + server.url.length, String(link).indexOf('>'))
}

/** Adds a file that does not exist, or deletes one that does. */
async function comeOrGo (world: World, userIndex: UserIndex, recipe: OperationRecipe): Promise<void> {
  const { store } = world.users[userIndex]
  const name = nameOf(store, recipe.name)
  const exists = store.files.has(keyOf(name) ?? '')
  await perform(world, userIndex, exists ? { kind: 'delete', name, conditions: {} } : { kind: 'put', name, bytes: Buffer.alloc(1), type: '', conditions: {} })
}

async function readAccount (world: World, userIndex: UserIndex): Promise<void> {
  const { store } = world.users[userIndex]
  const { usage } = (await get(world, userIndex, '/api/account')).json
  expect('the usage', usage, { bytes: usageOf(store).bytes, files: store.files.size, folders: store.folders.size, keptBytes: 0, uploadBytes: 0, quotaBytes: limits.quotaBytes, quotaFiles: limits.quotaFiles })
}

const userIndex = fc.constantFrom<UserIndex>(0, 1)
const pick = fc.nat(999)
const anyName = fc.record({ exists: fc.constantFrom(true, true, false), isDecomposed: fc.boolean(), pick })
const anyCondition = fc.oneof({ weight: 2, arbitrary: fc.constant('none') }, { weight: 1, arbitrary: fc.constantFrom(...Object.keys(conditionsOf)) })
const operationRecipe = (kinds: Operation['kind'][]): fc.Arbitrary<OperationRecipe> => fc.record({
  kind: fc.constantFrom(...kinds),
  name: anyName,
  to: anyName,
  size: fc.constantFrom<OperationRecipe['size']>(0, 1, 1, 2, 10, 10, 100, 300, 600, 800, 'same', 'same', 'same', 'rest', 'rest', 'one more', 'one more', 'limit', 'above'),
  fill: fc.constantFrom(97, 98),
  type: fc.constantFrom(...types),
  condition: anyCondition
})
const walkRecipe: fc.Arbitrary<WalkRecipe> = fc.record({ order: fc.constantFrom(...orders, 'name' as const, '-name' as const, 'name' as const, '-name' as const), limit: fc.constantFrom(1, 2, 3, 1000), prefix: fc.option(fc.oneof(fc.constantFrom(...prefixes), anyName), { freq: 2 }), folder: fc.option(anyName, { freq: 1 }), changes: fc.array(operationRecipe(['put']), { maxLength: 3 }), pick })
const anyKind: Operation['kind'][] = [
  ...Array.from({ length: 6 }, () => 'put' as const), 'post', 'post', 'post', 'get', 'get', 'get', 'head', 'metadata', 'delete', 'delete', 'delete', 'rename', 'rename',
  ...Array.from({ length: 2 }, () => ['make folder', 'move folder', 'move folder', 'delete tree'] as const).flat(), 'delete folder'
]

type Step = fc.AsyncCommand<World, object>

/** A step that is always possible: it chooses from the current state what its recipe leaves open. */
function step<Recipe> (
  weight: number,
  name: string,
  recipe: fc.Arbitrary<Recipe>,
  run: (world: World, userIndex: UserIndex, recipe: Recipe) => Promise<void>
): { weight: number, arbitrary: fc.Arbitrary<Step> } {
  const command = (by: UserIndex, drawn: Recipe): Step => ({
    check: () => true,
    async run (world) {
      counts.steps++
      try {
        await run(world, by, drawn)
      } catch (cause) {
        throw new Error(`${name} of user ${by}: ${(cause as Error).message}\nafter\n${world.trace.slice(-30).join('\n')}`, { cause })
      }
    },
    toString: () => `${name}(${by}, ${JSON.stringify(drawn)})`
  })
  return { weight, arbitrary: fc.tuple(userIndex, recipe).map(([by, drawn]) => command(by, drawn)) }
}

const steps = fc.commands([fc.oneof(
  step(300, 'operate', operationRecipe(anyKind), (world, by, recipe) => perform(world, by, operationOf(world.users[by].store, recipe))),
  step(60, 'race', fc.record({ operations: fc.array(operationRecipe(['put', 'put', 'put', 'post', 'get', 'delete', 'delete', 'rename', 'move folder', 'make folder']), { minLength: 2, maxLength: 3 }), over: fc.constantFrom(...Object.keys(raceConditions) as RaceRecipe['over'][]) }), race),
  step(40, 'walk', walkRecipe, walk),
  step(25, 'read the account', fc.constant(null), readAccount),
  step(1, 'restart', pick, async world => { world.server = await world.restart(); counts.restarts++ })
)], { maxCommands: 200, size: 'max' })

/** Checks everything that the API returns for both users at the end. */
async function audit (world: World): Promise<void> {
  for (const by of [0, 1] as const) {
    await readAccount(world, by)
    const all = { limit: 2, prefix: null, folder: null, changes: [], pick: 0 }
    for (const order of orders) await walk(world, by, { ...all, order })
    const { store } = world.users[by]
    expect('what is stored', await readStore(world, by), contentsOf(store, world))
    await expectBytes(world, by, Array.from(store.files.values()))
  }
}

async function register (world: World, userIndex: UserIndex, username: string): Promise<void> {
  const { id, token } = await signUp(world.server, username)
  world.users[userIndex] = { id, token, store: { files: new Map(), folders: new Set(), serial: 0 } }
}

test('whatever two users do, alone and at once, the store does what a simple model of it says', async t => {
  const all = { ...settings, DATA_DIR: t.testdir() }
  let server = await startServer(t, all)
  const restart = async () => { await server.close(); server = await startServer(t, all); return server }
  const property = fc.asyncProperty(steps, async drawn => {
    const world: World = { server, users: [undefined, undefined] as unknown as [User, User], restart, trace: [] }
    const number = ++counts.sequences
    await Promise.all([register(world, 0, `ann ${number}`), register(world, 1, `bob ${number}`)])
    await fc.asyncModelRun(() => ({ model: world, real: {} }), drawn)
    await audit(world)
  })
  for (let round = 0; counts.steps < sizes.modelSteps; round++) {
    await fc.assert(
      property,
      { seed: (SEED + round * ROUND_SEEDS) % 2 ** 31, numRuns: 2, interruptAfterTimeLimit: SHRINKING_MILLISECONDS }
    )
  }
  t.comment(`${counts.steps} steps in ${counts.sequences} sequences, ${counts.restarts} restarts`)
})
