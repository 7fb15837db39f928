import t from 'tap'
import { personalToken } from './kit/drive.ts'
import type { User } from './kit/one-time-codes.ts'
import { authenticatorFor, registerPasskey } from './kit/passkeys.ts'
import { refused } from './kit/refusals.ts'
import { kindsOf, runBin, signUp, startServer, type Client, type RunningServer, type SendOptions } from './kit/server.ts'

const PATH = '/api/account/claim'

const resource = (client: Client, options: SendOptions) => client.send('GET', '/api/resource', options)
const check = (client: Client, secret: string) => client.send('POST', `${PATH}/check`, { json: { secret } })
const claim = (client: Client, json: object, options: SendOptions = {}) => client.send('POST', PATH, { ...options, json })

/** The secret of a link that the operator makes. */
async function linkFor ({ dataDir }: RunningServer, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await runBin(['user', ...args], { DATA_DIR: dataDir })
  const [, secret] = /#claim=((?:inv|rst)_[a-z2-7]{32})/.exec(stdout) ?? []
  if (secret === undefined) throw new Error(`no link: ${stderr}`)
  return secret
}

t.test('an invitation makes one account, of any name, also where registration is closed', async t => {
  const server = await startServer(t, { REGISTRATION: 'closed' })
  const secret = await linkFor(server, 'invite')
  const wanted = { secret, username: 'Zoë', password: 'correct horse battery' }
  t.match(await check(server, secret), { status: 200, json: { kind: 'invitation' } })
  t.equal((await check(server, secret)).status, 200, 'looking uses nothing')
  refused(t, await claim(server, { secret, password: 'pwd' }), 400, 'validation_failed', 'a name is needed')
  refused(t, await claim(server, { ...wanted, username: 'a:b' }), 400, 'username_invalid')
  refused(t, await claim(server, { ...wanted, password: 'x'.repeat(1025) }), 400, 'password_invalid')
  const made = await claim(server, wanted)
  t.match(made, { status: 201, json: { id: 1, username: 'Zoë', createdAt: /Z$/ } })
  t.match(made.headers.location, /\/api\/users\/1$/)
  t.equal((await resource(server, { user: ['zoë', wanted.password] })).status, 200)
  t.strictSame(await kindsOf(server, { user: ['Zoë', wanted.password] }), ['sign_in_new_network', 'invitation_used'])
  refused(t, await claim(server, { ...wanted, username: 'another' }), 404, 'not_found', 'it is used')
  const texts = await Promise.all([secret, `inv_${'a'.repeat(32)}`, 'x'].map(async text => (await check(server, text)).text))
  t.match(JSON.parse(String(texts[0])), { status: 404, code: 'not_found' })
  t.equal(new Set(texts).size, 1, 'as one that never was')
})

t.test('an invitation for a name makes an account of that name', async t => {
  const server = await startServer(t)
  const [first, second] = [await linkFor(server, 'invite', 'Zoë'), await linkFor(server, 'invite', 'ada')]
  refused(t, await claim(server, { secret: first, username: 'ada', password: 'pwd' }), 400, 'validation_failed', 'another name')
  refused(t, await claim(server, { secret: first, username: 'a:b', password: 'pwd' }), 400, 'validation_failed', 'no name')
  t.match(await claim(server, { secret: first, username: 'ZOË', password: 'pwd' }), { status: 201, json: { username: 'Zoë' } })
  await signUp(server, 'ada')
  refused(t, await claim(server, { secret: second, password: 'pwd' }), 400, 'username_taken')
})

t.test('a reset sets a password, ends all tokens and signs nobody in', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ada')
  const personal = await personalToken(server, user, ['account'])
  const [replaced, secret] = [await linkFor(server, 'reset', 'ada'), await linkFor(server, 'reset', 'ada')]
  const wanted = { secret, password: 'a longer secret' }
  refused(t, await claim(server, { ...wanted, secret: replaced }), 404, 'not_found', 'a later one replaces it')
  refused(t, await check(server, replaced), 404, 'not_found')
  t.match(await check(server, secret), { status: 200, json: { kind: 'reset' } })
  refused(t, await claim(server, { ...wanted, username: 'bob' }), 400, 'validation_failed')
  refused(t, await claim(server, { ...wanted, password: 'x'.repeat(1025) }), 400, 'password_invalid')
  const done = await claim(server, wanted)
  t.strictSame([done.status, done.text, done.headers['set-cookie']], [204, '', undefined])
  for (const ended of [token, personal]) refused(t, await resource(server, { token: ended }), 401, 'token_revoked')
  refused(t, await resource(server, { user }), 401, 'credentials_wrong')
  const changed: User = ['ada', wanted.password]
  t.equal((await resource(server, { user: changed })).status, 200)
  t.match(await kindsOf(server, { user: changed }), ['sign_in_failed', 'password_reset'])
  refused(t, await claim(server, wanted), 404, 'not_found', 'it is used')
  const last = await linkFor(server, 'reset', 'ada')
  await server.send('PUT', '/api/account/password', { user: changed, json: { password: 'mine' } })
  refused(t, await claim(server, { ...wanted, secret: last }), 404, 'not_found', 'a changed password ends it')
})

t.test('a passkey confirms the reset that it has signed for, and no other act', async t => {
  const server = await startServer(t)
  const [passkey, other] = [authenticatorFor(server), authenticatorFor(server)]
  const [{ user }, { user: bob }] = [await signUp(server, 'ada'), await signUp(server, 'bob')]
  await registerPasskey(server, user, passkey)
  await registerPasskey(server, bob, other)
  const [secret, foreign, invitation] = [await linkFor(server, 'reset', 'ada'), await linkFor(server, 'reset', 'bob'), await linkFor(server, 'invite')]
  const ask = (path: string, json: object) => server.send('POST', `${PATH}/confirm${path}`, { json })
  const sign = async (of: string) => passkey.get((await ask('/options', { secret: of })).json)
  const wanted = { secret, password: 'a longer secret' }
  refused(t, await claim(server, wanted), 401, 'second_factor_required')
  for (const gone of [invitation, `rst_${'a'.repeat(32)}`, 'x']) {
    refused(t, await ask('/options', { secret: gone }), 404, 'not_found')
    refused(t, await ask('', { secret: gone, credential: await sign(secret) }), 404, 'not_found')
  }
  t.match(await ask('/options', { secret }), { status: 200, json: { rpId: 'localhost', allowCredentials: [{ type: 'public-key' }] } })
  const elsewhere = passkey.get((await server.send('POST', '/api/passkeys/confirm/options', { user })).json)
  for (const credential of [elsewhere, other.get((await ask('/options', { secret })).json), await sign(foreign)]) {
    refused(t, await ask('', { secret, credential }), 401, 'passkey_refused')
  }
  const signed = await sign(secret)
  refused(t, await server.send('POST', '/api/passkeys/confirm', { user, json: { credential: signed } }), 401, 'passkey_refused', 'it is for the reset')
  const { status, json: { code } } = await ask('', { secret, credential: await sign(secret) })
  t.equal(status, 200)
  const headers = { 'one-time-code': code }
  t.equal((await claim(server, wanted, { headers })).status, 204)
  refused(t, await resource(server, { user: ['ada', wanted.password], headers }), 401, 'second_factor_wrong', 'the code is used')
  refused(t, await ask('/options', { secret }), 404, 'not_found', 'and so is the reset')
})

t.test('from another machine, a claim needs TLS', async t => {
  const server = await startServer(t, { TRUST_PROXY: '127.0.0.1' })
  const secret = await linkFor(server, 'invite')
  const json = { secret, username: 'ada', password: 'correct horse battery' }
  refused(t, await claim(server, json, { headers: { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'http' } }), 403, 'tls_required')
  for (const path of ['/confirm/options', '/confirm']) {
    refused(t, await server.send('POST', PATH + path, { json: { secret }, headers: { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'http' } }), 403, 'tls_required', path)
  }
  t.equal((await claim(server, json, { headers: { 'x-forwarded-for': '198.51.100.1', 'x-forwarded-proto': 'https' } })).status, 201)
})
