import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { test, type Test } from 'tap'
import { sizes } from '../kit/sizes.ts'
import { sha256Of } from '../kit/digests.ts'
import { DAY } from '../kit/durations.ts'
import { formOf, signUp, startServer, type Answer, type RunningServer, type SendOptions } from '../kit/server.ts'
import { runSql } from '../kit/stores.ts'
import { folderOf, lastOf, parentsOf } from './model-folders.ts'
import { bytesOfKept, matchListed, trashOf, versionsOf, type Listed, type ListedKept } from './model-kept.ts'
import { allScopes, entityTag, expect, nextStates, metadataOf, validityOf, judgeToken, keyOf, listed, usageOf, type Operation, type FileOrder, type IssuedToken, type Limits, type User, type Scope, type Span, type State, type StoredFile, type Usage } from './model.ts'

const seed = Number(process.env.MODEL_SEED ?? randomInt(2 ** 31))
const wantedSteps = sizes.modelSteps

/** Time limit for reducing a failure to the fewest steps; the two sequences of a round take a few seconds. */
const SHRINKING_MILLISECONDS = 90_000

/** Large enough that neighbouring seeds give different rounds. */
const ROUND_SEEDS = 1_000_003

/** A token is watched until it expires, if that happens within this time. */
const WATCHED_MILLISECONDS = 300

const KEEP_DAYS = 7
const keptMilliseconds = KEEP_DAYS * DAY

/** So little that what is kept often has to give way, to a write or to a newer version. */
const limits: Limits = { maxFileBytes: 1000, quotaBytes: 1500, quotaFiles: 9, keptVersions: 2 }
const settings = {
  KEEP_DAYS: String(KEEP_DAYS),
  KEEP_VERSIONS: String(limits.keptVersions),
  MAX_FILE_BYTES: String(limits.maxFileBytes),
  QUOTA_BYTES: String(limits.quotaBytes),
  QUOTA_FILES: String(limits.quotaFiles),
  RATE_LIMIT_PER_MINUTE: '0',
  REGISTRATIONS_PER_HOUR: '0',
  SIGN_IN_FAILURES: '1000000',
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
  readonly tokenSeconds: number
  readonly restart: () => Promise<RunningServer>
  /** The steps so far, one per line, to explain a failure. */
  readonly trace: string[]
}

type UserIndex = 0 | 1

interface Request extends SendOptions { method: string, path: string }

const counts = { steps: 0, requests: 0, restarts: 0, sequences: 0 }

/** Number of responses by kind of operation and status. */
const seen = new Map<string, number>()

async function send (world: World, { method, path, ...options }: Request): Promise<{ answer: Answer, span: Span }> {
  counts.requests++
  const from = Date.now()
  const answer = await world.server.send(method, path, options)
  return { answer, span: { from, to: Date.now() } }
}

function change (world: World, userIndex: UserIndex, changes: Partial<User>): void {
  world.users[userIndex] = { ...world.users[userIndex], ...changes }
}

const schemes: ((token: string) => string)[] = [token => `Bearer ${token}`, token => `Token ${token}`, token => `Basic ${Buffer.from(`${token}:unused`).toString('base64')}`]

interface Credential { by: 'session' | 'token' | 'password' | 'nothing', pick: number }

const session: Credential = { by: 'session', pick: 0 }

/** A valid access token with every scope and some lifetime left; signs in if there is none. */
async function openSession (world: World, userIndex: UserIndex): Promise<IssuedToken> {
  const soon = { from: Date.now(), to: Date.now() + world.tokenSeconds * 500 }
  const live = world.users[userIndex].tokens.findLast(token => token.kind === 'access' && token.scopes.length === allScopes.length && validityOf(token, soon) === 'yes')
  return live ?? signIn(world, userIndex)
}

/** One of all tokens the user ever had; half of the time a personal one. */
function tokenOf (tokens: readonly IssuedToken[], pick: number): IssuedToken | undefined {
  const personal = tokens.filter(({ kind }) => kind === 'personal')
  const choice = pick % 2 === 0 && personal.length > 0 ? personal : tokens
  return choice[(pick >> 1) % choice.length]
}

async function signIn (world: World, userIndex: UserIndex): Promise<IssuedToken> {
  const { answer, span } = await send(world, { method: 'GET', path: '/api/token', user: world.users[userIndex].user })
  expect('the status of a sign-in', answer.status, 200)
  return issued(world, userIndex, { secret: answer.json.token, kind: 'access', name: null, scopes: allScopes, parent: undefined, expires: later(span, world.tokenSeconds), isRevoked: false })
}

function issued (world: World, userIndex: UserIndex, token: IssuedToken): IssuedToken {
  change(world, userIndex, { tokens: [...world.users[userIndex].tokens, token] })
  return token
}

const later = ({ from, to }: Span, seconds: number): Span => ({ from: from + seconds * 1000, to: to + seconds * 1000 })

/** Sends a request with a credential; undefined if it was refused as it should or could be. */
async function sendAs (
  world: World, userIndex: UserIndex, { by, pick }: Credential, { need, ...request }: Request & { need?: Scope }
): Promise<{ answer: Answer, span: Span } | undefined> {
  const { tokens, user } = world.users[userIndex]
  if (by === 'password') return send(world, { ...request, user })
  if (by === 'nothing') {
    const { answer } = await send(world, request)
    expectRefusal(answer, request.method, [[401, 'credentials_missing']])
    return undefined
  }
  const token = (by === 'token' ? tokenOf(tokens, pick) : undefined) ?? await openSession(world, userIndex)
  return sendWithToken(world, token, pick, { need, ...request })
}

async function sendWithToken (
  world: World, token: IssuedToken, pick: number, { need, ...request }: Request & { need?: Scope | undefined }
): Promise<{ answer: Answer, span: Span } | undefined> {
  const authorization = (schemes[pick % schemes.length] as typeof schemes[0])(token.secret)
  const { answer, span } = await send(world, { ...request, headers: { ...request.headers, authorization } })
  const { refusals, mayPass } = judgeToken(token, need, span)
  const isRefused = isOneOf(answer, request.method, refusals)
  if (!isRefused && !mayPass) expectRefusal(answer, request.method, refusals)
  return isRefused ? undefined : { answer, span }
}

function isOneOf (answer: Answer, method: string, refusals: [status: number, code: string][]): boolean {
  return refusals.some(([status, code]) => answer.status === status && (method === 'HEAD' || answer.json.code === code))
}

function expectRefusal (answer: Answer, method: string, refusals: [status: number, code: string][]): void {
  if (!isOneOf(answer, method, refusals)) throw new Error(`answered ${answer.status} ${answer.text}, expected ${refusals.map(refusal => refusal.join(' ')).join(' or ')}`)
}

function expectAnswer (answer: Answer, status: number, code?: string): void {
  expect('the answer', [answer.status, answer.status < 400 ? undefined : answer.json.code], [status, code])
}

interface NameRecipe { exists: boolean, isDecomposed: boolean, pick: number }
interface OperationRecipe { kind: Operation['kind'], name: NameRecipe, to: NameRecipe, kept: NameRecipe, isPermanent: boolean, size: number | 'same' | 'rest' | 'one more' | 'limit' | 'above', fill: number, type: string, condition: string, range: { first: number | null, last: number | null } | null }

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

const NO_ID = '0'.repeat(32)

/** The id of one of these contents, or of one that is none of them. */
function idOf ({ kept }: State, among: readonly { id: string | undefined }[], { exists, pick }: NameRecipe): string {
  const choice = exists && among.length > 0 ? among : kept
  return choice[pick % choice.length]?.id ?? NO_ID
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
  'unmodified since before': (_tag, at) => ({ 'if-unmodified-since': new Date(at - 1000).toUTCString() }),
  'modified since': (_tag, at) => ({ 'if-modified-since': new Date(at).toUTCString() }),
  'modified since before': (_tag, at) => ({ 'if-modified-since': new Date(at - 1000).toUTCString() }),
  'range of this version': tag => ({ 'if-range': tag }),
  'range of a stale version': () => ({ 'if-range': STALE })
}

/** Where nothing is kept, most operations on what is kept make something that is; so it is with folders. */
function kindOf ({ kind, kept: { exists } }: OperationRecipe, store: State, versioned: StoredFile[]): Operation['kind'] {
  const trash = trashOf(store)
  if (!exists) return kind
  if (kind.endsWith('version')) return versioned.length === 0 ? 'put' : kind
  if (kind === 'restore file' || kind === 'delete from trash') return trash.length === 0 ? 'delete' : kind
  if (kind === 'restore deletion') return trash.some(({ deletedWith }) => deletedWith !== null) ? kind : 'delete tree'
  return kind.endsWith('folder') && store.folders.size === 0 ? 'make folder' : kind
}

function operationOf (store: State, recipe: OperationRecipe): Operation {
  const { type, range: bounds } = recipe
  const versioned = Array.from(store.files.values()).filter(file => versionsOf(store, file).length > 0)
  const kind = kindOf(recipe, store, versioned)
  const isOfVersion = kind.endsWith('version') && recipe.name.exists && versioned.length > 0
  const name = isOfVersion ? String(versioned[recipe.name.pick % versioned.length]?.name) : nameOf(store, recipe.name)
  const current = store.files.get(keyOf(name) ?? '')
  const versions = current === undefined ? [] : versionsOf(store, current)
  const id = idOf(store, kind.endsWith('version') || kind === 'get' || kind === 'head' ? versions : trashOf(store), recipe.kept)
  const conditions = conditionsOf[recipe.condition]?.(
    current === undefined ? STALE : entityTag(current), current?.updatedAt ?? Date.now()
  ) ?? {}
  switch (kind) {
    case 'put': return { kind, name, bytes: bytesOf(store, current, recipe), type, conditions }
    case 'post': return { kind, name, folder: recipe.fill === 98 ? folderOf(name) : undefined, bytes: bytesOf(store, current, recipe), type }
    case 'get':
    case 'head': return { kind, name, version: versions.length > 0 && recipe.kept.pick % 3 > 0 ? id : undefined, conditions, range: bounds === null ? undefined : `bytes=${bounds.first ?? ''}-${bounds.last ?? (bounds.first === null ? 3 : '')}` }
    case 'metadata': return { kind, name }
    case 'delete': return { kind, name, conditions, isPermanent: recipe.isPermanent }
    case 'rename': return { kind, name, to: nameOf(store, recipe.to) }
    case 'restore version': return { kind, name, id, conditions }
    case 'delete version': return { kind, name, id }
    case 'restore file': return { kind, id, to: recipe.isPermanent ? undefined : nameOf(store, recipe.to) }
    case 'delete from trash': return { kind, id }
    case 'empty trash': return { kind }
    case 'make folder':
    case 'delete folder': return { kind, name: folderNameOf(store, { ...recipe.name, exists: recipe.name.exists && kind === 'delete folder' }) }
    case 'delete tree': {
      // Rather one that is not empty.
      const full = new Set(Array.from(store.files.keys()).flatMap(parentsOf))
      const folderName = folderNameOf(full.size === 0 ? store : { ...store, folders: full }, recipe.name)
      return { kind, name: folderName, isPermanent: recipe.isPermanent && recipe.fill === 98 }
    }
    case 'move folder': return { kind, name: folderNameOf(store, recipe.name), to: folderNameOf(store, { ...recipe.to, exists: recipe.to.exists && recipe.isPermanent }) }
    case 'restore deletion': return { kind, id: deletionOf(store, recipe.kept.pick) }
  }
}

/** The id of a deletion of a folder, or one that is none. */
function deletionOf (store: State, pick: number): string {
  const ids = trashOf(store).flatMap(({ deletedWith }) => deletedWith ?? [])
  return ids[pick % ids.length] ?? NO_ID
}

function requestOf (operation: Operation): Request & { need: Scope } {
  const name = encodeURIComponent('name' in operation ? operation.name : '')
  const metadata = `/api/files/${name}`
  const folder = `/api/folders/${name}`
  const query = operation.kind === 'delete' && operation.isPermanent ? '?permanent=true' : 'version' in operation && operation.version !== undefined ? `?version=${operation.version}` : ''
  const bytes = `/uploads/${name}${query}`
  switch (operation.kind) {
    case 'put': return { need: 'files:write', method: 'PUT', path: bytes, body: operation.bytes, headers: { ...operation.conditions, ...(operation.type !== '' && { 'content-type': operation.type }) } }
    case 'post': return { need: 'files:write', method: 'POST', path: operation.folder === undefined ? '/' : `/?folder=${encodeURIComponent(operation.folder)}`, ...formOf(operation.name.replaceAll('"', '\\"'), operation.bytes, { type: operation.type }) }
    case 'get': return { need: 'files:read', method: 'GET', path: bytes, headers: { ...operation.conditions, ...(operation.range !== undefined && { range: operation.range }) } }
    case 'head': return { need: 'files:read', method: 'HEAD', path: bytes, headers: { ...operation.conditions, ...(operation.range !== undefined && { range: operation.range }) } }
    case 'metadata': return { need: 'files:read', method: 'GET', path: metadata }
    case 'delete': return { need: 'files:write', method: 'DELETE', path: bytes, headers: operation.conditions }
    case 'rename': return { need: 'files:write', method: 'PATCH', path: metadata, json: { name: operation.to } }
    case 'restore version': return { need: 'files:write', method: 'POST', path: `${metadata}/versions/${operation.id}/restore`, headers: operation.conditions }
    case 'delete version': return { need: 'files:write', method: 'DELETE', path: `${metadata}/versions/${operation.id}` }
    case 'restore file': return { need: 'files:write', method: 'POST', path: `/api/trash/${operation.id}/restore`, ...(operation.to !== undefined && { json: { name: operation.to } }) }
    case 'delete from trash': return { need: 'files:write', method: 'DELETE', path: `/api/trash/${operation.id}` }
    case 'empty trash': return { need: 'files:write', method: 'DELETE', path: '/api/trash' }
    case 'make folder': return { need: 'files:write', method: 'PUT', path: folder }
    case 'move folder': return { need: 'files:write', method: 'PATCH', path: folder, json: { name: operation.to } }
    case 'delete folder': return { need: 'files:write', method: 'DELETE', path: folder }
    case 'delete tree': return { need: 'files:write', method: 'DELETE', path: `${folder}?recursive=true${operation.isPermanent ? '&permanent=true' : ''}` }
    case 'restore deletion': return { need: 'files:write', method: 'POST', path: '/api/trash/restore', json: { deletedWith: operation.id } }
  }
}

function traceOperation (world: World, userIndex: UserIndex, operation: Operation): void {
  world.trace.push(`user ${userIndex}: ${JSON.stringify({ ...operation, ...('bytes' in operation && { bytes: `${operation.bytes.length} of ${operation.bytes[0]}` }) })}`)
}

function note (operation: Operation, answer: Answer): void {
  const key = `${operation.kind} ${answer.status}${operation.kind !== 'head' && answer.status >= 400 ? ` ${answer.json.code}` : ''}`
  seen.set(key, (seen.get(key) ?? 0) + 1)
}

async function perform (
  world: World, userIndex: UserIndex, operation: Operation, credential: Credential
): Promise<void> {
  traceOperation(world, userIndex, operation)
  const { store } = world.users[userIndex]
  const passed = await sendAs(world, userIndex, credential, requestOf(operation))
  if (passed === undefined) return
  note(operation, passed.answer)
  const dates = operation.kind === 'restore deletion' ? await readDates(world, userIndex) : new Map<string, number>()
  const ends = nextStates(store, operation, passed.answer, {
    span: passed.span, limits, url: world.server.url, usedBefore: usageOf(store), dates
  })
  change(world, userIndex, { store: await matchingState(world, userIndex, ends) })
}

async function readDates (world: World, userIndex: UserIndex): Promise<Map<string, number>> {
  const { metadata } = await readStore(world, userIndex)
  return new Map(metadata.map(({ name, updatedAt }) => [name, Date.parse(updatedAt)]))
}

/**
 * The one of some states that the server has, with the ids of all that is kept. Reads only if an id is not known or
 * there are several.
 */
async function matchingState (world: World, userIndex: UserIndex, ends: State[]): Promise<State> {
  const [only, ...others] = ends
  if (only !== undefined && others.length === 0 && only.kept.every(({ id }) => id !== undefined)) return only
  const names = new Set(ends.flatMap(({ files }) => Array.from(files.keys())))
  const listed = await readKept(world, userIndex, Array.from(names))
  const found = ends.map(state => matchListed(state, listed, keptMilliseconds)).find(state => state !== undefined)
  if (found === undefined) throw new Error(`what is kept is ${JSON.stringify([...listed.versions, listed.trash])}, expected ${JSON.stringify(ends.map(keptAsListed))}`)
  return found
}

/** What a state keeps, to explain a failure. */
function keptAsListed ({ kept }: State): unknown {
  return kept.map(({ id, serial, name, bytes, keptAt }) =>
    ({ id, serial, name, size: bytes.length, sha256: sha256Of(bytes), keptAt }))
}

/** The versions of these files, and the trash. */
async function readKept (world: World, userIndex: UserIndex, names: string[]): Promise<ListedKept> {
  const token = (await openSession(world, userIndex)).secret
  const versions = await Promise.all(names.map(async (name): Promise<[string, Listed[]]> => {
    const { answer } = await send(world, { method: 'GET', path: `/api/files/${encodeURIComponent(name)}/versions`, token })
    return [name, answer.status === 404 ? [] : answer.json.versions]
  }))
  return { versions: new Map(versions), trash: (await send(world, { method: 'GET', path: '/api/trash', token })).answer.json.files }
}

/** The possible states after concurrent operations: the result of every order that explains all responses. */
function endsOf (
  store: State,
  done: { operation: Operation, answer: Answer, span: Span }[],
  circumstances: { url: string, usedBefore: Usage }
): State[] {
  if (done.length === 0) return [store]
  return done.flatMap((first, index) => {
    let next: State[]
    try {
      next = nextStates(store, first.operation, first.answer, { ...circumstances, span: first.span, limits })
    } catch {
      return []
    }
    return next.flatMap(state => endsOf(state, done.toSpliced(index, 1), circumstances))
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
  await openSession(world, userIndex)
  const done = await Promise.all(
    operations.map(async operation => ({ operation, ...await sendAs(world, userIndex, session, requestOf(operation)) }))
  )
  const passed = done.filter((each): each is { operation: Operation, answer: Answer, span: Span } => 'answer' in each)
  const brought = operations.flatMap(operation => 'bytes' in operation ? [operation.bytes.length] : [])
  const { bytes, files } = usageOf(store)
  // With every folder that may be made.
  const parents = operations.flatMap(operation => ['name' in operation ? operation.name : '', 'to' in operation ? String(operation.to) : ''].flatMap(parentsOf))
  const usedBefore = {
    bytes: bytes + brought.reduce((sum, size) => sum + size, 0), files: files + brought.length + parents.length
  }
  for (const { operation, answer } of passed) note(operation, answer)
  const ends = endsOf(store, passed, { url: world.server.url, usedBefore })
  const outcomes = passed.map(({ operation, answer }) => `${operation.kind} ${answer.status}`).join(', ')
  if (ends.length === 0) throw new Error(`no order of these explains their responses: ${outcomes}`)
  const found = await readStore(world, userIndex)
  const listed = await readKept(world, userIndex, found.metadata.map(({ name }) => name))
  const possible = ends.filter(state => isDeepStrictEqual(contentsOf(state, world), found))
    .flatMap(state => matchListed(state, listed, keptMilliseconds) ?? [])
  const isCertain = new Set(possible.map(state => namesByAge(state).join('/'))).size < 2
  const names = isCertain ? [] : await readNamesByAge(world, userIndex)
  const end = possible.find(state => isCertain || isDeepStrictEqual(namesByAge(state), names))
  if (end === undefined) throw new Error(`after ${outcomes} no order explains what is stored: ${JSON.stringify([found.metadata, ...listed.versions, listed.trash])}`)
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
  const token = (await openSession(world, userIndex)).secret
  const read = async (path: string) => (await send(world, { method: 'GET', path, token })).answer.json
  const folders = await readFolders(read, '')
  const bySize = await Promise.all(['', ...folders.sort()].map(async folder => (await read(`/api/files?order=smallest&folder=${encodeURIComponent(folder)}`)).files))
  return {
    metadata: (await read('/api/files')).files.sort(byCodeUnits),
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
    const { answer } = await send(world, { method: 'GET', path: `/uploads/${encodeURIComponent(name)}`, token: (await openSession(world, userIndex)).secret })
    expect(`the bytes of ${name}`, answer.bytes.toString('latin1'), bytes.toString('latin1'))
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
    const { answer } = await send(world, { method: 'GET', path, token: (await openSession(world, userIndex)).secret })
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
  expect('the listed file', metadata, metadataOf(file, world.server))
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
  await perform(world, userIndex, exists ? { kind: 'delete', name, conditions: {}, isPermanent: recipe.isPermanent } : { kind: 'put', name, bytes: Buffer.alloc(1), type: '', conditions: {} }, session)
}

/** Reads the trash, or the versions of a file, page by page, newest first; a cursor is valid for this listing alone. */
async function walkKept (
  world: World, userIndex: UserIndex, { limit, pick }: { limit: number, pick: number }
): Promise<void> {
  const { store } = world.users[userIndex]
  const files = Array.from(store.files.values())
  const listing = (file: StoredFile | undefined) => file === undefined ? '/api/trash' : `/api/files/${encodeURIComponent(file.name)}/versions`
  const [file, other] = [0, 1].map(offset => files[(pick + offset) % (files.length + 1)])
  const token = (await openSession(world, userIndex)).secret
  const ids: string[] = []
  for (let path: string | undefined = `${listing(file)}?limit=${limit}`; path !== undefined;) {
    const { answer } = await send(world, { method: 'GET', path, token })
    expectAnswer(answer, 200)
    const { files, versions, next } = answer.json
    ids.push(...(files ?? versions).map(({ id }: Listed) => id))
    expect('a link to the next page', answer.headers.link !== undefined, next !== null)
    path = next === null ? undefined : `${listing(file)}?limit=${limit}&cursor=${next}`
    if (next === null || file === other) continue
    expectAnswer((await send(world, { method: 'GET', path: `${listing(other)}?limit=${limit}&cursor=${next}`, token })).answer, 400, 'validation_failed')
  }
  expect('what is kept, newest first', ids, (file === undefined ? trashOf(store) : versionsOf(store, file)).map(({ id }) => id))
}

/** A cursor is valid only for the listing that returned it. */
async function misuseCursor (world: World, userIndex: UserIndex, { order, pick }: WalkRecipe): Promise<void> {
  const { answer } = await send(world, { method: 'GET', path: `/api/files?order=${order}&limit=1`, token: (await openSession(world, userIndex)).secret })
  const { next } = answer.json
  const { files } = world.users[userIndex].store
  expect('whether more follow', next !== null, (order.endsWith('name') ? files.size : listed(files, order, { folder: '' }).length) > 1)
  if (next === null) return
  const other = orders[(orders.indexOf(order) + 1 + pick % 5) % 6]
  const isOthers = pick % 3 === 0
  const by = isOthers ? 1 - userIndex as UserIndex : userIndex
  const path = `/api/files?order=${isOthers ? order : other}&limit=1&cursor=${next}`
  expectAnswer((await send(world, { method: 'GET', path, token: (await openSession(world, by)).secret })).answer, 400, 'validation_failed')
}

async function readAccount (world: World, userIndex: UserIndex, credential: Credential): Promise<void> {
  const passed = await sendAs(world, userIndex, credential, { method: 'GET', path: '/api/account' })
  if (passed === undefined) return
  const { id, user: [username], store } = world.users[userIndex]
  expectAnswer(passed.answer, 200)
  const { bytes } = usageOf(store)
  const [files, folders] = [store.files.size, store.folders.size]
  const { createdAt, ...account } = passed.answer.json
  expect('the account', account, { id, username, usage: { bytes, files, folders, keptBytes: bytesOfKept(store.kept), uploadBytes: 0, quotaBytes: limits.quotaBytes, quotaFiles: limits.quotaFiles } })
  expect('the public account', (await send(world, { method: 'GET', path: `/api/users/${id}` })).answer.json, { id, username, createdAt })
}

/** For resources of another user, the response equals that for missing ones, byte for byte. */
async function readOthers (world: World, userIndex: UserIndex, pick: number): Promise<void> {
  const [mine, theirs] = [world.users[userIndex].store, world.users[1 - userIndex as UserIndex].store]
  await readOthersKept(world, userIndex, { mine, theirs })
  const unseen = Array.from(theirs.files.keys()).filter(name => !mine.files.has(name))
  const name = unseen[pick % unseen.length]
  if (name === undefined) return
  const token = (await openSession(world, userIndex)).secret
  const requests = (address: string): Request[] => [
    ...['GET', 'HEAD', 'DELETE'].map(method => ({ method, path: `/uploads/${encodeURIComponent(address)}` })),
    { method: 'GET', path: `/api/files/${encodeURIComponent(address)}` },
    { method: 'PATCH', path: `/api/files/${encodeURIComponent(address)}`, json: { name: 'mine' } }
  ]
  const nowhere = requests('missing')
  for (const [index, request] of requests(name).entries()) {
    const [theirs, none] = await Promise.all(
      [request, nowhere[index] as Request].map(async each => (await send(world, { ...each, token })).answer)
    )
    expect('the answer for another user\'s file', imageOf(theirs as Answer), imageOf(none as Answer))
    expect('its status', theirs?.status, 404)
  }
}

/** So it is for the ids of what is kept. */
async function readOthersKept (
  world: World, userIndex: UserIndex, { mine, theirs }: { mine: State, theirs: State }
): Promise<void> {
  const id = theirs.kept.find(content => content.id !== undefined)?.id
  if (id === undefined) return
  const [name = 'missing'] = mine.files.keys()
  const token = (await openSession(world, userIndex)).secret
  const requests = (id: string): Request[] => [
    { method: 'GET', path: `/uploads/${encodeURIComponent(name)}?version=${id}` },
    { method: 'HEAD', path: `/uploads/${encodeURIComponent(name)}?version=${id}` },
    { method: 'POST', path: `/api/files/${encodeURIComponent(name)}/versions/${id}/restore` },
    { method: 'DELETE', path: `/api/files/${encodeURIComponent(name)}/versions/${id}` },
    { method: 'POST', path: `/api/trash/${id}/restore` },
    { method: 'DELETE', path: `/api/trash/${id}` }
  ]
  const nowhere = requests(NO_ID)
  for (const [index, request] of requests(id).entries()) {
    const [theirs, none] = await Promise.all(
      [request, nowhere[index] as Request].map(async each => (await send(world, { ...each, token })).answer)
    )
    expect(`the answer to ${request.method} for what another user keeps`, imageOf(theirs as Answer), imageOf(none as Answer))
    expect('its status', theirs?.status, 404)
  }
}

/** A response without its date and request id. */
function imageOf ({ status, rawHeaders, bytes }: Answer): unknown {
  return [status, rawHeaders.filter((_, index) => !/^(?:date|x-request-id)$/i.test(String(rawHeaders[index - index % 2]))), bytes.toString('latin1')]
}

async function registerTaken (world: World, userIndex: UserIndex): Promise<void> {
  const [username, password] = world.users[userIndex].user
  const { answer } = await send(world, { method: 'POST', path: '/api/users', json: { username: username.toUpperCase(), password } })
  expectAnswer(answer, 400, 'username_taken')
}

function markRevoked (world: World, userIndex: UserIndex, isMeant: (token: IssuedToken) => boolean): void {
  change(world, userIndex, {
    tokens: world.users[userIndex].tokens.map(token => ({ ...token, isRevoked: token.isRevoked || isMeant(token) }))
  })
}

async function changePassword (world: World, userIndex: UserIndex): Promise<void> {
  const { user } = world.users[userIndex]
  const password = `${user[1]}+`
  expectAnswer((await send(world, { method: 'PUT', path: '/api/account/password', user, json: { password } })).answer, 204)
  markRevoked(world, userIndex, () => true)
  change(world, userIndex, { user: [user[0], password] })
  expectAnswer((await send(world, { method: 'GET', path: '/api/resource', user })).answer, 401, 'credentials_wrong')
}

/** Deletes the account with everything it owns, and registers another one under the same name. */
async function deleteAccount (world: World, userIndex: UserIndex): Promise<void> {
  const { user, id } = world.users[userIndex]
  expectAnswer((await send(world, { method: 'DELETE', path: '/api/account', user })).answer, 204)
  markRevoked(world, userIndex, () => true)
  expectAnswer((await send(world, { method: 'GET', path: `/api/users/${id}` })).answer, 400, 'user_unknown')
  const { answer } = await send(world, { method: 'POST', path: '/api/users', json: { username: user[0], password: user[1] } })
  expectAnswer(answer, 201)
  if (world.users.some(user => user.id >= answer.json.id)) throw new Error(`the id ${answer.json.id} was used before`)
  const { serial } = world.users[userIndex].store
  change(world, userIndex, { id: answer.json.id, store: { files: new Map(), folders: new Set(), kept: [], serial } })
}

interface TokenRecipe { scopes: Scope[], lifeMilliseconds: number | null, pick: number }

async function makePersonalToken (
  world: World, userIndex: UserIndex, { scopes, lifeMilliseconds }: TokenRecipe
): Promise<void> {
  const end = lifeMilliseconds === null ? null : Date.now() + lifeMilliseconds
  const name = `token ${world.users[userIndex].tokens.length}`
  const { answer, span } = await send(world, { method: 'POST', path: '/api/tokens', user: world.users[userIndex].user, json: { name, scopes, expiresAt: end === null ? null : new Date(end).toISOString() } })
  if (end !== null && end <= span.to && answer.status === 400) return expectAnswer(answer, 400, 'validation_failed')
  expectAnswer(answer, 201)
  if (end !== null && end <= span.from) throw new Error('a token was created that had expired')
  expect('its scopes', answer.json.scopes, allScopes.filter(scope => scopes.includes(scope)))
  issued(world, userIndex, { secret: answer.json.token, kind: 'personal', name, scopes: answer.json.scopes, parent: undefined, expires: end === null ? null : { from: end, to: end }, isRevoked: false })
}

/** Uses a token to get an access token: allowed with a personal token, refused with an access token. */
async function exchangeToken (world: World, userIndex: UserIndex, credential: Credential): Promise<void> {
  const token = tokenOf(world.users[userIndex].tokens, credential.pick)
  if (token === undefined) return
  const { answer, span } = await send(world, { method: 'GET', path: '/api/token', token: token.secret })
  const { refusals, mayPass } = judgeToken(token, undefined, span)
  if (token.kind === 'access') refusals.push([401, 'password_required'])
  if (answer.status !== 200 || !mayPass || token.kind === 'access') return expectRefusal(answer, 'GET', refusals)
  const own = later(span, world.tokenSeconds)
  const expires = token.expires === null
    ? own
    : { from: Math.min(own.from, token.expires.from), to: Math.min(own.to, token.expires.to) }
  const { duration } = answer.json
  if (duration < Math.ceil((expires.from - span.to) / 1000) || duration > Math.ceil((expires.to - span.from) / 1000)) throw new Error(`a duration of ${duration} s is not the remaining lifetime`)
  issued(world, userIndex, { secret: answer.json.token, kind: 'access', name: null, scopes: token.scopes, parent: token.secret, expires, isRevoked: false })
}

/** The ids of the valid tokens, as the server lists them, newest first, after a check against the model. */
async function listTokens (world: World, userIndex: UserIndex): Promise<{ id: number, token: IssuedToken }[]> {
  const { secret } = await openSession(world, userIndex)
  for (;;) {
    const from = Date.now()
    const entries: any[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const { answer }: { answer: Answer } = await send(world, { method: 'GET', path: `/api/tokens?limit=20${cursor && `&cursor=${cursor}`}`, token: secret })
      expectAnswer(answer, 200)
      entries.push(...answer.json.tokens)
      cursor = answer.json.next
    }
    const span = { from, to: Date.now() }
    const { tokens } = world.users[userIndex]
    // A token that expired during the request may be listed or not; on the next attempt it has expired.
    if (tokens.some(token => validityOf(token, span) === 'perhaps')) continue
    const live = tokens.filter(token => validityOf(token, span) === 'yes').reverse()
    expect('the tokens', entries.map(({ kind, name, scopes }) => ({ kind, name, scopes })), live.map(({ kind, name, scopes }) => ({ kind, name, scopes })))
    return live.map((token, index) => ({ id: entries[index].id, token: expectExpiry(entries[index], token) }))
  }
}

function expectExpiry ({ expiresAt }: { expiresAt: string | null }, token: IssuedToken): IssuedToken {
  const isRight = token.expires === null || expiresAt === null
    ? token.expires === expiresAt
    : Date.parse(expiresAt) >= token.expires.from && Date.parse(expiresAt) <= token.expires.to
  if (!isRight) throw new Error(`a token expires at ${expiresAt}, expected ${JSON.stringify(token.expires)}`)
  return token
}

async function revokeListed (
  world: World, userIndex: UserIndex, credential: Credential, isOther: boolean
): Promise<void> {
  const live = await listTokens(world, isOther ? 1 - userIndex as UserIndex : userIndex)
  const wanted = tokenOf(live.map(({ token }) => token), credential.pick)
  const chosen = live.find(({ token }) => token === wanted)
  if (chosen === undefined) return
  const passed = await sendAs(world, userIndex, credential, { need: 'account', method: 'DELETE', path: `/api/tokens/${chosen.id}` })
  if (passed === undefined) return
  if (isOther) return expectAnswer(passed.answer, 404, 'not_found')
  expectAnswer(passed.answer, 204)
  revokeToken(world, userIndex, chosen.token)
}

function revokeToken (world: World, userIndex: UserIndex, { secret }: IssuedToken): void {
  markRevoked(world, userIndex, token => token.secret === secret || token.parent === secret)
}

async function revokeCurrent (world: World, userIndex: UserIndex, pick: number): Promise<void> {
  const token = tokenOf(world.users[userIndex].tokens, pick)
  if (token === undefined) return
  const { answer, span } = await send(world, { method: 'DELETE', path: '/api/token', token: token.secret })
  const { refusals, mayPass } = judgeToken(token, undefined, span)
  if (answer.status !== 204 || !mayPass) return expectRefusal(answer, 'DELETE', refusals)
  revokeToken(world, userIndex, token)
}

async function revokeAll (world: World, userIndex: UserIndex, credential: Credential): Promise<void> {
  const passed = await sendAs(world, userIndex, credential, { need: 'account', method: 'DELETE', path: '/api/tokens' })
  if (passed === undefined) return
  expectAnswer(passed.answer, 204)
  markRevoked(world, userIndex, () => true)
}

async function tryToken (world: World, userIndex: UserIndex, token: IssuedToken, pick = 0): Promise<void> {
  const passed = await sendWithToken(world, token, pick, { method: 'GET', path: '/api/resource' })
  if (passed !== undefined) expect('the greeting', passed.answer.json, { data: `Hello, ${world.users[userIndex].user[0]}!` })
}

/** Uses a token until it has expired: it is valid up to its last millisecond, and no longer. */
async function watchExpiry (world: World, userIndex: UserIndex): Promise<void> {
  const now = Date.now()
  const token = world.users[userIndex].tokens.find(token => validityOf(token, { from: now, to: now }) === 'yes' && validityOf(token, { from: now, to: now + WATCHED_MILLISECONDS }) === 'perhaps')
  if (token === undefined) return
  while (Date.now() <= Number(token.expires?.to)) await tryToken(world, userIndex, token)
}

const userIndex = fc.constantFrom<UserIndex>(0, 1)
const pick = fc.nat(999)
const usually = fc.oneof({ weight: 40, arbitrary: fc.record({ by: fc.constant('session' as const), pick }) }, { weight: 8, arbitrary: fc.record({ by: fc.constant('token' as const), pick }) }, { weight: 1, arbitrary: fc.record({ by: fc.constantFrom('password' as const, 'nothing' as const), pick }) })
const anyName = fc.record({ exists: fc.constantFrom(true, true, false), isDecomposed: fc.boolean(), pick })
const anyCondition = fc.oneof({ weight: 2, arbitrary: fc.constant('none') }, { weight: 1, arbitrary: fc.constantFrom(...Object.keys(conditionsOf)) })
const bound = fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 12 }))
const operationRecipe = (kinds: Operation['kind'][]): fc.Arbitrary<OperationRecipe> => fc.record({
  kind: fc.constantFrom(...kinds),
  name: anyName,
  to: anyName,
  kept: anyName,
  isPermanent: fc.constantFrom(false, false, true),
  size: fc.constantFrom<OperationRecipe['size']>(0, 1, 1, 2, 10, 10, 100, 300, 600, 800, 'same', 'same', 'same', 'rest', 'rest', 'one more', 'one more', 'limit', 'above'),
  fill: fc.constantFrom(97, 98),
  type: fc.constantFrom(...types),
  condition: anyCondition,
  range: fc.option(fc.record({ first: bound, last: bound }))
})
const walkRecipe: fc.Arbitrary<WalkRecipe> = fc.record({ order: fc.constantFrom(...orders, 'name' as const, '-name' as const, 'name' as const, '-name' as const), limit: fc.constantFrom(1, 2, 3, 1000), prefix: fc.option(fc.oneof(fc.constantFrom(...prefixes), anyName), { freq: 2 }), folder: fc.option(anyName, { freq: 1 }), changes: fc.array(operationRecipe(['put']), { maxLength: 3 }), pick })
const tokenRecipe: fc.Arbitrary<TokenRecipe> = fc.record({
  scopes: fc.subarray([...allScopes], { minLength: 1 }),
  lifeMilliseconds: fc.option(fc.integer({ min: 0, max: 2000 }), { freq: 1 }),
  pick
})

const anyKind: Operation['kind'][] = [
  ...Array.from({ length: 6 }, () => 'put' as const), 'post', 'post', 'post', 'get', 'get', 'get', 'head', 'metadata', 'delete', 'delete', 'delete', 'rename', 'rename',
  ...Array.from({ length: 3 }, () => ['restore version', 'restore file'] as const).flat(), 'delete version', 'delete from trash',
  ...Array.from({ length: 2 }, () => ['make folder', 'move folder', 'move folder', 'delete tree', 'restore deletion'] as const).flat(), 'delete folder'
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
  step(300, 'operate', fc.record({ recipe: operationRecipe(anyKind), credential: usually }), (world, by, { recipe, credential }) => perform(world, by, operationOf(world.users[by].store, recipe), credential)),
  step(60, 'race', fc.record({ operations: fc.array(operationRecipe(['put', 'put', 'put', 'post', 'get', 'delete', 'delete', 'rename', 'restore version', 'restore file', 'delete version', 'move folder', 'make folder']), { minLength: 2, maxLength: 3 }), over: fc.constantFrom(...Object.keys(raceConditions) as RaceRecipe['over'][]) }), race),
  step(40, 'walk', walkRecipe, walk),
  step(10, 'misuse a cursor', walkRecipe, misuseCursor),
  step(3, 'empty the trash', usually, (world, by, credential) => perform(world, by, { kind: 'empty trash' }, credential)),
  step(20, 'walk through what is kept', fc.record({ limit: fc.constantFrom(1, 2, 1000), pick }), walkKept),
  step(25, 'read the account', usually, readAccount),
  step(20, 'read the other user\'s files', pick, readOthers),
  step(5, 'register a taken name', fc.constant(null), registerTaken),
  step(12, 'make a personal token', tokenRecipe, makePersonalToken),
  step(25, 'exchange a token', usually, exchangeToken),
  step(25, 'try a token', pick, async (world, by, pick) => tryToken(world, by, tokenOf(world.users[by].tokens, pick) as IssuedToken, pick)),
  step(8, 'watch a token expire', fc.constant(null), watchExpiry),
  step(10, 'list tokens', fc.constant(null), async (world, by) => { await listTokens(world, by) }),
  step(10, 'revoke a listed token', fc.record({ credential: usually, isOther: fc.boolean() }), (world, by, { credential, isOther }) => revokeListed(world, by, credential, isOther)),
  step(8, 'revoke the current token', pick, revokeCurrent),
  step(3, 'revoke all tokens', usually, revokeAll),
  step(2, 'change the password', fc.constant(null), changePassword),
  step(2, 'delete the account', fc.constant(null), deleteAccount),
  step(1, 'restart', pick, async world => { world.server = await world.restart(); counts.restarts++ })
)], { maxCommands: 200, size: 'max' })

/** Checks everything that the API returns for both users at the end. */
async function audit (world: World): Promise<void> {
  for (const by of [0, 1] as const) {
    await readAccount(world, by, session)
    await listTokens(world, by)
    const all = { limit: 2, prefix: null, folder: null, changes: [], pick: 0 }
    for (const order of orders) await walk(world, by, { ...all, order })
    const { store } = world.users[by]
    expect('what is stored', await readStore(world, by), contentsOf(store, world))
    await expectBytes(world, by, Array.from(store.files.values()))
    await auditKept(world, by)
  }
}

/** Downloads every version, restores every deleted file that fits, and does so with its versions. */
async function auditKept (world: World, by: UserIndex): Promise<void> {
  const readVersions = async () => {
    const { store } = world.users[by]
    for (const file of store.files.values()) {
      for (const { id } of versionsOf(store, file)) await perform(world, by, { kind: 'get', name: file.name, version: id, conditions: {}, range: undefined }, session)
    }
  }
  await readVersions()
  const { store } = world.users[by]
  for (const { name } of store.files.values()) await perform(world, by, { kind: 'delete', name, conditions: {}, isPermanent: true }, session)
  for (const { id } of trashOf(store)) await perform(world, by, { kind: 'restore file', id: String(id), to: undefined }, session)
  await readVersions()
  await expectBytes(world, by, Array.from(world.users[by].store.files.values()))
  await readAccount(world, by, session)
}

async function register (world: World, userIndex: UserIndex, username: string): Promise<void> {
  const from = Date.now()
  const { id, user, token } = await signUp(world.server, username)
  const store = { files: new Map(), folders: new Set<string>(), kept: [], serial: 0 }
  world.users[userIndex] = { id, user, store, tokens: [] }
  issued(world, userIndex, { secret: token, kind: 'access', name: null, scopes: allScopes, parent: undefined, expires: later({ from, to: Date.now() }, world.tokenSeconds), isRevoked: false })
  await makePersonalToken(world, userIndex, { scopes: [...allScopes], lifeMilliseconds: null, pick: 0 })
}

/** Runs sequences until enough steps were taken; each sequence has two new users. */
async function checkAgainstModel (
  t: Test, { tokenSeconds, stepsWanted }: { tokenSeconds: number, stepsWanted: number }
): Promise<void> {
  const all = { ...settings, TOKEN_SECONDS: String(tokenSeconds), DATA_DIR: t.testdir() }
  let server = await startServer(t, all)
  const restart = async () => { await server.close(); server = await startServer(t, all); return server }
  const property = fc.asyncProperty(steps, async drawn => {
    const world: World = {
      server, users: [undefined, undefined] as unknown as [User, User], tokenSeconds, restart, trace: []
    }
    const number = ++counts.sequences
    await Promise.all([register(world, 0, `ann ${number}`), register(world, 1, `bob ${number}`)])
    await fc.asyncModelRun(() => ({ model: world, real: {} }), drawn)
    await audit(world)
  })
  for (let round = 0, end = counts.steps + stepsWanted; counts.steps < end; round++) {
    await fc.assert(
      property,
      { seed: (seed + round * ROUND_SEEDS) % 2 ** 31, numRuns: 2, interruptAfterTimeLimit: SHRINKING_MILLISECONDS }
    )
  }
}

test('whatever two users do, alone and at once, the store does what a simple model of it says', async t => {
  t.comment(`MODEL_SEED=${seed}`)
  await checkAgainstModel(t, { tokenSeconds: 600, stepsWanted: wantedSteps })
  t.comment(`${counts.steps} steps in ${counts.sequences} sequences, ${counts.requests} requests, ${counts.restarts} restarts`)
  t.comment(Array.from(seen).sort().map(([answer, times]) => `${answer}: ${times}`).join('; '))
})

test('it does so also where access tokens expire all the time', async t => {
  await checkAgainstModel(t, { tokenSeconds: 1, stepsWanted: wantedSteps / 10 })
})
