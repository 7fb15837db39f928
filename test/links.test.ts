import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sha256Of } from './kit/digests.ts'
import { personalToken } from './kit/drive.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { refused } from './kit/refusals.ts'
import { kindsOf, runBin, sharedServer, signUp, startServer, type Answer, type Client, type RunningServer, type SendOptions, type Settings } from './kit/server.ts'
import { runSql, textOfDatabase } from './kit/stores.ts'

type User = [string, string]

interface Owner {
  readonly server: RunningServer
  readonly user: User
  readonly token: string
  /** One less than the id of the first link that {@link create} makes: the tests number links from 1. */
  before: number | undefined
}

const PASSWORD = 'tell it by phone'

/** A user with a file and a folder, at a server with links. */
async function openOwner (server: RunningServer): Promise<Owner> {
  const { user, token } = await signUp(server)
  await server.send('PUT', '/uploads/report.pdf', { token, body: 'the bytes' })
  await server.send('PUT', '/api/folders/inbox', { token })
  return { server, user, token, before: undefined }
}

const shareOwner = async (settings: Settings = {}) => openOwner(await sharedServer({ LINKS: 'on', ...settings }))

/** With a server of its own: whoever reads the files of a database ends its locks. */
const startOwner = async (t: Test) => openOwner(await startServer(t, { LINKS: 'on', RATE_LIMIT_PER_MINUTE: '0' }))

async function create (owner: Owner, json: object, options: SendOptions = { token: owner.token }): Promise<Answer> {
  const answer = await owner.server.send('POST', '/api/links', { ...options, json })
  if (answer.status === 201) owner.before ??= answer.json.id - 1
  return answer
}

const file = { name: 'report.pdf', kind: 'download' }
const inbox = { name: 'inbox', kind: 'upload' }

const pathOf = ({ before = 0 }: Pick<Owner, 'before'>, number: number) => `/api/links/${before + number}`
const change = (owner: Owner, number: number, json: object, options: SendOptions = { token: owner.token }) =>
  owner.server.send('PATCH', pathOf(owner, number), { ...options, json })
const replace = (owner: Owner, number: number, options: SendOptions = { token: owner.token }) =>
  owner.server.send('POST', `${pathOf(owner, number)}/secret`, options)
const address = (owner: Owner, number: number, options: SendOptions = { token: owner.token }) =>
  owner.server.send('GET', `${pathOf(owner, number)}/secret`, options)
const get = (owner: Owner, number: number) => owner.server.send('GET', pathOf(owner, number), { token: owner.token })

async function idsOf ({ server, token, before = 0 }: Pick<Owner, 'server' | 'token' | 'before'>, query = ''): Promise<number[]> {
  return (await server.send('GET', `/api/links${query}`, { token })).json.links.map(({ id }: { id: number }) => id - before)
}

const eventsOf = async (client: Client, token: string) =>
  (await kindsOf(client, { token })).filter(kind => kind.startsWith('link')).reverse()

t.test('a link is listed without its secret, which is 22 random characters and stored as a hash and sealed', async t => {
  const owner = await startOwner(t)
  const { server, token } = owner
  const before = Date.now()
  const created = await create(owner, file)
  t.equal(created.status, 201)
  t.equal(created.headers['cache-control'], 'no-store')
  const { url, createdAt, expiresAt, ...rest } = created.json
  t.strictSame(rest, {
    id: 1,
    kind: 'download',
    name: 'report.pdf',
    isFolder: false,
    hasPassword: false,
    maxFiles: null,
    maxBytes: null,
    fileName: null,
    sha256: null,
    usedFiles: 0,
    usedBytes: 0,
    showsOwner: true,
    uses: 0,
    lastUsedAt: null
  })
  t.ok(Date.parse(createdAt) >= before - HOUR && Date.parse(createdAt) <= Date.now() + HOUR)
  t.ok(Math.abs(Date.parse(expiresAt) - Date.parse(createdAt) - 30 * DAY) < HOUR, 'the latest end is the default')
  const [, secret = ''] = /^http:\/\/127\.0\.0\.1:\d+\/s\/([0-9A-Za-z]{22})$/.exec(url) ?? []
  t.strictSame(await runSql(server.dataDir, 'SELECT secret_hash FROM links'), [{ secret_hash: sha256Of(secret) }])
  t.notOk((await textOfDatabase(server.dataDir)).includes(secret))
  const more = await Promise.all(Array.from({ length: 20 }, () => create(owner, file)))
  t.equal(new Set([secret, ...more.map(({ json }) => json.url.slice(-22))]).size, 21)
  const { url: none, ...listed } = created.json
  t.strictSame((await get(owner, 1)).json, listed)
  for (const path of ['/api/links', '/api/links/1']) t.notOk((await server.send('GET', path, { token })).text.includes('/s/'), path)
})

t.test('its owner gets the address of a link again, as long as it can be opened', async t => {
  const owner = await startOwner(t)
  const { server } = owner
  const { url } = (await create(owner, file)).json
  t.match(await address(owner, 1), { status: 200, json: { url }, headers: { 'cache-control': 'no-store' } })
  const replaced = (await replace(owner, 1)).json.url
  t.not(replaced, url)
  t.strictSame((await address(owner, 1)).json, { url: replaced }, 'the new one')
  const { token } = await signUp(server)
  refused(t, await address(owner, 1, { token }), 404, 'not_found', 'of another user')
  const other = (await create(owner, file)).json.url
  const [first, second] = await runSql(server.dataDir, 'SELECT id, secret_sealed FROM links ORDER BY id')
  for (const sealed of [String(second?.secret_sealed), 'gone.AAAA', null]) {
    await runSql(server.dataDir, `UPDATE links SET secret_sealed = ${sealed === null ? 'NULL' : `'${sealed}'`} WHERE id = ${first?.id}`)
    refused(t, await address(owner, 1), 409, 'link_address_unknown', String(sealed))
  }
  t.equal((await server.send('GET', `${new URL(replaced).pathname}/files/report.pdf`)).status, 200, 'it still opens')
  t.strictSame((await address(owner, 2)).json, { url: other })
  t.match(await replace(owner, 1), { status: 200 })
  t.equal((await address(owner, 1)).status, 200, 'a new address is known')
})

t.test('a link is made also when its secret can\'t be sealed', async t => {
  const dataDir = t.testdir()
  const start = () => startServer(t, { DATA_DIR: dataDir, LINKS: 'on' })
  const before = await openOwner(await start())
  await create(before, file)
  await before.server.close()
  await writeFile(join(dataDir, 'sealing-keys'), 'damaged\n')
  const server = await start()
  const { token } = (await server.send('GET', '/api/token', { user: before.user })).json
  const owner = { ...before, server, token }
  t.equal((await create(owner, file)).status, 201)
  refused(t, await address(owner, 2), 409, 'link_address_unknown', 'not sealed')
  refused(t, await address(owner, 1), 409, 'link_address_unknown', 'its key can\'t be read')
})

t.test('a link to a folder takes files up to its limits, which have defaults', async t => {
  const owner = await startOwner(t)
  const limits = { maxFiles: 100, maxBytes: 1024 ** 3 }
  t.match(await create(owner, inbox), { status: 201, json: { kind: 'upload', name: 'inbox', isFolder: true, ...limits } })
  const expiresAt = new Date(Date.now() + HOUR).toISOString()
  const terms = { ...inbox, maxFiles: 1_000_000, maxBytes: Number.MAX_SAFE_INTEGER, showsOwner: false, expiresAt }
  t.match(await create(owner, { ...terms, password: PASSWORD }), { status: 201, json: { ...terms, hasPassword: true } })
  const none = { maxFiles: null, maxBytes: null }
  t.match(await create(owner, { ...inbox, kind: 'download' }), { status: 201, json: { isFolder: true, ...none } })
  const text = await textOfDatabase(owner.server.dataDir)
  t.notOk(text.includes(PASSWORD), 'the password is hashed')
  t.match(text, /\$argon2id\$/)
})

t.test('a link that can\'t be is refused', async t => {
  const owner = await shareOwner()
  const inDays = (days: number) => new Date(Date.now() + days * DAY).toISOString()
  const table: [json: object, status: number, code: string][] = [
    [{ ...file, name: '' }, 400, 'validation_failed'],
    [{ ...file, name: '/' }, 400, 'name_invalid'],
    [{ ...file, name: '..' }, 400, 'name_invalid'],
    [{ ...file, name: 'inbox/' }, 400, 'name_invalid'],
    [{ ...file, name: 'none' }, 404, 'not_found'],
    [{ ...file, name: 'inbox/none' }, 404, 'not_found'],
    [{ ...file, kind: 'upload' }, 400, 'validation_failed'],
    [{ ...file, kind: 'both' }, 400, 'validation_failed'],
    [{ name: 'report.pdf' }, 400, 'validation_failed'],
    [{ ...file, secret: 'mine' }, 400, 'validation_failed'],
    [{ ...file, maxFiles: 1 }, 400, 'validation_failed'],
    [{ ...file, maxBytes: 1 }, 400, 'validation_failed'],
    ...[0, -1, 1.5, 1e18, '1', null].flatMap((limit): typeof table => [
      [{ ...inbox, maxFiles: limit }, 400, 'validation_failed'], [{ ...inbox, maxBytes: limit }, 400, 'validation_failed']
    ]),
    [{ ...inbox, maxFiles: 1_000_001 }, 400, 'validation_failed'],
    ...[inDays(-1), inDays(31), '9999-12-31T23:59:59Z', '2026-12-31T23:59:60Z', 'tomorrow', '', null]
      .map((expiresAt): typeof table[number] => [{ ...file, expiresAt }, 400, 'validation_failed']),
    [{ ...file, password: '' }, 400, 'validation_failed'],
    [{ ...file, password: 'x'.repeat(1025) }, 400, 'password_invalid']
  ]
  for (const [json, status, code] of table) {
    refused(t, await create(owner, json), status, code, JSON.stringify(json).slice(0, 100))
  }
  const late = await create(owner, { ...file, expiresAt: inDays(31) })
  t.match(late.json.errors, [{ field: 'expiresAt', message: /./ }])
  t.strictSame(await idsOf(owner), [], 'nothing was made')
})

t.test('the password of a link keeps to the policy of the server', async t => {
  const owner = await shareOwner({ PASSWORD_POLICY: 'strict' })
  for (const password of ['short', 'password123']) refused(t, await create(owner, { ...file, password }), 400, 'password_invalid', password)
  t.match(await create(owner, { ...file, password: PASSWORD }), { status: 201, json: { hasPassword: true } })
  refused(t, await change(owner, 1, { password: 'short' }), 400, 'password_invalid')
  t.match(await create(owner, { ...file, password: null }), { status: 201, json: { hasPassword: false } })
})

t.test('without a limit of days a link may have no end', async t => {
  const owner = await shareOwner({ LINK_MAX_DAYS: '0' })
  const endless = { status: 201, json: { expiresAt: null } }
  for (const json of [file, { ...file, expiresAt: null }]) t.match(await create(owner, json), endless)
  const latest = '9999-12-31T23:59:59.999Z'
  t.match(await create(owner, { ...file, expiresAt: latest }), { status: 201, json: { expiresAt: latest } })
  for (const expiresAt of ['9999-12-31T23:59:59-01:00', '2020-01-01T00:00:00Z']) {
    refused(t, await create(owner, { ...file, expiresAt }), 400, 'validation_failed', expiresAt)
  }
  t.match(await owner.server.send('GET', '/'), { json: { links: 'on', linkMaxDays: 0 } })
})

t.test('an account has at most 1,000 links', async t => {
  const owner = await shareOwner()
  await create(owner, file)
  const fill = `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 998)
    INSERT INTO links (account_id, kind, file_id, secret_hash, shows_owner, created_at)
    SELECT account_id, kind, file_id, secret_hash || n, shows_owner, created_at FROM links, numbers WHERE id = ${Number(owner.before) + 1}`
  await runSql(owner.server.dataDir, fill)
  t.equal((await create(owner, file)).status, 201)
  refused(t, await create(owner, file), 409, 'too_many_links')
})

t.test('links are listed newest first, page by page, of one file or folder if its path is given', async t => {
  const owner = await shareOwner()
  for (const json of [file, inbox, file, inbox, file]) await create(owner, json)
  t.strictSame(await idsOf(owner), [5, 4, 3, 2, 1])
  const first = await owner.server.send('GET', '/api/links?name=report.pdf&limit=2', { token: owner.token })
  const { before = 0 } = owner
  t.match(first.json, { links: [{ id: before + 5 }, { id: before + 3 }], next: String(before + 3) })
  t.match((await owner.server.send('GET', `/api/links?name=report.pdf&limit=2&cursor=${first.json.next}`, { token: owner.token })).json, { links: [{ id: before + 1 }], next: null })
  for (const [name, ids] of [['inbox', [4, 2]], ['none', []], ['', []], ['..', []]] as const) t.strictSame(await idsOf(owner, `?name=${name}`), ids, name)
  for (const query of ['limit=0', 'limit=1001', 'cursor=x', 'secret=x']) {
    refused(t, await owner.server.send('GET', `/api/links?${query}`, { token: owner.token }), 400, 'validation_failed', query)
  }
  await runSql(owner.server.dataDir, `UPDATE links SET expires_at = 1 WHERE id = ${before + 5}`)
  t.match(await get(owner, 5), { status: 200, json: { expiresAt: '1970-01-01T00:00:00.001Z' } }, 'also an expired one')
})

t.test('the terms of a link change one by one, and what is absent stays', async t => {
  const owner = await shareOwner()
  await create(owner, { ...inbox, password: PASSWORD })
  const { json: made } = await get(owner, 1)
  const hash = async () => (await runSql(owner.server.dataDir, `SELECT password_hash FROM links WHERE id = ${Number(owner.before) + 1}`))[0]?.password_hash
  const first = await hash()
  const expiresAt = new Date(Date.now() + HOUR).toISOString()
  for (const json of [{ maxFiles: 1 }, { maxBytes: 2 }, { showsOwner: false }, { expiresAt }]) {
    t.match(await change(owner, 1, json), { status: 200, json: { ...made, ...json } }, JSON.stringify(json))
    Object.assign(made, json)
  }
  t.equal(await hash(), first)
  t.match(await change(owner, 1, { password: 'another one' }), { status: 200, json: { ...made, hasPassword: true } })
  t.not(await hash(), first)
  t.match(await change(owner, 1, { password: null }), { status: 200, json: { ...made, hasPassword: false } })
  await create(owner, file)
  const table: [id: number, json: object, status: number, code: string][] = [
    [1, {}, 400, 'validation_failed'],
    [1, { kind: 'download' }, 400, 'validation_failed'],
    [1, { name: 'report.pdf' }, 400, 'validation_failed'],
    [1, { maxFiles: 0 }, 400, 'validation_failed'],
    [1, { maxBytes: 1e18 }, 400, 'validation_failed'],
    [1, { expiresAt: null }, 400, 'validation_failed'],
    [1, { password: 'x'.repeat(1025) }, 400, 'password_invalid'],
    [2, { maxFiles: 1 }, 400, 'validation_failed'],
    [3, { showsOwner: false }, 404, 'not_found']
  ]
  for (const [id, json, status, code] of table) {
    refused(t, await change(owner, id, json), status, code, `${id} ${JSON.stringify(json).slice(0, 60)}`)
  }
  t.match((await get(owner, 1)).json, { ...made, hasPassword: false })
})

t.test('an end that is earlier than a new limit of days stays, and no end is prolonged beyond it', async t => {
  const owner = await shareOwner({ LINK_MAX_DAYS: '1' })
  await create(owner, file)
  await runSql(owner.server.dataDir, `UPDATE links SET expires_at = ${Date.now() + 9 * DAY}`)
  t.match(await change(owner, 1, { showsOwner: false }), { status: 200 }, 'the end is judged only if it is given')
  const { json: { expiresAt } } = await get(owner, 1)
  refused(t, await change(owner, 1, { expiresAt }), 400, 'validation_failed')
})

t.test('a new secret replaces the earlier one', async t => {
  const owner = await shareOwner()
  const { json: { url: former, ...link } } = await create(owner, { ...inbox, password: PASSWORD })
  const replaced = await replace(owner, 1)
  t.equal(replaced.status, 200)
  const { url, ...rest } = replaced.json
  t.strictSame(rest, link)
  t.not(url, former)
  t.strictSame(await runSql(owner.server.dataDir, `SELECT secret_hash FROM links WHERE id = ${Number(owner.before) + 1}`), [{ secret_hash: sha256Of(url.slice(-22)) }])
  refused(t, await replace(owner, 2), 404, 'not_found')
  t.equal((await replace(owner, 1, { token: owner.token, body: 'ignored', headers: { 'content-type': 'text/plain' } })).status, 200)
})

t.test('links are revoked one by one, those of one file, or all', async t => {
  const owner = await shareOwner()
  const { server, token } = owner
  const remove = (path: string) => server.send('DELETE', path, { token })
  for (const json of [file, inbox, file, inbox]) await create(owner, json)
  t.equal((await remove(pathOf(owner, 1))).status, 204)
  refused(t, await remove(pathOf(owner, 1)), 404, 'not_found')
  for (const name of ['', '..', 'none', '%2F']) {
    t.equal((await remove(`/api/links?name=${name}`)).status, 204, `none is of ${name}`)
    t.strictSame(await idsOf(owner), [4, 3, 2], name)
  }
  t.equal((await remove('/api/links?name=inbox')).status, 204)
  t.strictSame(await idsOf(owner), [3])
  refused(t, await remove('/api/links?nmae=inbox'), 400, 'validation_failed')
  t.strictSame(await idsOf(owner), [3], 'a mistyped parameter revokes none')
  t.equal((await remove('/api/links')).status, 204)
  t.strictSame(await idsOf(owner), [])
  refused(t, await remove('/api/links?folder=inbox'), 400, 'validation_failed')
})

t.test('every change of links is an event of the account', async t => {
  const owner = await shareOwner()
  const { server, token } = owner
  await create(owner, file)
  await change(owner, 1, { showsOwner: false })
  await replace(owner, 1)
  await server.send('DELETE', pathOf(owner, 1), { token })
  await server.send('DELETE', '/api/links', { token })
  await create(owner, { ...file, name: 'none' })
  await change(owner, 1, { showsOwner: false })
  await server.send('DELETE', pathOf(owner, 1), { token })
  const { json: { events } } = await server.send('GET', '/api/account/events', { token })
  const told = events.reverse()
    .map(({ kind, linkId }: { kind: string, linkId: number | null }) => [kind, linkId && linkId - Number(owner.before)])
  t.strictSame(told.filter(([kind]: [string]) => kind.startsWith('link')), [['link_created', 1], ['link_changed', 1], ['link_changed', 1], ['link_revoked', 1], ['links_revoked', null]])
})

t.test('another account can neither see nor change a link', async t => {
  const owner = await shareOwner()
  await create(owner, file)
  const { token } = await signUp(owner.server)
  const other = { ...owner, token }
  t.strictSame(await idsOf(other), [])
  refused(t, await create(other, file), 404, 'not_found')
  refused(t, await get(other, 1), 404, 'not_found')
  refused(t, await change(other, 1, { showsOwner: false }), 404, 'not_found')
  refused(t, await replace(other, 1), 404, 'not_found')
  refused(t, await owner.server.send('DELETE', pathOf(owner, 1), { token }), 404, 'not_found')
  t.equal((await owner.server.send('DELETE', '/api/links', { token })).status, 204)
  t.match(await get(owner, 1), { status: 200, json: { showsOwner: true } })
})

t.test('a token needs the scope for links, and makes none that gives more than itself', async t => {
  const owner = await shareOwner()
  const { server } = owner
  const lacks = (answer: Answer, scope: string, message: string) => {
    refused(t, answer, 403, 'insufficient_scope', message)
    t.match(answer.headers['www-authenticate'], `error="insufficient_scope", scope="${scope}"`, message)
  }
  for (const json of [file, inbox]) await create(owner, json)
  const table = [['files:read', 1, 2, file, inbox, 'files:write'], ['files:write', 2, 1, inbox, file, 'files:read']] as const
  for (const [scope, own, others, may, mayNot, missing] of table) {
    const token = await personalToken(server, owner.user, ['links', scope])
    t.equal((await create(owner, may, { token })).status, 201, scope)
    t.equal((await change(owner, own, { showsOwner: false }, { token })).status, 200, scope)
    t.equal((await replace(owner, own, { token })).status, 200, scope)
    t.equal((await address(owner, own, { token })).status, 200, scope)
    lacks(await create(owner, mayNot, { token }), missing, scope)
    lacks(await change(owner, others, { showsOwner: false }, { token }), missing, scope)
    lacks(await replace(owner, others, { token }), missing, scope)
    lacks(await address(owner, others, { token }), missing, scope)
  }
  const token = await personalToken(server, owner.user, ['links'])
  t.match(await server.send('GET', '/api/links', { token }), { status: 200, json: { links: [{}, {}, {}, {}] } })
  for (const path of [pathOf(owner, 1), '/api/links']) t.equal((await server.send('DELETE', path, { token })).status, 204, path)
  t.equal((await create(owner, file, { token: owner.token })).status, 201, 'the token of a password has every scope')
})

t.test('where links are off none is made or changed, and those that exist can be seen and revoked', async t => {
  const on = await startOwner(t)
  for (const json of [file, inbox, file]) await create(on, json)
  await on.server.close()
  const server = await startServer(t, { DATA_DIR: on.server.dataDir })
  const owner = { ...on, server }
  t.match(await server.send('GET', '/'), { json: { links: 'off', linkMaxDays: 30 } })
  refused(t, await create(owner, file), 403, 'links_off')
  refused(t, await change(owner, 1, { showsOwner: false }), 403, 'links_off')
  refused(t, await replace(owner, 1), 403, 'links_off')
  t.strictSame(await idsOf(owner), [3, 2, 1])
  t.equal((await get(owner, 1)).status, 200)
  t.equal((await server.send('DELETE', pathOf(owner, 1), { token: owner.token })).status, 204)
  t.equal((await server.send('DELETE', '/api/links', { token: owner.token })).status, 204)
  t.strictSame(await idsOf(owner), [])
})

t.test('the operator sees the links of an account without their secrets, and ends them all', async t => {
  const owner = await shareOwner({ LINK_MAX_DAYS: '0' })
  const { server, token, user: [name] } = owner
  const run = (...args: string[]) => runBin(['user', 'links', name, ...args], { DATA_DIR: server.dataDir })
  t.match(await run(), { code: 0, stdout: '', stderr: '' })
  const expiresAt = new Date(Date.now() + HOUR).toISOString()
  const { json: { url } } = await create(owner, file)
  await create(owner, { ...inbox, expiresAt, password: PASSWORD })
  const [first, second] = [1, 2].map(number => Number(owner.before) + number)
  await runSql(server.dataDir, `UPDATE links SET uses = 3, last_used_at = 0 WHERE id = ${first}`)
  const { stdout } = await run()
  t.equal(stdout, `${second}\tupload\tinbox\tuntil ${expiresAt}\t0 uses\twith a password\n${first}\tdownload\treport.pdf\tno end\t3 uses\tlast 1970-01-01T00:00:00.000Z\n`)
  const { stdout: lines } = await run('--json')
  t.match(lines.split('\n', 2).map(line => JSON.parse(line)), [
    { id: second, kind: 'upload', name: 'inbox', hasPassword: true, expiresAt, uses: 0, lastUsedAt: null },
    { id: first, kind: 'download', name: 'report.pdf', hasPassword: false, expiresAt: null, uses: 3, lastUsedAt: '1970-01-01T00:00:00.000Z' }
  ])
  t.notOk((stdout + lines).includes(url.slice(-22)))
  t.match(await run('--revoke'), { code: 0, stdout: `revoked 2 links of ${name}\n`, stderr: '' })
  t.strictSame(await idsOf(owner), [])
  t.match(await run('--revoke', '--json'), { code: 0, stdout: '{"revoked":0}\n' })
  t.strictSame((await eventsOf(server, token)).slice(2), ['links_revoked', 'links_revoked'])
})
