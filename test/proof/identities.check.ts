import { join } from 'node:path'
import t from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { DAY } from '../kit/durations.ts'
import { begin, goThrough, outcome, registerIdentity, startProvider } from '../kit/identity-provider.ts'
import { startPostgres } from '../kit/postgres.ts'
import { startRealProvider } from '../kit/real-provider.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { clientOf, PASSWORD, runBin, signUp, spawnServer, startServer, type Settings } from '../kit/server.ts'
import { freePort } from '../kit/wire.ts'

const SESSION = '/api/session/oidc'
const unlimited = { SIGN_IN_FAILURES: '1000000', REGISTRATIONS_PER_HOUR: '0', RATE_LIMIT_PER_MINUTE: '0' }

t.test('people of a real provider register, sign in, connect and confirm', async t => {
  const provider = await startRealProvider(t)
  const server = await startServer(t, { ...unlimited, ...provider.settings, REGISTRATION: 'open' })
  const go = async (path: string, login: string, options = {}) => {
    const { url, flow } = await begin(server, path, options)
    return server.send('POST', path, { ...options, json: { flow, response: await provider.signIn(url, login) } })
  }
  const offered = await go(SESSION, 'ann')
  t.match(offered, { status: 200, json: { username: 'ann' } })
  const { registration, username } = offered.json
  const registered = await server.send('POST', `${SESSION}/registration`, { json: { registration, username } })
  t.equal(outcome(registered), '201')
  t.match(await go(SESSION, 'ann'), { status: 201, json: { username: 'ann' } })
  const { code } = (await go('/api/identities/confirm', 'ann', { token: registered.json.token })).json
  const made = await server.send('POST', '/api/tokens', { user: ['ann', ''], headers: { 'one-time-code': code }, json: { name: 'a program', scopes: ['account'] } })
  t.equal(outcome(made), '201')
  const { user } = await signUp(server)
  t.match(await go('/api/identities', 'bob', { user }), { status: 201, json: { label: 'bob' } })
  t.match(await go(SESSION, 'bob'), { status: 201, json: { username: user[0] } })
})

t.test('a flow that begins at one server ends at another, once over three', async t => {
  const provider = await startProvider(t)
  const postgres = await startPostgres(t)
  const s3 = await openS3(t, join(t.testdir(), 'bucket'))
  const store = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials, ...unlimited, ...provider.settings, PUBLIC_URL: 'http://localhost:5000' }
  const servers = await Promise.all(Array.from({ length: 3 }, async () => {
    const port = await freePort()
    await spawnServer(t, { ...store, PORT: String(port) })
    return clientOf(port)
  }))
  const [one, two, three] = servers
  if (one === undefined || two === undefined || three === undefined) throw new Error('there are three')
  await registerIdentity(one, provider, 'ann')
  const { url, flow } = await begin(two)
  const json = { flow, response: provider.signIn(url, { claims: { sub: 'ann' } }) }
  const sent = await Promise.all(Array.from({ length: 12 }, (_, index) => (servers[index % 3] ?? one).send('POST', SESSION, { json })))
  t.strictSame(sent.map(outcome).sort(), ['201', ...Array.from({ length: 11 }, () => '401 oidc_refused')])
  const offers = await Promise.all(servers.map(server => goThrough(server, provider, { claims: { sub: 'bob' } })))
  const made = await Promise.all(offers.map(({ json: { registration } }, index) => (servers[index] ?? one).send('POST', `${SESSION}/registration`, { json: { registration, username: `bob-${index}` } })))
  t.strictSame(made.map(outcome).sort(), ['201', '409 identity_taken', '409 identity_taken'])

  for (let round = 0; round < 4; round++) {
    const name = `both-${round}`
    const user: [string, string] = [name, PASSWORD]
    await runBin(['user', 'add', name], store, PASSWORD)
    const { json: { id } } = await goThrough(one, provider, { claims: { sub: name } }, { path: '/api/identities', begins: { user } })
    const [session] = await Promise.all([
      goThrough(two, provider, { claims: { sub: name } }), three.send('DELETE', `/api/identities/${id}`, { user })
    ])
    t.match(outcome(session), /^(?:20[01]|401 credentials_wrong)$/)
    if (session.status !== 201) continue
    const headers = { cookie: String(session.headers['set-cookie']?.[0]?.split(';')[0]), 'session-key': session.json.key }
    for (const server of servers) t.equal((await server.send('GET', '/api/session', { headers })).status, 204, 'of a sign-in at one, and the removal of its identity at another')
  }
})

t.test('a flow outlives a restart and a rotation of the signing keys', async t => {
  const provider = await startProvider(t)
  const settings = { DATA_DIR: t.testdir(), ...unlimited, ...provider.settings }
  const first = await startServer(t, settings)
  await registerIdentity(first, provider, 'ann')
  const { url, flow } = await begin(first)
  t.match(await runCommand(['keys', 'rotate'], settings), { code: 0 })
  await first.close()
  const second = await startServer(t, settings)
  const json = { flow, response: provider.signIn(url, { claims: { sub: 'ann' } }) }
  t.equal(outcome(await second.send('POST', SESSION, { json })), '201')
  t.equal(outcome(await second.send('POST', SESSION, { json })), '401 oidc_refused', 'once')
})

t.test('the operator sees identities, and removes a password if an identity of this provider is left', async t => {
  const provider = await startProvider(t)
  const dataDir = t.testdir()
  const settings = { DATA_DIR: dataDir, ...unlimited, ...provider.settings }
  const server = await startServer(t, { ...settings, REGISTRATION: 'open' })
  const { user } = await signUp(server, 'ann')
  const personal = (await server.send('POST', '/api/tokens', { user, json: { name: 'kept', scopes: ['account'] } })).json.token
  const show = async (...args: string[]) => JSON.parse((await runCommand(['user', ...args, '--json'], settings)).stdout)
  t.match(await show('show', 'ann'), { hasPassword: true, identities: [] })
  t.match(await runCommand(['user', 'passwd', 'ann', '--remove'], settings), { code: 1, stderr: /ann has no identity of http/ })
  t.match(await runCommand(['user', 'passwd', 'ann', '--remove'], { DATA_DIR: dataDir }), { code: 2, stderr: /OIDC_ISSUER must be set/ })
  t.equal(outcome(await goThrough(server, provider, { claims: { sub: 'ann', email: 'ann@example.org' } }, { path: '/api/identities', begins: { user } })), '201')
  t.match(await runCommand(['user', 'show', 'ann'], settings), { stdout: /identity ann@example.org at http:\/\/127/ })
  const session = (await server.send('POST', '/api/session', { user })).json.token
  const removed = await show('passwd', 'ann', '--remove')
  t.match(removed, { hasPassword: false, totp: false, identities: [{ issuer: `${provider.issuer}/`, subject: 'ann', label: 'ann@example.org' }] })
  t.match(await runCommand(['user', 'show', 'ann'], settings), { stdout: /no password/ })
  const statusOf = async (token: string) => (await server.send('GET', '/api/account', { token })).status
  t.strictSame([await statusOf(session), await statusOf(personal)], [401, 200])
  t.equal(outcome(await server.send('GET', '/api/account', { user })), '401 credentials_wrong')
  t.equal(outcome(await goThrough(server, provider, { claims: { sub: 'ann' } })), '201')
  t.match((await runCommand(['events', '--json'], settings)).stdout, /"password_removed"/)
  t.match(await runCommand(['user', 'show', 'ann', '--remove'], settings), { code: 2 })

  await registerIdentity(server, provider, 'bob')
  t.match(await runCommand(['user', 'show', 'bob'], settings), { stdout: /identity bob at http:\/\/127/ })
  const { stdout } = await runBin(['user', 'reset', 'bob', '--json'], settings)
  t.equal((await server.send('POST', '/api/account/claim', { json: { secret: /claim=(\w+)/.exec(stdout)?.[1], password: PASSWORD } })).status, 204)
  t.match(await show('show', 'bob'), { hasPassword: true, identities: [] })
  t.equal((await server.send('GET', '/api/account', { user: ['bob', PASSWORD] })).status, 200, 'who has lost the provider gets a password')
})

t.test('doctor reads the metadata, tells the redirect URI, and names accounts that nothing opens', async t => {
  const provider = await startProvider(t)
  const other = await startProvider(t)
  const postgres = await startPostgres(t)
  const doctor = async (settings: Settings) => Object.fromEntries((await runCommand(['doctor', '--json'], settings)).stdout.trim().split('\n')
    .map(line => JSON.parse(line)).map(({ check, ...finding }) => [check, finding]))
  const folder = t.testdir()
  t.match(await doctor({ DATA_DIR: `${folder}/none` }), { identity_provider: { verdict: 'good', message: /not set/ }, accounts: { verdict: 'good' } })
  for (const database of [{}, { DATABASE_URL: await postgres.newDatabase() }]) {
    const settings = { DATA_DIR: `${folder}/${Object.keys(database).length}`, ...database, ...unlimited, ...provider.settings }
    t.match(await doctor(settings), { accounts: { verdict: 'good' } }, 'before the first start')
    const server = await startServer(t, settings)
    await registerIdentity(server, provider, 'ann')
    await registerIdentity(server, provider, 'bob')
    await runBin(['user', 'disable', 'bob'], settings)
    await server.close()
    t.match(await doctor(settings), {
      identity_provider: { verdict: 'good', message: /can be used; the redirect URI to register there is http:\/\/localhost:5000\/store\/oidc\/callback/ },
      accounts: { verdict: 'good' }
    })
    t.match(await doctor({ ...settings, ...other.settings }), { accounts: { verdict: 'warning', message: /: ann$/, remedy: /user reset/ } })
  }
  const settings = { DATA_DIR: `${folder}/none`, ...provider.settings }
  const faults: [() => void, RegExp][] = [
    [() => { provider.metadata.id_token_signing_alg_values_supported = ['HS256', 'none'] }, /signs nothing with a key of its own, only with HS256, none/],
    [() => { provider.metadata.issuer = `${provider.issuer}/other` }, /OIDC_ISSUER is http:.*\/, but they say "http:.*\/other"/],
    [() => { provider.faults.metadata = response => response.writeHead(404).end() }, /has answered with 404/],
    [() => { provider.faults.metadata = response => response.writeHead(502).end() }, /has answered with 502/],
    [() => { provider.faults.metadata = response => response.destroy() }, /can't be reached/]
  ]
  for (const [plant, message] of faults) {
    plant()
    t.match((await doctor(settings)).identity_provider, { verdict: 'fault', message, remedy: String }, String(message))
  }
})

t.test('a backup has the identities, from each database to the other, and restore says that removed ones revive', async t => {
  const provider = await startProvider(t)
  const postgres = await startPostgres(t)
  const root = t.testdir()
  const [first, shared, last] = [join(root, 'first'), await postgres.newDatabase(), join(root, 'last')]
  const server = await startServer(t, { DATA_DIR: first, ...unlimited, ...provider.settings })
  const { token } = await registerIdentity(server, provider, 'ann')
  const { json: { code } } = await goThrough(server, provider, { claims: { sub: 'ann' } }, { path: '/api/identities/confirm', begins: { token } })
  const made = await server.send('POST', '/api/tokens', { user: ['ann', ''], headers: { 'one-time-code': code }, json: { name: 'a program', scopes: ['account'] } })
  t.equal(outcome(made), '201')
  const program = { token: made.json.token }
  await server.close()
  // Her last sign-in is old.
  const database = new Database(join(first, 'magicstore.db'))
  database.prepare('UPDATE accounts SET provider_sign_in_at = provider_sign_in_at - ?').run(30 * DAY)
  database.close()
  await runCommand(['backup', join(root, 'one')], { DATA_DIR: first })
  const middle = { DATA_DIR: join(root, 'middle'), DATABASE_URL: shared }
  t.match(await report(['restore', join(root, 'one')], middle), { identities: 1 })
  await runCommand(['backup', join(root, 'two')], middle)
  t.match(await runCommand(['restore', join(root, 'two')], { DATA_DIR: last }), { code: 0, stdout: /identities that were removed after the backup sign in again/ })
  const restored = await startServer(t, { DATA_DIR: last, ...unlimited, ...provider.settings })
  t.equal(outcome(await restored.send('GET', '/api/account', program)), '401 sign_in_required', 'her tokens rest as before')
  t.match(await goThrough(restored, provider, { claims: { sub: 'ann' } }), { status: 201, json: { username: 'ann' } })
  t.match((await restored.send('GET', '/api/identities', { token: (await goThrough(restored, provider, { claims: { sub: 'ann' } })).json.token })).json, { identities: [{ id: 1 }] })
  t.equal((await restored.send('GET', '/api/account', program)).status, 200, 'and work again after her sign-in')
})
