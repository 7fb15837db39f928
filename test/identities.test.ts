import tap, { test } from 'tap'
import { Authenticator } from './kit/authenticator.ts'
import { createTestClock } from './kit/clock.ts'
import { DAY, HOUR, MINUTE } from './kit/durations.ts'
import { personalToken } from './kit/drive.ts'
import { countHashes } from './kit/hashes.ts'
import { begin, goThrough, outcome, registerIdentity, startProvider, type SignedInPerson } from './kit/identity-provider.ts'
import { turnOn, withCode } from './kit/one-time-codes.ts'
import { checkEvents, registerPasskey } from './kit/passkeys.ts'
import { kindsOf, PASSWORD, runBin, sharedServer, signUp, startServer, type Client } from './kit/server.ts'
import { until } from './kit/waiting.ts'

const unlimited = { SIGN_IN_FAILURES: '1000000', REGISTRATIONS_PER_HOUR: '0', RATE_LIMIT_PER_MINUTE: '0' }

const clock = createTestClock()
const provider = await startProvider(tap)
const server = await sharedServer({ ...unlimited, ...provider.settings, REGISTRATION: 'open' }, { clock })

const as = (sub: string, claims = {}): SignedInPerson => ({ claims: { sub, ...claims } })
const CONFIRM = '/api/identities/confirm'
const account = (token: string, on: Client = server) => on.send('GET', '/api/account', { token })

/** A code that stands for the identity of an account without a password. */
async function codeOf (token: string, sub: string, on = server, from = provider): Promise<string> {
  const { status, json, text } = await goThrough(on, from, as(sub), { path: CONFIRM, begins: { token } })
  if (status !== 200) throw new Error(text)
  return json.code
}

const confirmed = (username: string, code: string) => ({ user: [username, ''] as [string, string], headers: { 'one-time-code': code } })

test('an identity without an account chooses a name, and signs in from then on', async t => {
  t.match((await server.send('GET', '/')).json, { oidc: String }, 'programs see that there is a provider')
  const { url, flow } = await begin(server)
  t.match(Object.fromEntries(new URL(url).searchParams), {
    tenant: '1',
    client_id: 'magicstore',
    response_type: 'code',
    scope: 'openid profile',
    redirect_uri: 'http://localhost:5000/store/oidc/callback',
    code_challenge_method: 'S256',
    state: /^[\w-]{22}$/,
    nonce: /^[\w-]{43}$/,
    code_challenge: /^[\w-]{43}$/
  })
  t.notOk(new URL(url).searchParams.has('max_age'))
  const person = as('first', { preferred_username: 'First' })
  const unknown = await server.send('POST', '/api/session/oidc', { json: { flow, response: provider.signIn(url, person) } })
  t.match(unknown, { status: 200, json: { registration: String, username: 'First' } })
  const { registration } = unknown.json
  const register = (username: string, text = registration) => server.send('POST', '/api/session/oidc/registration', { json: { registration: text, username } })
  await signUp(server, 'taken')
  t.equal(outcome(await register('TAKEN')), '400 username_taken')
  t.equal(outcome(await register('a:b')), '400 username_invalid')
  t.equal(outcome(await register('first', `${registration}A`)), '401 oidc_refused')
  t.equal(outcome(await register('first', flow)), '401 oidc_refused')
  const session = await register('first')
  t.match(session, { status: 201, json: { username: 'first', hasPassword: false, key: String, duration: 600 } })
  t.match(session.headers['set-cookie'], [/^magicstore_session=.*Max-Age=86400; /])
  const { token, sessionId } = session.json
  t.equal(outcome(await register('second')), '401 oidc_refused', 'it registers once')
  t.match((await account(token)).json, { username: 'first', hasPassword: false })
  t.match((await server.send('GET', '/api/identities', { token })).json, { identities: [{ issuer: `${provider.issuer}/`, label: 'First', createdAt: String, lastUsedAt: String }] })
  const { json: { tokens } } = await server.send('GET', '/api/tokens', { token })
  t.match(tokens.find(({ id }: { id: number }) => id === sessionId), { kind: 'session', factors: ['oidc'] })
  t.equal(Date.parse(tokens[0].expiresAt) <= Date.parse(tokens[0].createdAt) + DAY, true)
  const again = await goThrough(server, provider, as('first', { preferred_username: 'other' }))
  t.match(again, { status: 201, json: { username: 'first' } })
  t.equal((await server.send('DELETE', '/api/session', { headers: { cookie: String(again.headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': again.json.key } })).status, 204)
  const kinds = await until(() => kindsOf(server, { token }), kinds => kinds.length >= 3)
  t.ok(['registered', 'sign_in_new_network'].every(kind => kinds.includes(kind)), kinds.join())
})

test('two registrations of one identity are one account, and a name is proposed only if it is valid and free', async t => {
  const offers = await Promise.all([goThrough(server, provider, as('twice')), goThrough(server, provider, as('twice'))])
  const sent = await Promise.all(offers.map(({ json: { registration } }, index) => server.send('POST', '/api/session/oidc/registration', { json: { registration, username: `twice-${index}` } })))
  t.strictSame(sent.map(outcome).sort(), ['201', '409 identity_taken'])
  await signUp(server, 'not-free')
  for (const [proposed, username] of [['Not-Free', null], ['a:b', null], [7, null], ['', null], ['x'.repeat(65), null], ['free', 'free']]) {
    t.equal((await goThrough(server, provider, as('somebody', { preferred_username: proposed }))).json.username, username, String(proposed))
  }
  const late = await goThrough(server, provider, as('somebody'))
  clock.advance(10 * MINUTE)
  t.equal(outcome(await server.send('POST', '/api/session/oidc/registration', { json: { registration: late.json.registration, username: 'late' } })), '401 oidc_refused')
  clock.advance(-10 * MINUTE)
})

test('a label is shown if it is short, and one line of text', async t => {
  const { user, token } = await signUp(server)
  const labels = [[{ preferred_username: 'Ann', email: 'ann@example.org' }, 'Ann'], [{ email: 'ann@example.org', name: 'Ann A.' }, 'ann@example.org'], [{ preferred_username: 7, name: 'Ann A.' }, 'Ann A.'], [{ name: 'a'.repeat(256) }, null], [{ name: 'a\nb' }, null]] as const
  for (const [index, [claims]] of labels.entries()) {
    t.equal((await goThrough(server, provider, as(`label-${index}`, claims), { path: '/api/identities', begins: { user } })).status, 201)
  }
  const { json: { identities } } = await server.send('GET', '/api/identities', { token })
  t.strictSame(identities.map(({ label }: { label: string }) => label), labels.map(([, label]) => label))
  t.equal(outcome(await goThrough(server, provider, as('label-6'), { path: '/api/identities', begins: { user } })), '409 too_many_identities')
})

test('an identity is connected with the password, signs in beside it, and is removed with the sessions that it began', async t => {
  const { user, token } = await signUp(server)
  const other = await signUp(server)
  const connect = { path: '/api/identities', begins: { user } }
  const connected = await goThrough(server, provider, as('mine'), connect)
  t.match(connected, { status: 201, json: { id: Number, issuer: String, label: null } })
  t.equal(outcome(await goThrough(server, provider, as('mine'), connect)), '409 identity_taken')
  t.equal(outcome(await goThrough(server, provider, as('mine'), { ...connect, begins: { user: other.user } })), '409 identity_taken')
  t.equal(outcome(await goThrough(server, provider, as('mine-2'), { ...connect, begins: { token }, ends: { token } })), '401 password_required')

  const session = await goThrough(server, provider, as('mine'))
  t.match(session, { status: 201, json: { username: user[0] } })
  const own = (await server.send('POST', '/api/session', { user })).json.token
  t.match((await account(token)).json, { hasPassword: true })
  t.equal(outcome(await server.send('POST', `${CONFIRM}/options`, { token })), '409 password_present')
  t.equal(outcome(await server.send('POST', CONFIRM, { token, json: { flow: 'a', response: 'a' } })), '409 password_present')

  const remove = (id: number, who = user) => server.send('DELETE', `/api/identities/${id}`, { user: who })
  t.equal(outcome(await remove(connected.json.id, other.user)), '404 not_found')
  t.equal(outcome(await server.send('DELETE', `/api/identities/${connected.json.id}`, { token })), '401 password_required')
  t.equal((await remove(connected.json.id)).status, 204)
  t.equal(outcome(await remove(connected.json.id)), '404 not_found')
  t.equal(outcome(await account(session.json.token)), '401 token_revoked')
  t.strictSame(await Promise.all([own, token].map(async each => (await account(each)).status)), [200, 200], 'other sessions and tokens stay')
  t.match(await goThrough(server, provider, as('mine')), { status: 200, json: { registration: String } })
  for (const kind of ['identity_connected', 'identity_removed']) await checkEvents(t, server, token, { kind, count: 1 })
})

test('nothing about identities is told without a credential', async t => {
  for (const [method, path] of [['GET', ''], ['POST', '/options'], ['POST', ''], ['DELETE', '/1'], ['POST', '/confirm/options'], ['POST', '/confirm']] as const) {
    t.equal(outcome(await server.send(method, `/api/identities${path}`)), '401 credentials_missing', `${method} ${path}`)
  }
})

test('connecting needs the second factor, and ends a reset and codes that were made before', async t => {
  const { user } = await signUp(server)
  const { recoveryCodes } = await turnOn(server, user)
  const guarded = () => withCode(user, String(recoveryCodes.pop()))
  const { stdout } = await runBin(['user', 'reset', user[0], '--json'], { DATA_DIR: server.dataDir })
  const check = () => server.send('POST', '/api/account/claim/check', { json: { secret: /claim=(\w+)/.exec(stdout)?.[1] } })
  t.equal(outcome(await check()), '200')
  const { flow, url } = await begin(server, '/api/identities', guarded())
  const json = { flow, response: provider.signIn(url, as('guarded')) }
  t.equal(outcome(await server.send('POST', '/api/identities', { user, json })), '401 second_factor_required')
  const connected = await server.send('POST', '/api/identities', { ...guarded(), json })
  t.equal(outcome(connected), '201', 'which did not spend the flow')
  t.equal(outcome(await check()), '404 not_found')
  t.equal(outcome(await goThrough(server, provider, as('guarded'))), '201', 'the provider stands for all factors')
  const path = `/api/identities/${connected.json.id}`
  t.equal(outcome(await server.send('DELETE', path, { user })), '401 second_factor_required')
  t.equal(outcome(await server.send('DELETE', path, guarded())), '204')
})

test('an account without a password makes tokens and is deleted with a code of its identity, once, and nothing else takes that code', async t => {
  const { token } = await registerIdentity(server, provider, 'coded')
  const { token: bobs } = await registerIdentity(server, provider, 'bob')
  const { url } = await begin(server, CONFIRM, { token })
  t.equal(new URL(url).searchParams.get('max_age'), '300')
  const create = (username: string, code: string) => server.send('POST', '/api/tokens', { ...confirmed(username, code), json: { name: 'a program', scopes: ['files:read', 'account'] } })
  const hashes = countHashes(t)
  t.equal(outcome(await create('coded', 'abcd-efgh')), '401 credentials_wrong')
  t.equal(outcome(await create('nobody', 'abcd-efgh')), '401 credentials_wrong')
  const stolen = await codeOf(token, 'coded')
  t.equal(outcome(await create('bob', stolen)), '401 credentials_wrong', 'a code is for one account')
  t.equal(outcome(await create('coded', stolen)), '401 credentials_wrong', 'and is spent')
  const code = await codeOf(token, 'coded')
  t.equal(hashes(), 0, 'no password is hashed')
  for (const [method, path, json] of [['PUT', '/api/account/password', { password: PASSWORD }], ['POST', '/api/session', undefined], ['POST', '/api/passkeys/options', undefined], ['POST', '/api/second-factor/totp', undefined], ['GET', '/api/token', undefined], ['GET', '/api/account', undefined], ['DELETE', '/api/identities/1', undefined]] as const) {
    t.equal(outcome(await server.send(method, path, { ...confirmed('coded', code), json })), '401 credentials_wrong', `${method} ${path}`)
  }
  t.ok(hashes() > 0, 'there an empty password is one like any other')
  const uses = await Promise.all(Array.from({ length: 8 }, () => create('coded', code)))
  t.strictSame(uses.map(outcome).sort(), ['201', ...Array.from({ length: 7 }, () => '401 credentials_wrong')])
  const made = uses.find(({ status }) => status === 201)?.json
  t.strictSame(made.factors, ['oidc'])
  t.equal((await account(made.token)).status, 200)

  t.equal(outcome(await goThrough(server, provider, as('bob'), { path: CONFIRM, begins: { token } })), '401 oidc_refused', 'the identity of another')
  t.equal(outcome(await goThrough(server, provider, as('unknown'), { path: CONFIRM, begins: { token } })), '401 oidc_refused', 'one that nobody has')
  t.equal((await server.send('POST', '/api/tokens', { user: ['bob', ''], json: { name: 'a', scopes: ['account'] } })).json.code, 'credentials_wrong', 'without a code')
  t.equal(outcome(await server.send('POST', `${CONFIRM}/options`, { token: (await limited(made.token)) })), '403 insufficient_scope')

  const late = await codeOf(token, 'coded')
  clock.advance(5 * MINUTE)
  t.equal(outcome(await create('coded', late)), '401 credentials_wrong')
  clock.advance(-5 * MINUTE)
  await checkEvents(t, server, token, { kind: 'identity_refused', count: 2 })
  t.equal((await server.send('DELETE', '/api/account', confirmed('bob', await codeOf(bobs, 'bob')))).status, 204)
  t.ok((await registerIdentity(server, provider, 'bob', as('bob'))).token, 'and the identity is free')

  /** A token without the scope `account`. */
  async function limited (full: string) {
    const code = await codeOf(full, 'coded')
    return (await server.send('POST', '/api/tokens', { ...confirmed('coded', code), json: { name: 'limited', scopes: ['files:read'] } })).json.token
  }
})

test('a stolen session makes no token: the identity must have signed in lately, if the provider tells when', async t => {
  const { token } = await registerIdentity(server, provider, 'robbed')
  const { json: { flow } } = await server.send('POST', '/api/session/oidc/options')
  t.equal(outcome(await server.send('POST', CONFIRM, { token, json: { flow, response: 'code=a' } })), '401 oidc_refused', 'the thief has no sign-in of the owner')
  t.equal(outcome(await goThrough(server, provider, as('thief'), { path: CONFIRM, begins: { token } })), '401 oidc_refused', 'but perhaps one of their own')
  const connecting = await begin(server, '/api/identities', { token })
  const other = { flow: connecting.flow, response: provider.signIn(connecting.url, as('robbed')) }
  t.equal(outcome(await server.send('POST', CONFIRM, { token, json: other })), '401 oidc_refused', 'for which no recent sign-in was asked')
  const seconds = Math.floor(Date.now() / 1000)
  for (const [time, expected] of [[seconds - 3600, '401 oidc_refused'], ['now', '401 oidc_refused'], [seconds - 200, '200'], [undefined, '200']] as const) {
    t.equal(outcome(await goThrough(server, provider, as('robbed', { auth_time: time }), { path: CONFIRM, begins: { token } })), expected, String(time))
  }
})

test('no password opens an account without one, and none is hashed less than for a name that is not there', async t => {
  await registerIdentity(server, provider, 'bare')
  const hashes = countHashes(t)
  for (const username of ['bare', 'not-there']) {
    for (const password of ['', ' ', PASSWORD, 'bare', '$argon2id$v=19$m=19456,t=2,p=1$', '\0', 'undefined']) {
      t.match(await server.send('GET', '/api/resource', { user: [username, password] }), { status: 401, json: { code: 'credentials_wrong' } }, `${username}:${password}`)
      t.equal(hashes(), 1, `${username}:${password}`)
    }
  }
})

test('who was disabled, removed or left the group is out, and is back only if that is undone', async t => {
  const settings = { ...unlimited, ...provider.settings, OIDC_ALLOW: 'groups=staff', DATA_DIR: t.testdir() }
  const own = await startServer(t, settings)
  const { url } = await begin(own)
  t.equal(new URL(url).searchParams.get('scope'), 'openid profile groups')
  const staff = (sub: string) => as(sub, { groups: ['other', 'staff'] })
  const { token } = await registerIdentity(own, provider, 'worker', staff('worker'))
  for (const groups of [undefined, [], ['Staff', 'staff '], 'staffing', { staff: true }, [['staff']], true]) {
    t.equal(outcome(await goThrough(own, provider, as('worker', { groups }))), '403 identity_not_allowed', JSON.stringify(groups))
    t.equal(outcome(await goThrough(own, provider, as('stranger', { groups }))), '403 identity_not_allowed', JSON.stringify(groups))
  }
  t.equal(outcome(await goThrough(own, provider, as('worker', { groups: 'staff' }))), '201', 'one text is enough')
  t.equal(outcome(await goThrough(own, provider, { ...as('worker'), userInfo: { sub: 'worker', groups: ['staff'] } })), '201', 'UserInfo adds claims')
  t.equal(outcome(await goThrough(own, provider, { ...as('worker', { groups: [] }), userInfo: { sub: 'worker', groups: ['staff'] } })), '403 identity_not_allowed', 'but replaces none')
  t.equal(outcome(await goThrough(own, provider, as('worker'), { path: CONFIRM, begins: { token } })), '403 identity_not_allowed')
  const { user } = await addUser(settings.DATA_DIR)
  t.equal(outcome(await goThrough(own, provider, as('second'), { path: '/api/identities', begins: { user } })), '403 identity_not_allowed')
  await until(async () => (await kindsOf(own, { token })).filter(kind => kind === 'identity_refused').length >= 8)

  await runBin(['user', 'disable', 'worker'], { DATA_DIR: settings.DATA_DIR })
  t.equal(outcome(await goThrough(own, provider, staff('worker'))), '403 identity_unknown')
  t.equal(outcome(await account(token, own)), '401 token_revoked')
  await runBin(['user', 'enable', 'worker'], { DATA_DIR: settings.DATA_DIR })
  t.equal(outcome(await goThrough(own, provider, staff('worker'))), '201')
  await runBin(['user', 'rm', 'worker', '--yes'], { DATA_DIR: settings.DATA_DIR })
  t.equal(outcome(await account(token, own)), '401 token_revoked')
  t.ok((await registerIdentity(own, provider, 'worker', staff('worker'))).token, 'a removed account frees its identity')
})

test('who has left the group is out of the page after the hours, and out of programs and drives after the days', async t => {
  const own = await startServer(t, { ...unlimited, ...provider.settings, OIDC_ALLOW: 'groups=staff', OIDC_SESSION_HOURS: '8', OIDC_TOKEN_DAYS: '7' }, { clock })
  const staff = as('leaver', { groups: ['staff'] })
  const { token, headers } = await registerIdentity(own, provider, 'leaver', staff)
  const { code } = (await goThrough(own, provider, staff, { path: CONFIRM, begins: { token } })).json
  const program = (await own.send('POST', '/api/tokens', { ...confirmed('leaver', code), json: { name: 'a program', scopes: ['files:read', 'account'] } })).json.token
  let newest = ''
  const works = async () => {
    const page = await own.send('GET', '/api/session', { headers })
    if (page.status === 200) newest = page.json.token
    const drive = await own.send('PROPFIND', '/dav/', { user: ['leaver', program], headers: { depth: '0' } })
    return [page.status, (await account(newest, own)).status, (await account(program, own)).status, drive.status]
  }
  clock.advance(HOUR)
  t.equal(outcome(await goThrough(own, provider, as('leaver', { groups: ['guests'] }))), '403 identity_not_allowed', 'from now on')
  clock.advance(7 * HOUR - 1)
  t.strictSame(await works(), [200, 200, 200, 207], 'a moment before the hours are over')
  clock.advance(1)
  t.strictSame(await works(), [204, 401, 200, 207], 'an access token of the page ends with its session')
  clock.advance(7 * DAY - 8 * HOUR - 1)
  t.equal(outcome(await goThrough(own, provider, as('leaver'))), '403 identity_not_allowed')
  t.strictSame(await works(), [204, 401, 200, 207], 'a moment before the days are over')
  clock.advance(1)
  t.strictSame(await works(), [204, 401, 401, 401])
  clock.advance(-7 * DAY)
})

test('an account without a password allows a program by a code of its identity, and that token rests as others do', async t => {
  const { token } = await registerIdentity(server, provider, 'connector')
  const { json: asked } = await server.send('POST', '/api/connections', { json: { name: 'a program', scopes: ['files:read'] } })
  const allow = (code: string) => server.send('POST', `/api/connections/${asked.id}/allow`, confirmed('connector', code))
  t.equal(outcome(await server.send('POST', `/api/connections/${asked.id}/allow`, { token })), '401 password_required')
  t.equal(outcome(await allow('abcd-efgh')), '401 credentials_wrong')
  t.equal(outcome(await allow(await codeOf(token, 'connector'))), '204')
  const { json: { token: made } } = await server.send('POST', `/api/connections/${asked.id}/token`, { json: { secret: asked.secret } })
  const list = () => server.send('GET', '/api/files', { token: made })
  t.equal((await list()).status, 200)
  clock.advance(30 * DAY)
  t.equal(outcome(await list()), '401 sign_in_required')
  clock.advance(-30 * DAY)
})

test('an outage of the provider ends no session and no token', async t => {
  const failing = await startProvider(t)
  const own = await startServer(t, { ...unlimited, ...failing.settings })
  const { token, headers } = await registerIdentity(own, failing, 'ann')
  const made = (await own.send('POST', '/api/tokens', { ...confirmed('ann', await codeOf(token, 'ann', own, failing)), json: { name: 'a program', scopes: ['account'] } })).json.token
  const { flow, url } = await begin(own)
  const json = { flow, response: failing.signIn(url, as('ann')) }
  await failing.close()
  t.equal(outcome(await own.send('POST', '/api/session/oidc', { json })), '503 provider_unavailable')
  t.equal((await own.send('GET', '/api/session', { headers })).status, 200)
  for (const each of [token, made]) t.equal((await account(each, own)).status, 200)
})

test('of a sign-in, and at the same time the removal of its identity or a first factor, no session stays', async t => {
  const ends: Record<string, (user: [string, string], id: number) => Promise<unknown>> = {
    removal: (user, id) => server.send('DELETE', `/api/identities/${id}`, { user }),
    'first factor': user => turnOn(server, user)
  }
  for (const [name, end] of Object.entries(ends)) {
    for (let round = 0; round < 6; round++) {
      const { user } = await signUp(server)
      const person = as(`race ${name} ${round}`)
      const { id } = (await goThrough(server, provider, person, { path: '/api/identities', begins: { user } })).json
      const [session] = await Promise.all([goThrough(server, provider, person), end(user, id)])
      t.match(outcome(session), /^(?:20[01]|401 credentials_wrong)$/, name)
      if (session.status !== 201) continue
      const headers = { cookie: String(session.headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': session.json.key }
      t.equal((await server.send('GET', '/api/session', { headers })).status, 204, name)
      t.equal(outcome(await account(session.json.token)), '401 token_revoked', name)
    }
  }
})

test('an identity registers within the limits of a network, and only over TLS where a proxy says how it came', async t => {
  const own = await startServer(t, { RATE_LIMIT_PER_MINUTE: '0', ...provider.settings, REGISTRATIONS_PER_HOUR: '1', TRUST_PROXY: '127.0.0.1' })
  const headers = (protocol: string) => ({ 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': protocol })
  const go = async (sub: string) => {
    const { url, flow } = await begin(own, '/api/session/oidc', { headers: headers('https') })
    return own.send('POST', '/api/session/oidc', { headers: headers('https'), json: { flow, response: provider.signIn(url, as(sub)) } })
  }
  const register = async (sub: string) => {
    const { json: { registration } } = await go(sub)
    return own.send('POST', '/api/session/oidc/registration', { headers: headers('https'), json: { registration, username: sub } })
  }
  t.equal(outcome(await register('one')), '201')
  t.equal(outcome(await register('two')), '429 too_many_registrations')
  const json = { flow: 'a', response: 'a' }
  for (const [path, body] of [['/options', undefined], ['', json], ['/registration', { registration: 'a', username: 'a' }]] as const) {
    t.equal(outcome(await own.send('POST', `/api/session/oidc${path}`, { headers: headers('http'), json: body })), '403 tls_required', path)
  }
})

/** An account with a password, where users can't register one. */
async function addUser (dataDir: string, name = 'with-password') {
  await runBin(['user', 'add', name], { DATA_DIR: dataDir }, PASSWORD)
  return { user: [name, PASSWORD] as [string, string] }
}

test('tokens of an account without a password rest when its last sign-in is old, and work again after the next', async t => {
  const own = await startServer(t, { ...unlimited, ...provider.settings, OIDC_TOKEN_DAYS: '2', OIDC_SESSION_HOURS: '2' }, { clock })
  const { token, headers } = await registerIdentity(own, provider, 'resting')
  const made = (await own.send('POST', '/api/tokens', { ...confirmed('resting', await codeOf(token, 'resting', own)), json: { name: 'a program', scopes: ['files:read', 'account'] } })).json.token
  const renew = async () => (await own.send('GET', '/api/session', { headers })).status
  const drive = () => own.send('PROPFIND', '/dav/', { user: ['resting', made], headers: { depth: '0' } })
  const exchange = () => own.send('GET', '/api/token', { user: [made, ''] })
  const works = async () => [(await account(made, own)).status, await renew(), (await drive()).status]
  t.strictSame([...await works(), (await exchange()).status], [200, 200, 207, 200])
  clock.advance(2 * HOUR)
  t.strictSame([(await account(made, own)).status, await renew()], [200, 204], 'the session has ended')
  clock.advance(2 * DAY - 2 * HOUR - 1)
  t.equal((await account(made, own)).status, 200)
  clock.advance(1)
  t.equal(outcome(await account(made, own)), '401 sign_in_required')
  t.equal(outcome(await exchange()), '401 sign_in_required')
  t.match(await drive(), { status: 401, json: { code: 'token_required', detail: /sign-in/ } })
  const back = await goThrough(own, provider, as('resting'))
  t.equal(outcome(back), '201')
  t.strictSame([(await account(made, own)).status, (await drive()).status], [200, 207])
  clock.advance(3 * DAY)
  const { user } = await addUser(own.dataDir, 'lasting')
  const other = await personalToken(own, user, ['account'])
  t.equal((await goThrough(own, provider, as('lasting'), { path: '/api/identities', begins: { user } })).status, 201)
  clock.advance(30 * DAY)
  t.equal((await account(other, own)).status, 200, 'an account with a password does not depend on the provider')
  clock.advance(-35 * DAY)
})

test('the same subject at another issuer is somebody else', async t => {
  const other = await startProvider(t)
  const dataDir = t.testdir()
  const settings = { ...unlimited, DATA_DIR: dataDir }
  const first = await startServer(t, { ...settings, ...provider.settings })
  await registerIdentity(first, provider, 'ann')
  await first.close()
  const second = await startServer(t, { ...settings, ...other.settings })
  t.match(await goThrough(second, other, as('ann')), { status: 200, json: { registration: String } })
  t.equal(outcome(await goThrough(second, other, as('ann', { iss: provider.issuer }))), '401 oidc_refused')
})

test('the first second factor ends an identity that a thief has connected with the password alone, and its sessions', async t => {
  const factors: Record<string, (user: [string, string]) => Promise<unknown>> = {
    'one-time codes': user => turnOn(server, user),
    'a passkey': user => registerPasskey(server, user, new Authenticator('http://localhost:5000'))
  }
  for (const [name, add] of Object.entries(factors)) {
    const { user } = await signUp(server)
    const personal = await personalToken(server, user, ['account'])
    const thief = as(`thief with ${name}`)
    const connect = { path: '/api/identities', begins: { user } }
    t.equal((await goThrough(server, provider, thief, connect)).status, 201)
    const session = await goThrough(server, provider, thief)
    const begun = await begin(server, '/api/identities', { user })
    await add(user)
    t.equal(outcome(await account(session.json.token)), '401 token_revoked', name)
    t.strictSame((await server.send('GET', '/api/identities', { token: personal })).json, { identities: [] }, name)
    t.match(await goThrough(server, provider, thief), { status: 200, json: { registration: String } }, name)
    const json = { flow: begun.flow, response: provider.signIn(begun.url, thief) }
    t.equal(outcome(await server.send('POST', '/api/identities', { user, json })), '401 second_factor_required', name)
  }
})

test('a new password, by its owner, a reset or the operator, ends an identity that a thief has connected', async t => {
  const settings = { DATA_DIR: server.dataDir, PUBLIC_URL: 'http://localhost:5000' }
  const changes: Record<string, (user: [string, string]) => Promise<unknown>> = {
    owner: user => server.send('PUT', '/api/account/password', { user, json: { password: 'another secret' } }),
    operator: ([name]) => runBin(['user', 'passwd', name], settings, 'another secret'),
    async reset ([name]) {
      const { stdout } = await runBin(['user', 'reset', name, '--json'], settings)
      const secret = /claim=(\w+)/.exec(stdout)?.[1]
      return server.send('POST', '/api/account/claim', { json: { secret, password: 'another secret' } })
    }
  }
  for (const [name, change] of Object.entries(changes)) {
    const { user } = await signUp(server)
    t.equal((await goThrough(server, provider, as(`thief-${name}`), { path: '/api/identities', begins: { user } })).status, 201)
    const session = await goThrough(server, provider, as(`thief-${name}`))
    t.equal(outcome(session), '201')
    await change(user)
    t.equal(outcome(await account(session.json.token)), '401 token_revoked', name)
    t.match(await goThrough(server, provider, as(`thief-${name}`)), { status: 200, json: { registration: String } }, name)
    const { json } = await server.send('GET', '/api/identities', { user: [user[0], 'another secret'] })
    t.strictSame(json, { identities: [] }, name)
  }
})
