import t from 'tap'
import { authenticatorFor, checkEvents, codeHeader, codeWith, confirmationOptions, confirmWith, creationOptions, factorsOf, newUser, refusal, registerPasskey, sendAttestation, signInOptions, signInWith } from './kit/passkeys.ts'
import { startServer } from './kit/server.ts'
import { runSql } from './kit/stores.ts'

t.test('a passkey is registered, signs its user in without a password, and is deleted', async t => {
  const server = await startServer(t)
  const { user, token } = await newUser(server, 'Zoë')
  const [phone, key] = [authenticatorFor(server), authenticatorFor(server)]
  const options = await creationOptions(server, user)
  t.match(options, {
    rp: { id: 'localhost', name: 'MagicStore' },
    user: { name: 'Zoë', displayName: 'Zoë' },
    attestation: 'none',
    timeout: 300_000,
    authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    excludeCredentials: []
  })
  t.ok(options.pubKeyCredParams.some(({ alg }: { alg: number }) => alg === -7))
  const registered = await sendAttestation(server, user, phone.create(options))
  t.equal(registered.status, 201)
  t.strictSame(Object.keys(registered.json).sort(), ['createdAt', 'id', 'lastUsedAt', 'name', 'recoveryCodes'])
  t.match(registered.json, { name: 'my phone', lastUsedAt: null })
  t.equal(registered.json.recoveryCodes.length, 10, 'the first factor brings recovery codes')
  const { id } = registered.json

  const session = await signInWith(server, phone)
  t.equal(session.status, 201)
  t.match(session.json, { username: 'Zoë', duration: 600 })
  t.match(session.headers['set-cookie'], [/^magicstore_session=/])
  const renewed = await server.send('GET', '/api/session', { headers: { cookie: String(session.headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': session.json.key } })
  t.match(renewed.json, { username: 'Zoë', sessionId: session.json.sessionId })
  const { json: { tokens } } = await server.send('GET', '/api/tokens', { token: session.json.token })
  t.strictSame(tokens.filter(({ kind }: { kind: string }) => kind !== 'personal').map(({ factors }: { factors: string[] }) => factors), [['passkey'], ['passkey'], ['passkey']])
  const { passkeys: [used], recoveryCodesLeft } = await factorsOf(server, token)
  t.match(used, { id, name: 'my phone', createdAt: registered.json.createdAt, lastUsedAt: String })
  t.equal(recoveryCodesLeft, 10)

  const second = await creationOptions(server, user, await codeWith(server, user, phone))
  t.equal(second.user.id, options.user.id, 'authenticators keep one passkey of an account')
  t.strictSame(second.excludeCredentials, [{ type: 'public-key', id: phone.id.toString('base64url') }])
  const added = await sendAttestation(server, user, key.create(second), { code: await codeWith(server, user, phone), name: 'my key' })
  t.match(added, { status: 201, json: { name: 'my key', recoveryCodes: null } })
  t.equal((await signInWith(server, key)).status, 201)

  const remove = async (path: string, authenticator = key) => server.send('DELETE', path, { user, headers: codeHeader(await codeWith(server, user, authenticator)) })
  t.equal((await server.send('DELETE', `/api/passkeys/${id}`, { user })).json.code, 'second_factor_required')
  t.equal((await remove(`/api/passkeys/${id}`)).status, 204)
  t.equal((await remove(`/api/passkeys/${id}`)).status, 404)
  t.strictSame(refusal(await signInWith(server, phone)), { status: 401, code: 'passkey_refused' })
  t.equal((await remove(`/api/passkeys/${added.json.id}`)).status, 204)
  t.strictSame(await factorsOf(server, token), { totp: null, passkeys: [], recoveryCodesLeft: 0 })
  t.equal((await server.send('GET', '/api/resource', { user })).status, 200, 'the password is enough again')
  for (const kind of ['factor_added', 'factor_removed']) await checkEvents(t, server, token, { kind, count: 2 })
})

t.test('with a passkey the password opens nothing, but with the code of the passkey, once', async t => {
  const server = await startServer(t)
  const [ann, bob] = [await newUser(server, 'ann'), await newUser(server, 'bob')]
  const [phone, other] = [authenticatorFor(server), authenticatorFor(server)]
  await registerPasskey(server, ann.user, phone)
  await registerPasskey(server, bob.user, other)
  t.match((await server.send('GET', '/api/resource', { user: ann.user })).json, { code: 'second_factor_required', factors: ['passkey', 'recovery_code'] })
  const digits = await server.send('GET', '/api/resource', { user: ann.user, headers: codeHeader('123456') })
  t.equal(digits.json.code, 'second_factor_wrong', 'there are no one-time codes')
  const options = await confirmationOptions(server, ann.user)
  t.match(options, { rpId: 'localhost', timeout: 300_000, userVerification: 'required' })
  t.strictSame(options.allowCredentials, [{ type: 'public-key', id: phone.id.toString('base64url') }])
  t.notOk('allowCredentials' in await signInOptions(server), 'a sign-in begins without an account')
  const confirmed = await confirmWith(server, ann.user, phone, { userHandle: undefined })
  t.equal(confirmed.status, 200, 'an authenticator that was told which passkey need not tell the account')
  const headers = codeHeader(confirmed.json.code)
  t.equal((await server.send('GET', '/api/resource', { user: bob.user, headers })).json.code, 'second_factor_wrong', 'a code is for one account')
  const uses = await Promise.all(Array.from({ length: 8 }, () => server.send('GET', '/api/resource', { user: ann.user, headers })))
  t.strictSame(uses.map(({ status }) => status).sort(), [200, ...Array.from({ length: 7 }, () => 401)])
  const others = [
    [ann.user, other, {}], [bob.user, phone, {}], [ann.user, phone, { userHandle: other.userHandle }]
  ] as const
  for (const [user, authenticator, fault] of others) {
    t.strictSame(refusal(await confirmWith(server, user, authenticator, fault)), { status: 401, code: 'passkey_refused' })
  }
  t.equal((await server.send('POST', '/api/passkeys/confirm/options', { user: ['ann', 'wrong'] })).json.code, 'credentials_wrong')
  t.equal((await server.send('POST', '/api/passkeys/confirm/options', { token: ann.token })).json.code, 'password_required')
})

t.test('the first passkey ends sessions and access tokens, but not the session in use and personal tokens', async t => {
  const server = await startServer(t)
  const { user, token } = await newUser(server, 'ann')
  const begin = async () => (await server.send('POST', '/api/session', { user })).json as { token: string, sessionId: number }
  const [kept, ended] = [await begin(), await begin()]
  const phone = authenticatorFor(server)
  const options = await creationOptions(server, user)
  t.equal((await sendAttestation(server, user, phone.create(options), { sessionId: kept.sessionId })).status, 201)
  const statusOf = async (token: string) => (await server.send('GET', '/api/resource', { token })).status
  t.strictSame(await Promise.all([kept.token, ended.token, token].map(statusOf)), [200, 401, 200])

  const carla = await newUser(server, 'carla')
  const begun = await server.send('POST', '/api/session', { user: carla.user })
  const inUse = { cookie: String(begun.headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': begun.json.key }
  const attestation = authenticatorFor(server).create(await creationOptions(server, carla.user))
  await sendAttestation(server, carla.user, attestation, { headers: inUse })
  t.equal(await statusOf(begun.json.token), 200, 'where the browser sends the cookie, it tells which session is in use')
})

t.test('a sign-in with a passkey makes its network known', async t => {
  const server = await startServer(t, { TRUST_PROXY: '127.0.0.1', PASSWORD_POLICY: 'open' })
  const { user, token } = await newUser(server, 'ann')
  const phone = authenticatorFor(server)
  await registerPasskey(server, user, phone)
  await checkEvents(t, server, token, { kind: 'sign_in_new_network', count: 1 })
  for (let count = 0; count < 2; count++) {
    const credential = phone.get(await signInOptions(server))
    const headers = { 'x-forwarded-for': '192.0.2.1' }
    t.equal((await server.send('POST', '/api/session/passkey', { json: { credential }, headers })).status, 201)
    await checkEvents(t, server, token, { kind: 'sign_in_new_network', count: 2 })
  }
})

t.test('an account has at most 20 passkeys', async t => {
  const server = await startServer(t)
  const { user, token } = await newUser(server, 'ann')
  const phone = authenticatorFor(server)
  await registerPasskey(server, user, phone)
  for (let count = 1; count < 20; count++) {
    await runSql(server.dataDir, `INSERT INTO passkeys (account_id, name, credential_id, public_key, user_handle, counter, created_at) SELECT account_id, name, 'copy${count}', public_key, user_handle, counter, created_at FROM passkeys WHERE credential_id = '${phone.id.toString('base64url')}'`)
  }
  const options = await creationOptions(server, user, await codeWith(server, user, phone))
  const code = await codeWith(server, user, phone)
  const answer = await sendAttestation(server, user, authenticatorFor(server).create(options), { code })
  t.strictSame(refusal(answer), { status: 409, code: 'too_many_passkeys' })
  t.equal((await factorsOf(server, token)).passkeys.length, 20)
})
