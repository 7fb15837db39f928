import { createHmac } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import tap, { test } from 'tap'
import { readProviderMetadata } from '#src/identities/provider.ts'
import { createTestClock } from './kit/clock.ts'
import { HOUR, MINUTE } from './kit/durations.ts'

import { begin, goThrough, outcome, registerIdentity, startProvider, type SignedInPerson } from './kit/identity-provider.ts'
import { logOf, PASSWORD, signUp, spawnServer, startServer, type Client } from './kit/server.ts'
import { KIB, MIB } from './kit/sizes.ts'
import { until } from './kit/waiting.ts'
import { freePort } from './kit/wire.ts'

/** Many refusals come from one network. */
const unlimited = { SIGN_IN_FAILURES: '1000000', REGISTRATIONS_PER_HOUR: '0', RATE_LIMIT_PER_MINUTE: '0' }

const clock = createTestClock()
const provider = await startProvider(tap)
const foreign = await generateKeyPair('ES256')
const unrelated = await generateKeyPair('RS256')
const server = await startServer(tap, { ...unlimited, ...provider.settings }, { clock })

/** Makes an hour pass for metadata and keys, which are kept so long. */
const { now: performanceNow } = performance
let passed = 0
performance.now = () => performanceNow.call(performance) + passed
tap.teardown(() => { performance.now = performanceNow })
const passHour = () => { passed += HOUR }

const SESSION = '/api/session/oidc'
const REFUSED = '401 oidc_refused'
const UNAVAILABLE = '503 provider_unavailable'

const send = (path: string, json: unknown, options = {}) => server.send('POST', path, { json, ...options })
const countAccounts = async () => {
  let id = 1
  while ((await server.send('GET', `/api/users/${id}`)).status === 200) id++
  return id
}

/** Nobody has got an account or a session by what `act` does. */
async function changesNothing (act: () => Promise<void>, check: (isSame: boolean) => void) {
  const before = await countAccounts()
  await act()
  check(await countAccounts() === before)
}

test('the e-mail address or the name of an account opens nothing', async t => {
  const { user, token } = await signUp(server)
  const claims = { sub: 'thief', preferred_username: user[0], name: user[0], email: user[0], email_verified: true }
  const answer = await goThrough(server, provider, { claims })
  t.match(answer, { status: 200, json: { registration: String, username: null } })
  t.match(await send(`${SESSION}/registration`, { registration: answer.json.registration, username: user[0] }), { status: 400, json: { code: 'username_taken' } })
  t.strictSame((await server.send('GET', '/api/identities', { token })).json, { identities: [] })
})

test('a flow is for one act and one account, for thirty minutes, once', async t => {
  const { user: ann, token } = await signUp(server)
  const { user: bob } = await signUp(server)
  await registerIdentity(server, provider, 'flows')
  const [signIn, other] = [await begin(server), await begin(server)]
  const connect = await begin(server, '/api/identities', { token })
  const reply = (url: string) => provider.signIn(url, { claims: { sub: 'flows-2' } })

  t.equal(outcome(await send(SESSION, { flow: signIn.flow, response: reply(other.url) })), REFUSED, 'of another browser')
  t.equal(outcome(await send(SESSION, { flow: signIn.flow, response: reply(signIn.url) })), REFUSED, 'it is spent whatever follows')
  t.equal(outcome(await send('/api/identities', { flow: connect.flow, response: reply(connect.url) }, { user: bob })), REFUSED, 'of another account')
  t.equal(outcome(await send(SESSION, { flow: connect.flow, response: reply(connect.url) })), REFUSED, 'of another purpose')
  t.equal(outcome(await send('/api/identities', { flow: other.flow, response: reply(other.url) }, { user: ann })), REFUSED, 'of another purpose')
  for (const change of [(flow: string) => `${flow}A`, (flow: string) => `${flow.startsWith('B') ? 'C' : 'B'}${flow.slice(1)}`, () => 'A']) {
    t.equal(outcome(await send(SESSION, { flow: change(other.flow), response: reply(other.url) })), REFUSED, 'forged')
  }
  t.equal(outcome(await send('/api/identities', { flow: connect.flow, response: reply(connect.url) }, { user: ann })), '201', 'where it belongs it is good')

  const again = await begin(server)
  const response = provider.signIn(again.url, { claims: { sub: 'flows' } })
  const sent = await Promise.all(Array.from({ length: 8 }, () => send(SESSION, { flow: again.flow, response })))
  t.strictSame(sent.map(outcome).sort(), ['201', ...Array.from({ length: 7 }, () => REFUSED)], 'eight at once: one session')

  for (const [minutes, expected] of [[29, '201'], [30, REFUSED]] as const) {
    const late = await begin(server)
    clock.advance(minutes * MINUTE)
    t.equal(outcome(await send(SESSION, { flow: late.flow, response: provider.signIn(late.url, { claims: { sub: 'flows' } }) })), expected, `${minutes} minutes`)
    clock.advance(-minutes * MINUTE)
  }
})

test('a code of another flow is refused, by its verifier and by its nonce', async t => {
  for (const ignoresVerifier of [false, true]) {
    const [victim, thief] = [await begin(server), await begin(server)]
    const [one, other] = [victim, thief].map(({ url }) => Object.fromEntries(new URL(url).searchParams))
    for (const name of ['state', 'nonce', 'code_challenge']) t.not(one?.[name], other?.[name])
    const state = String(other?.state)
    const response = provider.signIn(victim.url, { ignoresVerifier, response: { state } })
    t.equal(outcome(await send(SESSION, { flow: thief.flow, response })), REFUSED)
  }
})

/** What is wrong with the query that the browser brings. */
const responses: Record<string, NonNullable<SignedInPerson['response']>> = {
  'no state': { state: undefined },
  'a foreign state': { state: 'A'.repeat(22) },
  'two states': { state: ['A'.repeat(22), 'B'.repeat(22)] },
  'no iss': { iss: undefined },
  'a foreign iss': { iss: 'https://id.example.org' },
  'two iss': { iss: [provider.issuer, 'https://id.example.org'] },
  'no code': { code: undefined },
  'two codes': { code: ['a', 'b'] },
  'an unknown code': { code: 'a' },
  'an error': { error: 'access_denied', code: undefined },
  'an error of the client': { error: 'invalid_client', code: undefined },
  'another one': { error: 'unauthorized_client', code: undefined },
  'an answer in a token': { code: undefined, response: 'e30.e30.' },
  'a token in place of a code': { code: undefined, id_token: 'e30.e30.', access_token: 'a' }
}

test('an answer whose state, iss or code is missing, foreign or double is refused', async t => {
  await changesNothing(async () => {
    for (const [name, response] of Object.entries(responses)) {
      t.equal(outcome(await goThrough(server, provider, { response })), REFUSED, name)
    }
    const { flow, url } = await begin(server)
    const right = provider.signIn(url)
    const { searchParams } = new URL(`http://a?${right}`)
    t.equal(outcome(await send(SESSION, { flow, response: `${right}&state=${searchParams.get('state')}` })), REFUSED, 'the right state twice')
    for (const response of ['?', '#', '&', 'code', '=', '\0', 'a'.repeat(8192), '%ff']) {
      const { flow } = await begin(server)
      t.equal(outcome(await send(SESSION, { flow, response })), REFUSED, JSON.stringify(response.slice(0, 8)))
    }
    for (const json of [{ flow, response: 'a'.repeat(8193) }, { flow }, { response: right }, { flow: 1, response: right }, { flow, response: right, more: 1 }, [], null]) {
      t.equal(outcome(await send(SESSION, json)), '400 validation_failed')
    }
  }, isSame => t.ok(isSame))
})

const now = () => Math.floor(Date.now() / 1000)
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const signed = (key: CryptoKey) => (claims: JWTPayload, header: { alg: string, kid?: string }) =>
  new SignJWT(claims).setProtectedHeader(header).sign(key)

/** What is wrong with an ID token. */
const idTokens: Record<string, SignedInPerson> = {
  'no nonce': { claims: { nonce: undefined } },
  'a foreign nonce': { claims: { nonce: 'A'.repeat(43) } },
  'no iss': { claims: { iss: undefined } },
  'a foreign iss': { claims: { iss: 'https://id.example.org' } },
  'an iss with a slash more': { claims: { iss: `${provider.issuer}/` } },
  'no aud': { claims: { aud: undefined } },
  'a foreign aud': { claims: { aud: 'other' } },
  'two aud without azp': { claims: { aud: ['magicstore', 'other'] } },
  'a foreign azp': { claims: { azp: 'other' } },
  'two aud with a foreign azp': { claims: { aud: ['magicstore', 'other'], azp: 'other' } },
  'an azp that is no text': { claims: { azp: ['magicstore'] } },
  'no exp': { claims: { exp: undefined } },
  'an exp that has passed': { claims: { exp: now() - 3600 } },
  'an exp that is no number': { claims: { exp: '9999999999' } },
  'no iat': { claims: { iat: undefined } },
  'an nbf to come': { claims: { nbf: now() + 3600 } },
  'no sub': { claims: { sub: undefined } },
  'an empty sub': { claims: { sub: '' } },
  'a sub of 256 characters': { claims: { sub: 'a'.repeat(256) } },
  'a sub that is not ASCII': { claims: { sub: 'Zoë' } },
  'a sub with a control character': { claims: { sub: 'ann\u0000' } },
  'a sub that is a number': { claims: { sub: 1 } },
  'an unknown crit': { header: { crit: ['exp'], exp: 1 }, makeToken: async (claims, header) => `${encode({ ...header, crit: ['http://a'], 'http://a': 1 })}.${encode(claims)}.${'A'.repeat(86)}` },
  'alg none': { makeToken: claims => new UnsecuredJWT(claims).encode() },
  'alg none with a signature': { makeToken: claims => `${new UnsecuredJWT(claims).encode()}${'A'.repeat(86)}` },
  'HS256 by the secret of the client': { makeToken: claims => new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'its' }).sign(Buffer.from(String(provider.settings.OIDC_CLIENT_SECRET))) },
  'HS256 by the public key': { makeToken: claims => hmac(claims, JSON.stringify(provider.keys[0])) },
  'a foreign key': { makeToken: signed(foreign.privateKey) },
  'a foreign key of another kind': { makeToken: claims => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'its' }).sign(unrelated.privateKey) },
  'a foreign kid': { header: { kid: 'other' } },
  'its own key in the header': { makeToken: async claims => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'its', jwk: await exportJWK(foreign.publicKey) }).sign(foreign.privateKey) },
  'an address of keys in the header': { header: { kid: 'other', jku: `${provider.issuer}/elsewhere` } },
  'a critical address of keys': { header: { kid: 'other', jku: `${provider.issuer}/elsewhere`, crit: ['jku'] }, makeToken: (claims, header) => `${encode(header)}.${encode(claims)}.${'A'.repeat(86)}` },
  'an encrypted token': { makeToken: () => 'e30.e30.e30.e30.e30' },
  'changed bytes': { makeToken: async (claims, header) => (await signed(provider.privateKey)(claims, header)).replace(/\.[^.]+\./, `.${encode({ ...claims, sub: 'victim' })}.`), userInfo: { sub: 'victim' } },
  'another signature': { makeToken: async (claims, header) => (await signed(provider.privateKey)(claims, header)).replace(/[^.]{86}$/, 'A'.repeat(86)) },
  'text that is no token': { makeToken: () => 'e30' },
  'no ID token': { makeToken: () => '' },
  'UserInfo of another': { userInfo: { sub: 'victim' } },
  'UserInfo of nobody': { userInfo: { name: 'Ann' } }
}

function hmac (claims: JWTPayload, key: string): string {
  const text = `${encode({ alg: 'HS256', kid: 'its' })}.${encode(claims)}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

test('every wrong token is refused, and makes no account and no session', async t => {
  await registerIdentity(server, provider, 'victim')
  await changesNothing(async () => {
    for (const [name, fault] of Object.entries(idTokens)) {
      const answer = await goThrough(server, provider, fault)
      t.equal(outcome(answer), REFUSED, name)
      t.notOk(answer.headers['set-cookie'], name)
    }
    t.equal((await goThrough(server, provider, { claims: { azp: 'magicstore', sub: 'a'.repeat(255) } })).status, 200, 'what is right is not refused')
    t.notOk(provider.requests.some(({ place }) => String(place) === 'elsewhere'), 'no address in a token is asked')
  }, isSame => t.ok(isSame))
})

/** What a provider does wrong at an address. */
const failures: Record<string, (response: ServerResponse) => unknown> = {
  'status 500': response => response.writeHead(500).end('{}'),
  'status 503': response => response.writeHead(503).end('{}'),
  'status 429': response => response.writeHead(429).end('{}'),
  'a cut answer': response => { response.writeHead(200, { 'content-type': 'application/json', 'content-length': 10 }).write('{'); response.destroy() },
  'no answer': response => response.destroy(),
  'two MiB': response => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ a: 'a'.repeat(2 * MIB) })),
  'an endless answer': response => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const write = (): void => { while (!response.destroyed && response.write('a'.repeat(64 * KIB))); response.once('drain', write) }
    write()
  },
  'an answer that never comes': () => {},
  'an answer that stops': response => response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
  'a redirect': response => response.writeHead(302, { location: `${provider.issuer}/elsewhere` }).end(),
  'status 204': response => response.writeHead(204).end(),
  'status 404': response => response.writeHead(404, { 'content-type': 'application/json' }).end('{}'),
  'no JSON': response => response.writeHead(200, { 'content-type': 'application/json' }).end('<html>'),
  HTML: response => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  'JSON of another kind': response => response.writeHead(200, { 'content-type': 'application/json' }).end('[]')
}

/** What is waited for until the time is over. */
const unfinished = ['an answer that never comes', 'an answer that stops']

/** What is refused as the fault of the person: the provider answers, but with nothing that can be used. */
const refusals = ['a redirect', 'status 204', 'status 404', 'no JSON', 'HTML', 'JSON of another kind']

for (const place of ['metadata', 'keys', 'token', 'userinfo'] as const) {
  test(`a provider that fails at its ${place} signs nobody in, and is asked again the next time`, async t => {
    // Ten seconds, but not in a test.
    const { timeout } = AbortSignal
    t.teardown(() => { AbortSignal.timeout = timeout })
    let isHasty = false
    AbortSignal.timeout = milliseconds => {
      t.equal(milliseconds, 10_000)
      return timeout.call(AbortSignal, isHasty ? 100 : milliseconds)
    }
    t.teardown(() => { delete provider.faults[place] })
    await changesNothing(async () => {
      for (const [name, fault] of Object.entries(failures)) {
        if (['metadata', 'keys'].includes(place)) passHour()
        const flow = place === 'metadata' ? undefined : await begin(server)
        provider.faults[place] = fault
        // Only these: a busy machine is late with others too.
        isHasty = unfinished.includes(name)
        const elsewhere = provider.requests.filter(({ place }) => String(place) === 'elsewhere').length
        const answer = flow === undefined
          ? await server.send('POST', `${SESSION}/options`)
          : await send(SESSION, { flow: flow.flow, response: provider.signIn(flow.url) })
        const isRefused = ['token', 'userinfo'].includes(place) && refusals.includes(name)
        t.equal(outcome(answer), isRefused ? REFUSED : UNAVAILABLE, name)
        if (!isRefused) t.match(answer.headers['retry-after'], /^[1-9]/, name)
        t.equal(provider.requests.filter(({ place }) => String(place) === 'elsewhere').length, elsewhere, 'no redirect is followed')
        delete provider.faults[place]
        isHasty = false
        t.equal((await goThrough(server, provider)).status, 200, `${name}: then all is well`)
      }
    }, isSame => t.ok(isSame))
  })
}

test('metadata of another provider, or with an address that others could read, are not used', async t => {
  const right = { ...provider.metadata }
  t.teardown(() => Object.assign(provider.metadata, right))
  const faults = [
    { issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' }, { issuer: `${provider.issuer}/` }, { issuer: `${provider.issuer}/other` }, { issuer: undefined }, { issuer: 7 },
    { authorization_endpoint: 'javascript:alert(1)' }, { authorization_endpoint: 'http://id.example.org/authorize' }, { authorization_endpoint: undefined },
    { token_endpoint: 'http://192.0.2.1/token' }, { token_endpoint: undefined }, { token_endpoint: '/token' }, { jwks_uri: 'file:///etc/passwd' }, { jwks_uri: undefined },
    { userinfo_endpoint: 'http://id.example.org/userinfo' }, { userinfo_endpoint: null },
    { scopes_supported: null }, { scopes_supported: 'groups' }, { token_endpoint_auth_methods_supported: 7 }, { id_token_signing_alg_values_supported: ['\u001B[31mES256'] }, { id_token_signing_alg_values_supported: [256] }
  ]
  const own = await startServer(t, { ...unlimited, ...provider.settings, OIDC_ALLOW: 'groups=staff' })
  for (const fault of faults) {
    passHour()
    Object.assign(provider.metadata, fault)
    const answer = await own.send('POST', `${SESSION}/options`)
    // The issuer is compared as a URL.
    t.equal(outcome(answer), fault.issuer === `${provider.issuer}/` ? '200' : UNAVAILABLE, JSON.stringify(fault))
    Object.assign(provider.metadata, right)
    t.equal(outcome(await own.send('POST', `${SESSION}/options`)), '200', 'they are read again')
  }
})

test('metadata that stand for any tenant of Microsoft are not used', async t => {
  const issuer = 'https://login.microsoftonline.com/f8cdef31-a31e-4b4a-93e4-5f571e91255a/v2.0'
  const { fetch } = globalThis
  t.teardown(() => { globalThis.fetch = fetch })
  const right = { issuer, authorization_endpoint: issuer, token_endpoint: issuer, jwks_uri: issuer }
  const client = { issuer, clientId: 'a', clientSecret: undefined, allowed: 'anyone', name: 'a', redirectUri: issuer } as const
  const read = (answer: () => Response) => {
    globalThis.fetch = async () => answer()
    return readProviderMetadata(client)
  }
  t.match(await read(() => Response.json(right)), { issuer })
  await t.rejects(read(() => Response.json({ ...right, issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0' })), { message: /they say/ })
  await t.rejects(read(() => Response.json({ ...right, token_endpoint: 'http://localhost/token' })), { message: /token_endpoint is no https address/ }, 'only a provider on this machine has addresses there')
  await t.rejects(read(() => { throw new DOMException('late', 'TimeoutError') }), { message: 'the metadata can\'t be used: the provider can\'t be reached: TimeoutError' }, 'in plain words')
})

test('metadata are read once an hour, and keys again for a new one, once a minute at most', async t => {
  const own = await startServer(t, { ...unlimited, ...provider.settings })
  const count = (place: string) => provider.requests.filter(request => request.place === place).length
  const [read, keys] = [count('metadata'), count('keys')]
  await Promise.all([goThrough(own, provider), goThrough(own, provider), begin(own)])
  t.strictSame([count('metadata') - read, count('keys') - keys <= 2], [1, true])

  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  provider.keys.push({ ...await exportJWK(publicKey), kid: 'new', alg: 'ES256', use: 'sig' })
  t.teardown(() => provider.keys.pop())
  const makeToken = (claims: JWTPayload) => signed(privateKey)(claims, { alg: 'ES256', kid: 'new' })
  t.equal(outcome(await goThrough(own, provider, { makeToken })), REFUSED)
  const { now: date } = Date
  t.teardown(() => { Date.now = date })
  Date.now = () => date() + MINUTE
  t.equal(outcome(await goThrough(own, provider, { makeToken })), '200')
  passHour()
  await begin(own)
  t.equal(count('metadata') - read, 2)
})

test('groups are asked for where the provider lists them, and no scope is that nobody needs', async t => {
  const right = { ...provider.metadata }
  t.teardown(() => Object.assign(provider.metadata, right))
  const own = await startServer(t, { ...unlimited, ...provider.settings, OIDC_ALLOW: 'groups=staff' })
  for (const [listed, scope] of [[['openid', 'groups', 'offline_access'], 'openid profile groups'], [['openid'], 'openid profile'], [undefined, 'openid profile']] as const) {
    passHour()
    Object.assign(provider.metadata, { scopes_supported: listed })
    t.equal(new URL((await begin(own)).url).searchParams.get('scope'), scope)
  }
})

test('no request decides where the browser or the server goes', async t => {
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' }
  const { json: { url } } = await server.send('POST', `${SESSION}/options`, { headers })
  t.equal(new URL(url).searchParams.get('redirect_uri'), 'http://localhost:5000/store/oidc/callback')
  t.equal(new URL(url).origin, new URL(provider.issuer).origin)
  const answer = await server.send('GET', '/oidc/callback?code=a%20b&state=c&iss=https%3A%2F%2Fid.example.org', { headers })
  t.match(answer, { status: 303, headers: { location: 'http://localhost:5000/store/#oidc=code%3Da%2520b%26state%3Dc%26iss%3Dhttps%253A%252F%252Fid.example.org', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' } })
  for (const query of ['', '?', `?${'a'.repeat(8193)}`]) t.equal((await server.send('GET', `/oidc/callback${query}`)).headers.location, 'http://localhost:5000/store/#oidc=')
  const evil = await server.send('GET', '/oidc/callback?code=%0d%0aSet-Cookie:a%22%3E%3Cscript%3E')
  t.match(evil.headers, { location: /#oidc=code%3D%250d%250aSet-Cookie%3Aa%2522%253E%253Cscript%253E$/, 'set-cookie': undefined })
})

test('the provider makes no account where registration is closed, and passwords none where it is for identities', async t => {
  const folder = t.testdir()
  const closed = await startServer(t, { ...unlimited, ...provider.settings, REGISTRATION: 'closed', DATA_DIR: `${folder}/closed` })
  t.equal(outcome(await goThrough(closed, provider)), '403 identity_unknown')
  const { json: { registration } } = await goThrough(server, provider)
  t.equal(outcome(await closed.send('POST', `${SESSION}/registration`, { json: { registration, username: 'ann' } })), '403 registration_closed')
  const register = (client: Client) => client.send('POST', '/api/users', { json: { username: 'by-password', password: PASSWORD } })
  t.strictSame([outcome(await register(server)), outcome(await register(closed))], ['403 registration_closed', '403 registration_closed'])
  const other = await startProvider(t)
  const elsewhere = await startServer(t, { ...unlimited, ...other.settings, DATA_DIR: `${folder}/other` })
  t.equal(outcome(await elsewhere.send('POST', `${SESSION}/registration`, { json: { registration, username: 'ann' } })), REFUSED, 'of another server')
})

test('an e-mail address counts only if the provider has verified it, in any case of its ASCII letters', async t => {
  const own = await startServer(t, { ...unlimited, ...provider.settings, OIDC_ALLOW: 'email=Mike@example.org, sub=100%25%2C1,team=a=b' })
  t.equal(new URL((await begin(own)).url).searchParams.get('scope'), 'openid profile email')
  const email = 'mike@EXAMPLE.org'
  const cases: [SignedInPerson, boolean][] = [
    [{ claims: { email, email_verified: true } }, true],
    [{ claims: {}, userInfo: { sub: 'ann', email, email_verified: true } }, true],
    [{ claims: { email } }, false],
    [{ claims: { email, email_verified: false } }, false],
    [{ claims: { email, email_verified: 'true' } }, false],
    [{ claims: { email, email_verified: 1 } }, false],
    [{ claims: { email: [email], email_verified: true } }, false],
    [{ claims: { email: 'mi\u212Ae@example.org', email_verified: true } }, false],
    [{ claims: { email: `${email}.evil`, email_verified: true } }, false],
    [{ claims: { email }, userInfo: { sub: 'ann', email: 'thief@example.org', email_verified: true } }, false],
    [{ claims: { email_verified: true }, userInfo: { sub: 'ann', email, email_verified: false } }, false],
    [{ claims: { email: 'thief@example.org', email_verified: true }, userInfo: { sub: 'ann', email, email_verified: true } }, false],
    [{ claims: { sub: '100%,1' } }, true],
    [{ claims: { team: 'a=b' } }, true],
    [{ claims: { team: 'a' } }, false]
  ]
  for (const [person, isAllowed] of cases) {
    t.equal(outcome(await goThrough(own, provider, person)), isAllowed ? '200' : '403 identity_not_allowed', JSON.stringify(person))
  }
})

test('a provider that wants the secret elsewhere, or none, is found out; one that refuses the client is an outage', async t => {
  const folder = t.testdir()
  for (const authentication of ['client_secret_post', 'client_secret_basic', 'none']) {
    const own = await startProvider(t, { authentication })
    // It tells nothing, and so gets Basic first.
    delete own.metadata.token_endpoint_auth_methods_supported
    const there = await startServer(t, { ...unlimited, ...own.settings, DATA_DIR: `${folder}/${authentication}` })
    const exchanged = () => own.requests.filter(({ place }) => place === 'token').length
    t.equal(outcome(await goThrough(there, own)), '200', authentication)
    const tries = exchanged()
    t.equal(tries, authentication === 'client_secret_post' ? 2 : 1, 'with the same code')
    t.equal(outcome(await goThrough(there, own)), '200', authentication)
    t.equal(exchanged() - tries, 1, 'and remembered')
  }
  for (const [index, [headers, body]] of ([[{}, { error: 'unauthorized_client' }], [{ 'www-authenticate': 'Basic realm="a"' }, { error: 'invalid_client' }], [{}, { error: 'invalid_client' }]] as const).entries()) {
    const own = await startProvider(t)
    own.faults.token = response => response.writeHead(401, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    const there = await startServer(t, { ...unlimited, ...own.settings, DATA_DIR: `${folder}/${index}` })
    t.equal(outcome(await goThrough(there, own)), UNAVAILABLE)
    t.equal(own.requests.filter(({ place }) => place === 'token').length, 2)
    own.faults.token = response => response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}')
    t.equal(outcome(await goThrough(there, own)), REFUSED)
    t.equal(own.requests.filter(({ place }) => place === 'token').length, 3, 'a wrong code is tried once')
  }
})

test('sixteen sign-ins wait for the provider at once, and the next is told to come back, its flow unspent', async t => {
  const waiting: ServerResponse[] = []
  provider.faults.token = response => { waiting.push(response) }
  t.teardown(() => { delete provider.faults.token })
  const sent = Array.from({ length: 16 }, () => goThrough(server, provider))
  await until(() => waiting.length === 16)
  const { flow, url } = await begin(server)
  const json = { flow, response: provider.signIn(url) }
  const refused = await send(SESSION, json)
  t.equal(outcome(refused), '503 overloaded')
  t.match(refused.headers['retry-after'], /^[1-9]/)
  t.equal(waiting.length, 16)
  for (const response of waiting) response.writeHead(500).end()
  t.ok((await Promise.all(sent)).every(answer => outcome(answer) === UNAVAILABLE))
  delete provider.faults.token
  t.equal(outcome(await send(SESSION, json)), '200')
})

test('a network that is refused too often must wait, whatever the identity, and its passwords need not', async t => {
  const own = await startServer(t, { ...provider.settings, SIGN_IN_FAILURES: '1' })
  const { user } = await signUp(own)
  for (let count = 0; count < 10; count++) t.equal(outcome(await own.send('POST', SESSION, { json: { flow: 'a', response: 'a' } })), REFUSED)
  const { flow, url } = await begin(own)
  const json = { flow, response: provider.signIn(url) }
  const limited = await own.send('POST', SESSION, { json })
  t.equal(outcome(limited), '429 too_many_sign_ins')
  t.match(limited.headers['retry-after'], /^[1-9]/)
  t.equal((await own.send('GET', '/api/resource', { user })).status, 200)
})

test('without an issuer there is no provider, and nothing of it is loaded', async t => {
  const folder = t.testdir()
  const own = await startServer(t, { ...unlimited, DATA_DIR: `${folder}/own` })
  const { user } = await signUp(own)
  t.equal((await own.send('GET', '/oidc/callback?code=a')).status, 404)
  const json = { flow: 'a', response: 'a' }
  for (const [method, path, options] of [['POST', `${SESSION}/options`, {}], ['POST', SESSION, { json }], ['POST', `${SESSION}/registration`, { json: { registration: 'a', username: 'a' } }], ['GET', '/api/identities', { user }], ['POST', '/api/identities/options', { user }], ['POST', '/api/identities', { user, json }], ['DELETE', '/api/identities/1', { user }], ['POST', '/api/identities/confirm/options', { user }], ['POST', '/api/identities/confirm', { user, json }]] as const) {
    t.equal(outcome(await own.send(method, path, options)), '409 oidc_unavailable', `${method} ${path}`)
  }
  t.match((await own.send('GET', '/')).json, { oidc: null })
  t.match((await own.send('GET', '/api/account', { user })).json, { hasPassword: true })

  // With one, it is loaded for the first sign-in.
  const port = String(await freePort())
  const settings = { ...provider.settings, PORT: port, PUBLIC_URL: `http://localhost:${port}` }
  for (const [name, set, isLoaded] of [['without', {}, false], ['with', settings, true]] as const) {
    const child = await spawnServer(t, { DATA_DIR: `${folder}/${name}`, NODE_V8_COVERAGE: `${folder}/${name}-loaded`, ...set })
    t.equal(child.welcome.some(line => line.includes('registration')), isLoaded)
    if (isLoaded) t.equal(outcome(await goThrough(child, provider)), '200')
    t.equal(await child.end('SIGTERM'), 0)
    const loaded = await Promise.all((await readdir(`${folder}/${name}-loaded`)).map(file => readFile(`${folder}/${name}-loaded/${file}`, 'utf8')))
    t.equal(/node_modules\/(?:openid-client|oauth4webapi|jose)\//.test(loaded.join('')), isLoaded, name)
  }
})

test('a provider that is down stops no start and no sign-in by password, and no secret gets into the log', async t => {
  const own = await startProvider(t)
  own.faults.metadata = response => response.destroy()
  const port = String(await freePort())
  const child = await spawnServer(t, { DATA_DIR: t.testdir(), ...unlimited, ...own.settings, PORT: port, PUBLIC_URL: `http://localhost:${port}`, OIDC_NAME: 'The office', REGISTRATION: 'open' })
  const log = logOf(child)
  t.ok(child.welcome.some(line => /registration: +open \(REGISTRATION is set\)/.test(line)))
  t.match((await child.send('GET', '/')).json, { oidc: 'The office' })
  t.equal(outcome(await child.send('POST', `${SESSION}/options`)), UNAVAILABLE)
  const { user } = await signUp(child, 'ann')
  t.equal((await child.send('GET', '/api/resource', { user })).status, 200)
  delete own.faults.metadata
  const told: string[] = []
  const wrong = Object.values(responses).map(response => ({ response }))
  const people: SignedInPerson[] = [{}, ...Object.values(idTokens), ...wrong]
  for (const person of people) {
    const { flow, url } = await begin(child)
    const response = own.signIn(url, person)
    told.push(flow, new URL(url).searchParams.get('nonce') ?? '', ...new URLSearchParams(response).getAll('code').filter(code => code.length > 8))
    const answer = await child.send('POST', SESSION, { json: { flow, response } })
    told.push(...answer.status === 200 ? [answer.json.registration] : [])
    t.notMatch(answer.text, /access-|refresh-secret|a secret|eyJhbGci/)
  }
  own.faults.token = response => response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: 'eyJhbGciOiJub25lIn0', error_description: 'refresh-secret', access_token: 'access-1' }))
  await goThrough(child, own)
  own.faults.token = response => response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"access-1","id_token":"eyJ", refresh-secret')
  await goThrough(child, own)
  // V8 quotes it in its message.
  own.faults.token = response => response.writeHead(200, { 'content-type': 'application/json' }).end('refresh-secret')
  await goThrough(child, own)
  t.equal(await child.end('SIGTERM'), 0)
  const lines = await log
  const refused = lines.filter(({ security }) => security?.kind === 'identity_refused')
  t.ok(refused.length > people.length - 2, 'each refusal is logged')
  t.ok(refused.every(({ security: { details: { reason } } }) => reason.length > 4))
  t.match(lines.find(({ resource }) => resource === 'provider'), { level: 50, reason: /the metadata can't be used/ })
  const text = JSON.stringify(lines)
  t.equal(/.{0,80}(?:access-|refresh-secret|a secret|eyJ).{0,80}/.exec(text)?.[0], undefined)
  for (const secret of told) t.notOk(text.includes(secret), secret)
})
