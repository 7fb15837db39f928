import { ask, basic, digest, namesOf, type Facts, type Person } from './person.ts'

/** What a person is found to have, and the id of the last answer that said so. */
export interface Observation { readonly facts: Facts, readonly requestId: string }

/** Passwords that are tried: those a person may have, and the latest of those that they must not have any more. */
const TRIED = 3

/** Looks at all that a person has, as they would: signs in, downloads each file and uses each token. */
export async function observe (url: string, person: Person): Promise<Observation> {
  const facts = new Map<string, string>()
  let requestId = ''

  async function get (path: string, credential: string) {
    const answer = await ask(`${url}${path}`, 'GET', { credential })
    requestId = answer.requestId
    return { ...answer, json: () => JSON.parse(answer.bytes.toString()) }
  }

  let credential: string | undefined
  for (const { username, password } of accountsOf(person)) {
    const { status, json } = await get('/api/token', basic(username, password))
    if (status !== 200 && status !== 401) facts.set('sign-in', `status ${status}`)
    if (status !== 200) continue
    facts.set('username', username).set('password', password)
    credential = `Bearer ${json().token}`
  }
  for (const [name, secret] of person.secrets) {
    const { status } = await get('/api/account', `Bearer ${secret}`)
    if (status !== 401) facts.set(`token ${name}`, status === 200 ? 'works' : `status ${status}`)
  }
  if (credential === undefined) return { facts, requestId }
  for (const { kind, name } of (await get('/api/tokens?limit=1000', credential)).json().tokens) {
    // Of a token whose answer was lost it is known only that it is listed.
    if (kind === 'personal' && !person.secrets.has(name)) facts.set(`token ${name}`, 'works')
  }
  for (const { name } of (await get('/api/files?limit=1000', credential)).json().files) {
    const { status, bytes } = await get(`/uploads/${name}`, credential)
    facts.set(`file ${name}`, status === 200 ? digest(bytes) : `status ${status}`)
  }
  return { facts, requestId }
}

/** What the person may sign in with, and what they must not any more, the latest first. */
function accountsOf ({ steps }: Person): { username: string, password: string }[] {
  const accounts = new Map<string, { username: string, password: string }>()
  for (const { after } of steps.toReversed()) {
    const [username, password] = [after.get('username'), after.get('password')]
    if (username !== undefined && password !== undefined) accounts.set(basic(username, password), { username, password })
  }
  return Array.from(accounts.values()).slice(0, TRIED)
}

/** What a person had done by a moment, and what they may have then. */
export interface Past { readonly person: Person, readonly possible: readonly Facts[] }

/**
 * The past when the answers of `isAcknowledged` had been sent: the last acknowledged act is done, and the next one is done
 * whole or not at all.
 */
export function pastOf ({ id, steps, secrets }: Person, isAcknowledged: (requestId: string) => boolean): Past {
  const last = steps.findLastIndex(({ requestId }) => requestId !== undefined && isAcknowledged(requestId))
  const next = steps.findIndex(({ requestId }, index) => index > last && requestId !== undefined)
  const past = steps.slice(0, next === -1 ? undefined : next + 1)
  const tokens = new Set(past.flatMap(({ after }) => namesOf(after, 'token ')))
  return {
    person: { id, steps: past, secrets: new Map(Array.from(secrets).filter(([name]) => tokens.has(name))) },
    possible: [steps[last]?.after ?? new Map(), ...past.slice(last + 1).map(({ after }) => after)]
  }
}

/** How what was found differs from all that it may be; empty where it does not. */
export function differences (found: Facts, possible: readonly Facts[]): string[] {
  const all = possible.map(facts => difference(found, facts))
  return all.some(lines => lines.length === 0) ? [] : all[0] ?? []
}

function difference (found: Facts, expected: Facts): string[] {
  const keys = new Set([...found.keys(), ...expected.keys()])
  return Array.from(keys).flatMap(key => {
    const [has, should] = [found.get(key), expected.get(key)]
    if (has === should) return []
    if (has === undefined) return [`lost: ${key}`]
    if (should === undefined) return [`back again: ${key}`]
    return [`changed: ${key} is ${has}`]
  })
}
