import { effect } from '@preact/signals'
import { bodyOf, createMagicStore, type MagicStore, type NewSession, type Password } from 'magicstore'
import { statusOf } from './errors.ts'
import { baseUrl, folder } from './folder.ts'
import { assertPasskey } from './factors/passkeys.ts'
import { withProof } from './factors/proof.ts'
import { forget } from './kept.ts'
import { forgetPictures } from './pictures/kept-pictures.ts'
import { loadKey, removeKey, saveKey } from './session-key.ts'
import { session, usernameOf, type SessionOwner, type SessionState } from './session-state.ts'
import { providerName } from './settings.ts'
import { texts } from './texts.ts'

interface OpenSession extends SessionOwner {
  readonly token: string
  readonly duration: number
}

/** The token of the last sign-in, until it is first used. */
let fresh: OpenSession | undefined

/** Counts the sign-ins of this window, to ignore answers to requests sent before the latest one. */
let signIns = 0

/** The newest token, for requests of the service worker. */
let newest: { readonly token: string, readonly renewAt: number } | undefined

/** Requests that need a new token at the same time share it. */
let renewal: Promise<unknown> | undefined

/** Set while the session is being replaced by another one. */
let replacement: Promise<unknown> | undefined

/** Share of a token's lifetime after which a new one is requested. */
const RENEWAL_SHARE = 0.9

/** A client without an access token, for sessions and registration. */
const anonymous = createMagicStore({ baseUrl })

/** Created again after each sign-in, because it keeps a token that may have ended. */
let store = openStore()

/** Tells the other windows of this browser what the user has done: signed in, or left on purpose. */
const windows = new BroadcastChannel('magicstore session')

type News = 'entered' | 'left'

/** Set when the page is about to be loaded again. What still runs until then must not continue as another user. */
let isLeaving = false

/** A window that gets the focus asks for its session again after this time. */
const TRUST_MILLISECONDS = 60_000

let checkedAt = 0

/** Thrown if the session has ended. The page already asks for the password. */
export class SessionEnded extends Error {}

/** Continues the session of this browser, if there is one. */
export async function restoreSession (): Promise<void> {
  session.value = { kind: 'loading' }
  try {
    const found = await findSession()
    if (found === undefined) endWith({ kind: 'none' })
    else openWith(found)
  } catch (error) {
    session.value = { kind: 'unreachable', error }
  }
}

/** Follows what other windows of this browser do to the session. */
export function watchSession (): void {
  windows.addEventListener('message', ({ data }: MessageEvent<News>) => {
    void (data === 'left' ? leaveIfOver() : checkSession())
  })
  for (const event of ['visibilitychange', 'focus']) addEventListener(event, checkAfterAbsence)
  // The browser kept this page in memory while it showed another one, and sent it no messages.
  addEventListener('pageshow', ({ persisted }) => { if (persisted) void leaveIfOver() })
}

/**
 * Signs in with the password, and a second factor if the server asks for one; `note` is shown then.
 * @throws MagicStoreError if the server refuses, and Cancelled.
 */
export async function signIn (account: Password, note?: string): Promise<void> {
  const request = async ({ api }: MagicStore) =>
    bodyOf(await api.POST('/api/session', { headers: await keyHeaders() }))
  await beginSession(await withProof(account, request, note))
}

/** Signs in with a passkey alone. @throws MagicStoreError if the server refuses, and PageError. */
export async function signInWithPasskey (): Promise<void> {
  const credential = await assertPasskey(await anonymous.getSignInOptions())
  const init = { body: { credential }, headers: await keyHeaders() }
  await beginSession(bodyOf(await anonymous.api.POST('/api/session/passkey', init)))
}

/**
 * Runs an action that ends the session and signs in again. Other requests wait for it. Otherwise they would find that
 * the session has ended, and the dialog for that would cover the one for the second factor.
 */
export function replaceSession<Result> (replace: () => Promise<Result>): Promise<Result> {
  const replaced = replace().finally(() => { replacement = undefined })
  replacement = replaced.catch(() => {})
  return replaced
}

/** Continues with a session that the server has begun for this browser. */
export async function beginSession (begun: NewSession): Promise<void> {
  // A response to a request with the new cookie and the old key says nothing about this session.
  signIns++
  await saveKey(begun.key)
  openWith(begun)
  tellWindows('entered')
}

/** Creates an account and signs in. @throws MagicStoreError if the server refuses. */
export async function register (credentials: Password): Promise<void> {
  await anonymous.register(credentials)
  await signIn(credentials)
}

/** Ends this session. @throws MagicStoreError if the server refuses. */
export async function signOut (): Promise<void> {
  bodyOf(await anonymous.api.DELETE('/api/session', { headers: await keyHeaders() }))
  await leave(providerName === '' ? undefined : texts.sign.providerKnows(providerName))
}

/**
 * Deletes what this browser keeps of the user, and reloads the page, so that nothing stays in memory. The sign-in page
 * shows `farewell`. This and whether the password was reset survive the reload in the state of the window's history.
 * Other windows of this browser leave, too.
 */
export async function leave (farewell?: string, isReset = false): Promise<void> {
  isLeaving = true
  await forget(usernameOf(session.peek()))
  await Promise.all([removeKey(), forgetPictures()])
  tellWindows('left')
  history.replaceState({ farewell, isReset }, '', folder)
  startAnew()
}

/**
 * Calls the API as the signed-in user. After a refused token it tries once more with a new one. If the session has
 * ended, it waits until the user has signed in again, and continues.
 * @throws MagicStoreError if the server refuses, and TypeError if it can't be reached.
 */
export async function call<Result> (request: (store: MagicStore) => Promise<Result>): Promise<Result> {
  let refusals = 0
  for (;;) {
    try {
      return await request(store)
    } catch (error) {
      if (error instanceof SessionEnded) await whenOpen()
      else if (statusOf(error) !== 401 || ++refusals > 1) throw error
    }
  }
}

/**
 * An access token for the requests of the service worker; a new one if the server refused the token `refused`.
 * @throws SessionEnded, MagicStoreError and TypeError, as `call`.
 */
export async function accessToken (refused?: string): Promise<string> {
  if (newest === undefined || newest.token === refused || Date.now() >= newest.renewAt) {
    renewal ??= issue().finally(() => { renewal = undefined })
    await renewal
  }
  if (newest === undefined) throw new SessionEnded()
  return newest.token
}

function openStore (): MagicStore {
  return createMagicStore({ baseUrl, credentials: { issue } })
}

function whenOpen (): Promise<void> {
  return new Promise(resolve => {
    const stop = effect(() => {
      if (session.value.kind !== 'open') return
      resolve()
      queueMicrotask(() => stop())
    })
  })
}

/** The session of this browser, with a new access token; undefined if there is none. */
async function findSession (): Promise<OpenSession | undefined> {
  checkedAt = Date.now()
  await replacement
  const { data, response, error } = await anonymous.api.GET('/api/session', { headers: await keyHeaders() })
  if (replacement !== undefined) return findSession()
  const found = bodyOf<OpenSession | undefined>({ data, response, error })
  return response.status === 204 ? undefined : found
}

/** For requests that begin, use or end the session of this browser. */
export async function keyHeaders (): Promise<Record<string, string>> {
  const key = await loadKey()
  return key === undefined ? {} : { 'session-key': key }
}

function checkAfterAbsence (): void {
  if (document.visibilityState === 'visible' && Date.now() - checkedAt > TRUST_MILLISECONDS) void checkSession()
}

async function checkSession (): Promise<void> {
  const before = signIns
  try {
    const found = await findSession()
    if (signIns !== before) return
    if (found !== undefined) open(found)
    else end()
  } catch {
    // The next request shows the error.
  }
}

/** Reloads the page if the user has left in another window: none of their data may stay on the screen. */
async function leaveIfOver (): Promise<void> {
  await checkSession()
  if (session.peek().kind === 'ended') startAnew()
}

function tellWindows (news: News): void {
  windows.postMessage(news)
}

function open ({ username, hasPassword, sessionId }: OpenSession): void {
  if (isLeaving) return
  const before = usernameOf(session.value)
  if (before !== '' && before !== username) return startAnew()
  session.value = { kind: 'open', username, hasPassword, sessionId }
}

/** Loads the page again, so that nothing of the user stays in memory. */
function startAnew (): void {
  isLeaving = true
  newest = undefined
  session.value = { kind: 'loading' }
  location.reload()
}

function openWith (found: OpenSession): void {
  signIns++
  store = openStore()
  fresh = found
  keep(found)
  open(found)
}

function keep ({ token, duration }: OpenSession): void {
  newest = { token, renewAt: Date.now() + duration * 1000 * RENEWAL_SHARE }
}

/** Renews the access token. */
async function issue (): Promise<OpenSession> {
  const before = signIns
  const issued = fresh ?? await findSession()
  if (signIns !== before) return issue()
  fresh = undefined
  if (issued === undefined) end()
  else open(issued)
  if (issued === undefined || issued.username !== usernameOf(session.value)) throw new SessionEnded()
  keep(issued)
  return issued
}

function end (): void {
  if (isLeaving) return
  newest = undefined
  const state = session.value
  if ('username' in state) endWith({ ...state, kind: 'ended' })
}

/** Nothing of the user stays in this browser while nobody is signed in. */
function endWith (state: SessionState): void {
  session.value = state
  void forgetPictures()
}
