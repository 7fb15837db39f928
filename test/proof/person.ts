import { createHash, randomBytes } from 'node:crypto'

/** What a user has: `username`, `password`, each `file <name>` with its digest, each `token <name>`. Empty without an account. */
export type Facts = ReadonlyMap<string, string>

/** An operation that was sent, and what the user has afterwards. */
interface Step {
  readonly what: string
  readonly after: Facts
  /** The id of the response; undefined if there was none. */
  requestId: string | undefined
}

/** A client that sends one operation at a time. */
export interface Person {
  readonly id: number
  /** All operations, in order. */
  readonly steps: Step[]
  /** Secrets of all tokens ever issued, by name, except those whose response was lost. */
  readonly secrets: Map<string, string>
}

export interface Answer { readonly status: number, readonly requestId: string, readonly bytes: Buffer }

export interface Act {
  readonly what: string
  readonly after: Facts
  send (url: string): Promise<Answer>
  /** Stores what only the response contains. */
  learn? (answer: Answer): void
}

/** Maximum number of files, so that each is used soon. */
const MAX_FILES = 6
const MAX_TOKENS = 3

export function createPerson (id: number): Person {
  return { id, steps: [], secrets: new Map() }
}

/** What the user has after all operations. */
export function factsOf ({ steps }: Person): Facts {
  return steps.at(-1)?.after ?? new Map()
}

export function digest (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

interface Sent { readonly credential?: string, readonly json?: unknown, readonly body?: BodyInit }

/** Sends a request. @throws if the connection fails. */
export async function ask (url: string, method: string, { credential, json, body }: Sent): Promise<Answer> {
  const headers = new Headers()
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
export async function useServer (person: Person, url: string, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const act = nextAct(person)
    const step: Step = { what: act.what, after: act.after, requestId: undefined }
    person.steps.push(step)
    const answer = await act.send(url).catch(() => undefined)
    if (answer === undefined) return
    if (answer.status >= 300) throw new Error(`${act.what} was answered with ${answer.status}: ${answer.bytes}`)
    act.learn?.(answer)
    step.requestId = answer.requestId
  }
}

function nextAct (person: Person): Act {
  const facts = factsOf(person)
  if (!facts.has('username')) return register(person, facts)
  const files = namesOf(facts, 'file ')
  const tokens = namesOf(facts, 'token ').filter(name => person.secrets.has(name))
  const [session] = tokens
  if (session === undefined) return signIn(person, facts)
  const acts: [weight: number, make: () => Act][] = [
    [files.length < MAX_FILES ? 3 : 0, () => create(person, facts, session)],
    [files.length > 0 ? 5 : 0, () => replace(person, facts, { session, name: any(files) })],
    [files.length > 2 ? 3 : 0, () => remove(person, facts, { session, name: any(files) })],
    [files.length > 0 ? 1 : 0, () => rename(person, facts, { session, name: any(files) })],
    [tokens.length < MAX_TOKENS ? 0.5 : 0, () => any([signIn, createToken])(person, facts)],
    [tokens.length > 1 ? 0.5 : 0, () => revoke(person, facts, any(tokens.slice(1)))],
    [0.15, () => changePassword(facts)],
    [0.05, () => leave(facts)]
  ]
  let left = Math.random() * acts.reduce((sum, [weight]) => sum + weight, 0)
  const [, make] = acts.find(([weight]) => (left -= weight) < 0) ?? [0, () => create(person, facts, session)]
  return make()
}

export function namesOf (facts: Facts, prefix: string): string[] {
  return Array.from(facts.keys()).filter(key => key.startsWith(prefix)).map(key => key.slice(prefix.length))
}

function any<T> (values: readonly T[]): T {
  return values[Math.floor(Math.random() * values.length)] as T
}

function changed (facts: Facts, changes: Record<string, string | undefined>): Facts {
  const after = new Map(facts)
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) after.delete(key)
    else after.set(key, value)
  }
  return after
}

const fresh = () => randomBytes(4).toString('hex')
const credentials = (facts: Facts) => basic(facts.get('username'), facts.get('password'))
const bearer = ({ secrets }: Person, name: string) => `Bearer ${secrets.get(name)}`

function register ({ id }: Person, facts: Facts): Act {
  const [username, password] = [`person-${id}-${fresh()}`, fresh()]
  return {
    what: `register ${username}`,
    after: changed(facts, { username, password }),
    send: url => ask(`${url}/api/users`, 'POST', { json: { username, password } })
  }
}

function signIn ({ secrets }: Person, facts: Facts): Act {
  const name = `access-${fresh()}`
  return {
    what: `get ${name}`,
    after: changed(facts, { [`token ${name}`]: 'works' }),
    send: url => ask(`${url}/api/token`, 'GET', { credential: credentials(facts) }),
    learn: ({ bytes }) => { secrets.set(name, JSON.parse(bytes.toString()).token) }
  }
}

function createToken ({ secrets }: Person, facts: Facts): Act {
  const name = `personal-${fresh()}`
  const json = { name, scopes: ['files:read', 'files:write', 'account'] }
  return {
    what: `create ${name}`,
    after: changed(facts, { [`token ${name}`]: 'works' }),
    send: url => ask(`${url}/api/tokens`, 'POST', { credential: credentials(facts), json }),
    learn: ({ bytes }) => { secrets.set(name, JSON.parse(bytes.toString()).token) }
  }
}

function revoke (person: Person, facts: Facts, name: string): Act {
  return {
    what: `revoke ${name}`,
    after: changed(facts, { [`token ${name}`]: undefined }),
    send: url => ask(`${url}/api/token`, 'DELETE', { credential: bearer(person, name) })
  }
}

function changePassword (facts: Facts): Act {
  const password = fresh()
  const ended = Object.fromEntries(namesOf(facts, 'token ').map(name => [`token ${name}`, undefined]))
  return {
    what: 'change the password',
    after: changed(facts, { password, ...ended }),
    send: url => ask(`${url}/api/account/password`, 'PUT', { credential: credentials(facts), json: { password } })
  }
}

function leave (facts: Facts): Act {
  return {
    what: `delete the account ${facts.get('username')}`,
    after: new Map(),
    send: url => ask(`${url}/api/account`, 'DELETE', { credential: credentials(facts) })
  }
}

/** Empty, small, or large enough for several writes. */
function someBytes (): Uint8Array<ArrayBuffer> {
  const kind = Math.random()
  return new Uint8Array(randomBytes(kind < 0.1 ? 0 : Math.floor(Math.random() * (kind < 0.2 ? 300_000 : 5000))))
}

function create (person: Person, facts: Facts, session: string): Act {
  const name = fresh()
  const bytes = someBytes()
  const form = new FormData()
  form.set('file', new Blob([bytes]), name)
  const credential = bearer(person, session)
  return {
    what: `create ${name}`,
    after: changed(facts, { [`file ${name}`]: digest(bytes) }),
    send: url => Math.random() < 0.5
      ? ask(`${url}/`, 'POST', { credential, body: form })
      : ask(`${url}/uploads/${name}`, 'PUT', { credential, body: bytes })
  }
}

function replace (person: Person, facts: Facts, { session, name }: { session: string, name: string }): Act {
  const bytes = someBytes()
  return {
    what: `replace ${name}`,
    after: changed(facts, { [`file ${name}`]: digest(bytes) }),
    send: url => ask(`${url}/uploads/${name}`, 'PUT', { credential: bearer(person, session), body: bytes })
  }
}

function remove (person: Person, facts: Facts, { session, name }: { session: string, name: string }): Act {
  return {
    what: `delete ${name}`,
    after: changed(facts, { [`file ${name}`]: undefined }),
    send: url => ask(`${url}/uploads/${name}`, 'DELETE', { credential: bearer(person, session) })
  }
}

function rename (person: Person, facts: Facts, { session, name }: { session: string, name: string }): Act {
  const newName = fresh()
  return {
    what: `rename ${name} to ${newName}`,
    after: changed(facts, { [`file ${newName}`]: facts.get(`file ${name}`), [`file ${name}`]: undefined }),
    send: url => ask(`${url}/api/files/${name}`, 'PATCH', { credential: bearer(person, session), json: { name: newName } })
  }
}
