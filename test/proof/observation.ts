import { sha256Of } from '../kit/digests.ts'
import { basic, namesOf, request, type User, type UserState } from './user.ts'

/** What a user has, and the id of the last response that was needed to find out. */
export interface Observation { readonly state: UserState, readonly requestId: string }

/** Number of passwords to try: those that may be valid, and the latest that must be invalid. */
const TRIED = 3

/**
 * Finds everything that a user has, through the API: signs in, downloads each file and version, lists trash and
 * uploads, uses each token.
 */
export async function observe (url: string, user: User): Promise<Observation> {
  const state = new Map<string, string>()
  let requestId = ''

  async function get (path: string, credential: string) {
    const answer = await request(`${url}${path}`, 'GET', { credential })
    requestId = answer.requestId
    return { ...answer, json: () => JSON.parse(answer.bytes.toString()) }
  }

  /** All folders below one. */
  async function foldersIn (folder: string): Promise<string[]> {
    const { folders } = (await get(`/api/folders?limit=1000&folder=${encodeURIComponent(folder)}`, String(credential))).json()
    const names = folders.map(({ name }: { name: string }) => name) as string[]
    for (const name of [...names]) names.push(...await foldersIn(name))
    return names
  }

  let credential: string | undefined
  for (const { username, password } of accountsOf(user)) {
    const { status, json } = await get('/api/token', basic(username, password))
    if (status !== 200 && status !== 401) state.set('sign-in', `status ${status}`)
    if (status !== 200) continue
    state.set('username', username).set('password', password)
    credential = `Bearer ${json().token}`
  }
  for (const [name, secret] of user.secrets) {
    const { status } = await get('/api/account', `Bearer ${secret}`)
    if (status !== 401) state.set(`token ${name}`, status === 200 ? 'works' : `status ${status}`)
  }
  if (credential === undefined) return { state, requestId }
  for (const { kind, name } of (await get('/api/tokens?limit=1000', credential)).json().tokens) {
    // If the response with a token was lost, its secret is unknown, and the listing is the only evidence.
    if (kind === 'personal' && !user.secrets.has(name)) state.set(`token ${name}`, 'works')
  }
  for (const path of await foldersIn('')) state.set(`folder ${path}`, 'there')
  for (const { name } of (await get('/api/files?limit=1000', credential)).json().files) {
    const { status, bytes } = await get(`/uploads/${name}`, credential)
    state.set(`file ${name}`, status === 200 ? sha256Of(bytes) : `status ${status}`)
    for (const { id, sha256 } of (await get(`/api/files/${encodeURIComponent(name)}/versions?limit=1000`, credential)).json().versions) {
      const version = await get(`/uploads/${name}?version=${id}`, credential)
      const key = `version ${name} ${version.status === 200 && sha256Of(version.bytes) === sha256 ? sha256 : `status ${version.status}`}`
      state.set(key, String(1 + Number(state.get(key) ?? 0)))
    }
  }
  for (const { name, sha256, versions } of (await get('/api/trash?limit=1000', credential)).json().files) state.set(`trash ${name}`, `${sha256} ${versions}`)
  for (const { name, offset } of (await get('/api/uploads', credential)).json().uploads) state.set(`upload ${name}`, String(offset))
  return { state, requestId }
}

/** Credentials that may work, and some that must not, latest first. */
function accountsOf ({ steps }: User): { username: string, password: string }[] {
  const accounts = new Map<string, { username: string, password: string }>()
  for (const { after } of steps.toReversed()) {
    const [username, password] = [after.get('username'), after.get('password')]
    if (username !== undefined && password !== undefined) {
      accounts.set(basic(username, password), { username, password })
    }
  }
  return Array.from(accounts.values()).slice(0, TRIED)
}

/** A user's operations up to a moment, and the possible states at that moment. */
export interface Past { readonly user: User, readonly possible: readonly UserState[] }

/**
 * The past after the responses in `isAcknowledged` were sent: the last acknowledged operation is done, and the next one
 * is done completely or not at all, or up to an act in the midst of it.
 */
export function pastOf ({ steps, secrets, ...user }: User, isAcknowledged: (requestId: string) => boolean): Past {
  const last = steps.findLastIndex(({ requestId }) => requestId !== undefined && isAcknowledged(requestId))
  const next = steps.findIndex(({ requestId }, index) => index > last && requestId !== undefined)
  const past = steps.slice(0, next === -1 ? undefined : next + 1)
  const tokens = new Set(past.flatMap(({ after }) => namesOf(after, 'token ')))
  return {
    user: { ...user, steps: past, secrets: new Map(Array.from(secrets).filter(([name]) => tokens.has(name))) },
    possible: [
      steps[last]?.after ?? new Map(), ...past.slice(last + 1).flatMap(({ between, after }) => [...between, after])
    ]
  }
}

/** The differences between what was found and every possible state; empty if one matches. */
export function differences (found: UserState, possible: readonly UserState[]): string[] {
  const all = possible.map(state => difference(found, state))
  return all.some(lines => lines.length === 0) ? [] : all[0] ?? []
}

function difference (found: UserState, expected: UserState): string[] {
  const keys = new Set([...found.keys(), ...expected.keys()])
  return Array.from(keys).flatMap(key => {
    const [has, should] = [found.get(key), expected.get(key)]
    if (has === should) return []
    if (has === undefined) return [`lost: ${key}`]
    if (should === undefined) return [`back again: ${key}`]
    return [`changed: ${key} is ${has}`]
  })
}
