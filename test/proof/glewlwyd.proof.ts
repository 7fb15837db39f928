import { spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { test, type Test } from 'tap'
import { begin, outcome } from '../kit/identity-provider.ts'
import { signUp, startServer, type Settings } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'
import { freePort } from '../kit/wire.ts'
import { skipWithout } from './fronts.ts'

// Sign-in with a provider that others wrote, in C, of Debian's packages glewlwyd, dbconfig-sqlite3 and sqlite3. What is
// not installed is skipped. The checks use `oidc-provider`, and a provider that lies.

const PUBLIC_URL = 'http://localhost:5000'
const CALLBACK = `${PUBLIC_URL}/oidc/callback`
const PASSWORD = 'correct horse'
const SESSION = '/api/session/oidc'

/** Glewlwyd with the people `ann` and `eve` of the group `staff`, and `bob` of another. */
async function startGlewlwyd (t: Test, folder: string) {
  const port = await freePort()
  const script = await readFile('/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3')
  t.equal(spawnSync('sqlite3', [`${folder}/db`], { input: script }).status, 0)
  const origin = `http://127.0.0.1:${port}`
  const modules = ['user', 'client', 'plugin'].map(kind => `${kind}_module_path="/usr/lib/glewlwyd/${kind}"`)
  await writeFile(`${folder}/conf`, [
    `port=${port}`, 'bind_address="127.0.0.1"', `external_url="${origin}"`, 'login_url="login.html"', 'api_prefix="api"',
    'log_mode="console"', 'log_level="ERROR"', 'cookie_secure=0', 'hash_algorithm="SHA512"',
    ...modules, 'user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"', `database={type="sqlite3" path="${folder}/db"};`
  ].join('\n'))
  const child = spawn('glewlwyd', ['--config-file', `${folder}/conf`], { stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  const send = (method: string, path: string, { cookie = '', json }: { cookie?: string, json?: object } = {}) => fetch(`${origin}/api${path}`, {
    method, redirect: 'manual', headers: { cookie, 'content-type': 'application/json' }, ...json && { body: JSON.stringify(json) }
  })
  await until(() => send('GET', '/').then(() => true, () => false))

  async function cookieOf (username: string, password: string): Promise<string> {
    const response = await send('POST', '/auth/', { json: { username, password } })
    t.equal(response.status, 200, username)
    return response.headers.getSetCookie().map(cookie => cookie.split(';')[0]).join('; ')
  }

  const admin = await cookieOf('admin', 'password')
  const add = async (path: string, json: object) => t.equal((await send('POST', path, { cookie: admin, json })).status, 200, path)
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const claim = (name: string, property: string) => ({ name, 'user-property': property, type: 'string', mandatory: true, 'on-demand': false, scope: ['profile'] })
  await add('/scope/', { name: 'profile', display_name: 'Profile', password_required: true, password_max_age: 0, scheme: {} })
  await add('/mod/plugin/', {
    module: 'oidc',
    name: 'oidc',
    display_name: 'OpenID Connect',
    parameters: {
      iss: `${origin}/api/oidc`,
      'jwt-type': 'rsa',
      'jwt-key-size': '256',
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: publicKey.export({ type: 'spki', format: 'pem' }),
      'jwks-show': true,
      'access-token-duration': 60,
      'refresh-token-duration': 60,
      'refresh-token-rolling': false,
      'code-duration': 60,
      'allow-non-oidc': false,
      'auth-type-code-enabled': true,
      'auth-type-code-revoke-replayed': true,
      ...Object.fromEntries(['client', 'device', 'id-token', 'implicit', 'none', 'password', 'refresh', 'token'].map(kind => [`auth-type-${kind}-enabled`, false])),
      'pkce-allowed': true,
      'pkce-required': true,
      'pkce-method-plain-allowed': false,
      'oauth-as-iss-id': true,
      'subject-type': 'public',
      'allowed-scope': ['openid', 'profile'],
      // Its database keeps no other property of a user without a change of its settings and a restart.
      claims: [claim('preferred_username', 'username'), claim('groups', 'user-code')],
      'name-claim': 'mandatory',
      'email-claim': 'no',
      'scope-claim': 'no',
      'address-claim': { type: 'no' },
      scope: [],
      'additional-parameters': []
    }
  })
  const secret = 'a secret: of % the client'
  await add('/client/', {
    client_id: 'magicstore', name: 'MagicStore', confidential: true, enabled: true, password: secret, client_secret: secret, redirect_uri: [CALLBACK], authorization_type: ['code'], token_endpoint_auth_method: ['client_secret_basic', 'client_secret_post'], scope: []
  })
  for (const [username, group] of [['ann', 'staff'], ['eve', 'staff'], ['bob', 'guests']]) {
    await add('/user/', { username, name: username, password: PASSWORD, 'user-code': group, enabled: true, scope: ['openid', 'profile', 'g_profile'] })
  }
  return {
    settings: { OIDC_ISSUER: `${origin}/api/oidc`, OIDC_CLIENT_ID: 'magicstore', OIDC_CLIENT_SECRET: secret, OIDC_ALLOW: 'groups=staff', PUBLIC_URL } as Settings,

    /** Does what a person does in the browser. Returns the query with which it comes back. */
    async signIn (address: string, username: string): Promise<string> {
      const cookie = await cookieOf(username, PASSWORD)
      t.equal((await send('PUT', '/auth/grant/magicstore', { cookie, json: { scope: 'openid profile' } })).status, 200)
      const response = await fetch(`${address}&g_continue`, { headers: { cookie }, redirect: 'manual' })
      const location = response.headers.get('location') ?? ''
      t.ok(location.startsWith(`${CALLBACK}?`), location)
      return new URL(location).search.slice(1)
    }
  }
}

test('people of a provider in C register, sign in and connect, and who is in no group of ours is refused', { skip: skipWithout('glewlwyd', 'sqlite3') }, async t => {
  const folder = t.testdir()
  const provider = await startGlewlwyd(t, folder)
  const server = await startServer(t, { SIGN_IN_FAILURES: '1000', RATE_LIMIT_PER_MINUTE: '0', ...provider.settings, REGISTRATION: 'open', DATA_DIR: `${folder}/store` })
  const go = async (username: string, path = SESSION, options = {}) => {
    const { url, flow } = await begin(server, path, options)
    const json = { flow, response: await provider.signIn(url, username) }
    return { json, answer: await server.send('POST', path, { ...options, json }) }
  }

  const { answer: offered } = await go('ann')
  t.match(offered, { status: 200, json: { username: 'ann' } })
  const { registration, username } = offered.json
  const registered = await server.send('POST', `${SESSION}/registration`, { json: { registration, username } })
  t.match(registered, { status: 201, json: { username: 'ann' } })
  const { answer, json } = await go('ann')
  t.match(answer, { status: 201, json: { username: 'ann' } })
  t.equal(outcome(await server.send('POST', SESSION, { json })), '401 oidc_refused', 'once')
  t.equal(outcome((await go('bob')).answer), '403 identity_not_allowed')

  const { user } = await signUp(server)
  t.match((await go('eve', '/api/identities', { user })).answer, { status: 201, json: { label: 'eve' } })
  t.match((await go('eve')).answer, { status: 201, json: { username: user[0] } })
  // It says that everybody signed in in 1970, also where it was asked for a sign-in that is recent.
  t.equal(outcome((await go('ann', '/api/identities/confirm', { token: registered.json.token })).answer), '401 oidc_refused')

  const misread = await startServer(t, { ...provider.settings, OIDC_CLIENT_SECRET: 'another', DATA_DIR: `${folder}/other` })
  const { url, flow } = await begin(misread)
  t.equal(outcome(await misread.send('POST', SESSION, { json: { flow, response: await provider.signIn(url, 'ann') } })), '503 provider_unavailable', 'the wrong secret')
})
