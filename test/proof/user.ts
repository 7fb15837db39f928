import { createCipheriv } from 'node:crypto'
import { sha256Of } from '../kit/digests.ts'
import { createRandom, type Random } from '../kit/random.ts'
import { TUS } from '../kit/tus.ts'
import { folderOperations, newName, withParents } from './user-folders.ts'

/**
 * What a user has: `username`, `password`, each `folder <path>`, each `file <name>` with its digest, each
 * `version <name> <digest>` with how often it is kept, each `trash <name>` with its digest and the number of its
 * versions, each `upload <name>` with its offset, each `token <name>`. Empty without an account.
 */
export type UserState = ReadonlyMap<string, string>

/** An operation that was sent, and what the user has afterwards. */
interface Step {
  readonly what: string
  readonly after: UserState
  /** What the user has in the midst of it, if it is several acts. */
  readonly between: readonly UserState[]
  /** The id of the response; undefined if there was none. */
  requestId: string | undefined
}

/** A client that sends one operation at a time. */
export interface User {
  readonly id: number
  readonly random: Random
  /** All operations, in order. */
  readonly steps: Step[]
  /** Secrets of all tokens ever issued, by name, except those whose response was lost. */
  readonly secrets: Map<string, string>
  /** Digests of the versions of deleted files, by name: the trash shows only how many there are. */
  readonly buried: Map<string, readonly string[]>
  /** Which deletion of a folder took a deleted file, by name. */
  readonly deletions: Map<string, string>
}

export interface Answer { readonly status: number, readonly requestId: string, readonly bytes: Buffer }

export interface Operation {
  readonly what: string
  readonly after: UserState
  readonly between?: readonly UserState[]
  send (url: string): Promise<Answer>
  /** Stores what only the response contains. */
  onResponse? (answer: Answer): void
}

/** Maximum number of files, so that each is used soon. */
const MAX_FILES = 6
const MAX_TOKENS = 3
const MAX_UPLOADS = 2

export function createUser (id: number): User {
  return { id, random: createRandom(`user ${id}`), steps: [], secrets: new Map(), buried: new Map(), deletions: new Map() }
}

/** What the user has after all operations. */
export function stateOf ({ steps }: User): UserState {
  return steps.at(-1)?.after ?? new Map()
}

interface Sent {
  readonly credential?: string
  readonly json?: unknown
  readonly body?: BodyInit
  readonly fields?: Record<string, string>
}

/** Sends a request. @throws if the connection fails. */
export async function request (
  url: string, method: string, { credential, json, body, fields = {} }: Sent
): Promise<Answer> {
  const headers = new Headers(fields)
  if (credential !== undefined) headers.set('authorization', credential)
  if (json !== undefined) headers.set('content-type', 'application/json')
  const response = await fetch(url, { method, headers, body: json === undefined ? body ?? null : JSON.stringify(json) })
  const requestId = String(response.headers.get('x-request-id'))
  return { status: response.status, requestId, bytes: Buffer.from(await response.arrayBuffer()) }
}

export function basic (username: string | undefined, password: string | undefined): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** Sends operations, one at a time, until `isOver` or until the server stops. */
export async function useServer (user: User, url: string, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const operation = nextOperation(user)
    const { what, after, between = [] } = operation
    const step: Step = { what, after, between, requestId: undefined }
    user.steps.push(step)
    const answer = await operation.send(url).catch(() => undefined)
    if (answer === undefined) return
    if (answer.status >= 300) throw new Error(`${operation.what} was answered with ${answer.status}: ${answer.bytes}`)
    operation.onResponse?.(answer)
    step.requestId = answer.requestId
  }
}

function nextOperation (user: User): Operation {
  const state = stateOf(user)
  const { random } = user
  if (!state.has('username')) return register(user, state)
  const files = namesOf(state, 'file ')
  const uploads = namesOf(state, 'upload ')
  const trash = namesOf(state, 'trash ')
  const versioned = files.filter(name => versionsOf(state, name).length > 0)
  const tokens = namesOf(state, 'token ').filter(name => user.secrets.has(name))
  const [session] = tokens
  if (session === undefined) return signIn(user, state)
  const candidates: [weight: number, make: () => Operation][] = [
    [files.length < MAX_FILES ? 3 : 0, () => create(user, state, session)],
    [files.length > 0 ? 5 : 0, () => replace(user, state, { session, name: random.pick(files) })],
    [files.length > 2 ? 3 : 0, () => remove(user, state, { session, name: random.pick(files) })],
    [files.length > 2 ? 0.3 : 0, () => remove(user, state, { session, name: random.pick(files), isPermanent: true })],
    [files.length > 0 ? 1 : 0, () => rename(user, state, { session, name: random.pick(files) })],
    [[0, MAX_FILES].includes(files.length) ? 0 : 1, () => copy(user, state, { session, name: random.pick(files) })],
    [versioned.length > 0 ? 2 : 0, () => restoreVersion(user, state, { session, name: random.pick(versioned) })],
    [versioned.length > 0 ? 0.3 : 0, () => removeVersion(user, state, { session, name: random.pick(versioned) })],
    [trash.length > 0 ? 1.5 : 0, () => restoreFile(user, state, { session, name: random.pick(trash) })],
    [trash.length > 0 ? 0.3 : 0, () => removeFromTrash(user, state, { session, name: random.pick(trash) })],
    [trash.length > 0 ? 0.1 : 0, () => emptyTrash(user, state, session)],
    [uploads.length < MAX_UPLOADS ? 2 : 0, () => beginUpload(user, state, session)],
    [uploads.length > 0 ? 5 : 0, () => append(user, state, { session, name: random.pick(uploads) })],
    [uploads.length > 0 ? 0.3 : 0, () => cancel(user, state, { session, name: random.pick(uploads) })],
    [tokens.length < MAX_TOKENS ? 0.5 : 0, () => random.pick([signIn, createToken])(user, state)],
    [tokens.length > 1 ? 0.5 : 0, () => revoke(user, state, random.pick(tokens.slice(1)))],
    ...folderOperations(user, state, session),
    [0.15, () => changePassword(user, state)],
    [0.05, () => deleteAccount(state)]
  ]
  let left = random.below(1000) / 1000 * candidates.reduce((sum, [weight]) => sum + weight, 0)
  const [, make] = candidates.find(([weight]) => (left -= weight) < 0) ?? [0, () => create(user, state, session)]
  return make()
}

export function namesOf (state: UserState, prefix: string): string[] {
  return Array.from(state.keys()).filter(key => key.startsWith(prefix)).map(key => key.slice(prefix.length))
}

export function changed (state: UserState, changes: Record<string, string | undefined>): UserState {
  const after = new Map(state)
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) after.delete(key)
    else after.set(key, value)
  }
  return after
}

export const fresh = ({ random }: User) => random.bytes(4).toString('hex')
const credentials = (state: UserState) => basic(state.get('username'), state.get('password'))
export const bearer = ({ secrets }: User, name: string) => `Bearer ${secrets.get(name)}`

function register (user: User, state: UserState): Operation {
  const [username, password] = [`user-${user.id}-${fresh(user)}`, fresh(user)]
  return {
    what: `register ${username}`,
    after: changed(state, { username, password }),
    send: url => request(`${url}/api/users`, 'POST', { json: { username, password } })
  }
}

function signIn (user: User, state: UserState): Operation {
  const name = `access-${fresh(user)}`
  return {
    what: `get ${name}`,
    after: changed(state, { [`token ${name}`]: 'works' }),
    send: url => request(`${url}/api/token`, 'GET', { credential: credentials(state) }),
    onResponse: ({ bytes }) => { user.secrets.set(name, JSON.parse(bytes.toString()).token) }
  }
}

function createToken (user: User, state: UserState): Operation {
  const name = `personal-${fresh(user)}`
  const json = { name, scopes: ['files:read', 'files:write', 'account'] }
  return {
    what: `create ${name}`,
    after: changed(state, { [`token ${name}`]: 'works' }),
    send: url => request(`${url}/api/tokens`, 'POST', { credential: credentials(state), json }),
    onResponse: ({ bytes }) => { user.secrets.set(name, JSON.parse(bytes.toString()).token) }
  }
}

function revoke (user: User, state: UserState, name: string): Operation {
  return {
    what: `revoke ${name}`,
    after: changed(state, { [`token ${name}`]: undefined }),
    send: url => request(`${url}/api/token`, 'DELETE', { credential: bearer(user, name) })
  }
}

function changePassword (user: User, state: UserState): Operation {
  const password = fresh(user)
  const ended = Object.fromEntries(namesOf(state, 'token ').map(name => [`token ${name}`, undefined]))
  return {
    what: 'change the password',
    after: changed(state, { password, ...ended }),
    send: url => request(`${url}/api/account/password`, 'PUT', { credential: credentials(state), json: { password } })
  }
}

function deleteAccount (state: UserState): Operation {
  return {
    what: `delete the account ${state.get('username')}`,
    after: new Map(),
    send: url => request(`${url}/api/account`, 'DELETE', { credential: credentials(state) })
  }
}

/** Empty, small, or large enough for several writes. */
function someBytes ({ random }: User): Uint8Array<ArrayBuffer> {
  return new Uint8Array(random.bytes(random.chance(0.1) ? 0 : random.below(random.chance(0.1) ? 300_000 : 5000)))
}

/** The digests of the versions of a file. */
function versionsOf (state: UserState, name: string): string[] {
  const prefix = `version ${name} `
  return Array.from(state).filter(([key]) => key.startsWith(prefix))
    .flatMap(([key, count]) => Array.from({ length: Number(count) }, () => key.slice(prefix.length)))
}

interface Content { readonly content: string, readonly versions: readonly string[] }

/** The state with this content of a file, or without that file. */
export function withFile (state: UserState, name: string, file?: Content): UserState {
  const after = new Map(Array.from(state).filter(([key]) => key !== `file ${name}` && !key.startsWith(`version ${name} `)))
  if (file === undefined) return after
  after.set(`file ${name}`, file.content)
  for (const key of file.versions.map(version => `version ${name} ${version}`)) after.set(key, String(1 + Number(after.get(key) ?? 0)))
  return after
}

export function fileIn (state: UserState, name: string): Content {
  return { content: String(state.get(`file ${name}`)), versions: versionsOf(state, name) }
}

const EMPTY = sha256Of('')

/** The file with another content: the one that it had becomes a version, unless that is the same or empty. */
function replaced ({ content, versions }: Content, next: string): Content {
  return { content: next, versions: content === next || content === EMPTY ? versions : [content, ...versions] }
}

function create (user: User, state: UserState, session: string): Operation {
  const name = newName(user, state)
  const bytes = someBytes(user)
  const { folder = '', last = '' } = /^(?:(?<folder>.+)\/)?(?<last>.+)$/.exec(name)?.groups ?? {}
  const form = new FormData()
  form.set('file', new Blob([bytes]), last)
  const credential = bearer(user, session)
  const isForm = user.random.chance(0.5)
  return {
    what: `create ${name}`,
    after: changed(withParents(state, name), { [`file ${name}`]: sha256Of(bytes) }),
    send: url => isForm
      ? request(`${url}/?folder=${encodeURIComponent(folder)}`, 'POST', { credential, body: form })
      : request(`${url}/uploads/${name}`, 'PUT', { credential, body: bytes })
  }
}

export interface Target { readonly session: string, readonly name: string }

function replace (user: User, state: UserState, { session, name }: Target): Operation {
  const bytes = someBytes(user)
  return {
    what: `replace ${name}`,
    after: withFile(state, name, replaced(fileIn(state, name), sha256Of(bytes))),
    send: url => request(`${url}/uploads/${name}`, 'PUT', { credential: bearer(user, session), body: bytes })
  }
}

function remove (
  user: User, state: UserState, { session, name, isPermanent = false }: Target & { readonly isPermanent?: boolean }
): Operation {
  const { content, versions } = fileIn(state, name)
  user.buried.set(name, versions)
  user.deletions.delete(name)
  return {
    what: `delete ${name}${isPermanent ? ' for good' : ''}`,
    after: changed(withFile(state, name), isPermanent ? {} : { [`trash ${name}`]: `${content} ${versions.length}` }),
    send: url => request(`${url}/uploads/${name}${isPermanent ? '?permanent=true' : ''}`, 'DELETE', { credential: bearer(user, session) })
  }
}

function rename (user: User, state: UserState, { session, name }: Target): Operation {
  const to = newName(user, state)
  return {
    what: `rename ${name} to ${to}`,
    after: withParents(withFile(withFile(state, name), to, fileIn(state, name)), to),
    send: url => request(metadataPath(url, name), 'PATCH', { credential: bearer(user, session), json: { name: to } })
  }
}

function copy (user: User, state: UserState, { session, name }: Target): Operation {
  const to = newName(user, state)
  return {
    what: `copy ${name} to ${to}`,
    after: changed(withParents(state, to), { [`file ${to}`]: fileIn(state, name).content }),
    send: url => request(`${metadataPath(url, name)}/copy`, 'POST', { credential: bearer(user, session), json: { name: to } })
  }
}

const metadataPath = (url: string, name: string) => `${url}/api/files/${encodeURIComponent(name)}`

interface Listed { readonly id: string, readonly name: string, readonly sha256: string }

/** The path of a version of a file, which is found by its digest. */
async function versionPath (
  url: string, { name, credential, version }: { name: string, credential: string, version: string }
): Promise<string> {
  const { bytes } = await request(`${metadataPath(url, name)}/versions?limit=1000`, 'GET', { credential })
  const { versions } = JSON.parse(bytes.toString()) as { versions: Listed[] }
  return `${metadataPath(url, name)}/versions/${versions.find(({ sha256 }) => sha256 === version)?.id}`
}

function restoreVersion (user: User, state: UserState, { session, name }: Target): Operation {
  const { content, versions } = fileIn(state, name)
  const version = user.random.pick(versions)
  const credential = bearer(user, session)
  return {
    what: `restore a version of ${name}`,
    after: withFile(
      state, name, replaced({ content, versions: versions.toSpliced(versions.indexOf(version), 1) }, version)
    ),
    send: async url => request(`${await versionPath(url, { name, credential, version })}/restore`, 'POST', { credential })
  }
}

function removeVersion (user: User, state: UserState, { session, name }: Target): Operation {
  const { content, versions } = fileIn(state, name)
  const version = user.random.pick(versions)
  const credential = bearer(user, session)
  return {
    what: `delete a version of ${name}`,
    after: withFile(state, name, { content, versions: versions.toSpliced(versions.indexOf(version), 1) }),
    send: async url => request(await versionPath(url, { name, credential, version }), 'DELETE', { credential })
  }
}

/** The path of a deleted file, which is found by its name. */
async function trashPath (url: string, { name, credential }: { name: string, credential: string }): Promise<string> {
  const { bytes } = await request(`${url}/api/trash?limit=1000`, 'GET', { credential })
  const { files } = JSON.parse(bytes.toString()) as { files: Listed[] }
  return `${url}/api/trash/${files.find(file => file.name === name)?.id}`
}

function restoreFile (user: User, state: UserState, { session, name }: Target): Operation {
  const [content = ''] = String(state.get(`trash ${name}`)).split(' ')
  const credential = bearer(user, session)
  const to = user.random.pick([name, newName(user, state)])
  const restored = withFile(state, to, { content, versions: user.buried.get(name) ?? [] })
  return {
    what: `restore the deleted file ${name} as ${to}`,
    after: changed(withParents(restored, to), { [`trash ${name}`]: undefined }),
    send: async url => request(`${await trashPath(url, { name, credential })}/restore`, 'POST', { credential, json: { name: to } })
  }
}

function removeFromTrash (user: User, state: UserState, { session, name }: Target): Operation {
  const credential = bearer(user, session)
  return {
    what: `delete ${name} from the trash`,
    after: changed(state, { [`trash ${name}`]: undefined }),
    send: async url => request(await trashPath(url, { name, credential }), 'DELETE', { credential })
  }
}

function emptyTrash (user: User, state: UserState, session: string): Operation {
  return {
    what: 'empty the trash',
    after: changed(state, Object.fromEntries(namesOf(state, 'trash ').map(name => [`trash ${name}`, undefined]))),
    send: url => request(`${url}/api/trash`, 'DELETE', { credential: bearer(user, session) })
  }
}

/** The bytes of a resumable upload, which depend on its name alone: anyone who finds it can finish it. */
export function uploadBytes (name: string): Uint8Array<ArrayBuffer> {
  const size = 1 + Number.parseInt(name, 16) % 200_000
  return new Uint8Array(createCipheriv('aes-128-ctr', Buffer.alloc(16, name), Buffer.alloc(16)).update(Buffer.alloc(size)))
}

function beginUpload (user: User, state: UserState, session: string): Operation {
  const name = fresh(user)
  const fields = { ...TUS, 'upload-length': String(uploadBytes(name).length), 'upload-metadata': `filename ${Buffer.from(name).toString('base64')}` }
  return {
    what: `begin to upload ${name}`,
    after: changed(state, { [`upload ${name}`]: '0' }),
    send: url => request(`${url}/api/uploads`, 'POST', { credential: bearer(user, session), fields })
  }
}

/** Appends some of the bytes that are missing, or all of them: then the upload is a file. */
function append (user: User, state: UserState, { session, name }: { session: string, name: string }): Operation {
  const bytes = uploadBytes(name)
  const offset = Number(state.get(`upload ${name}`))
  const end = user.random.chance(0.3) ? bytes.length : user.random.between(offset, bytes.length)
  const isWhole = end === bytes.length
  return {
    what: `append to ${name} from ${offset} to ${end} of ${bytes.length}`,
    after: changed(state, isWhole ? { [`upload ${name}`]: undefined, [`file ${name}`]: sha256Of(bytes) } : { [`upload ${name}`]: String(end) }),
    send: url => appendTo(url, { name, credential: bearer(user, session), offset, bytes: bytes.subarray(offset, end) })
  }
}

interface Append {
  readonly name: string
  readonly credential: string
  readonly offset: number
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Appends to the upload of this name. */
export async function appendTo (url: string, { name, credential, offset, bytes }: Append): Promise<Answer> {
  const fields = { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' }
  return request(await uploadUrl(url, { name, credential }), 'PATCH', { credential, fields, body: bytes })
}

function cancel (user: User, state: UserState, { session, name }: { session: string, name: string }): Operation {
  const credential = bearer(user, session)
  return {
    what: `cancel the upload of ${name}`,
    after: changed(state, { [`upload ${name}`]: undefined }),
    send: async url => request(await uploadUrl(url, { name, credential }), 'DELETE', { credential })
  }
}

/** Found by its name, because the response with the id may have been lost. */
async function uploadUrl (url: string, { name, credential }: { name: string, credential: string }): Promise<string> {
  const { bytes } = await request(`${url}/api/uploads?name=${name}`, 'GET', { credential })
  return `${url}/api/uploads/${JSON.parse(bytes.toString()).uploads[0].id}`
}
