import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import argon2 from 'argon2'
import t from 'tap'
import { buildApp } from '#src/app.ts'
import { readConfig } from '#src/config.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { openStore } from '#src/services.ts'
import { createPersonalToken } from '#src/tokens/tokens.ts'
import { countFailures, recordFailure } from '../kit/attempts.ts'
import { createTestClock } from '../kit/clock.ts'
import { checkServer } from '../kit/conformance.ts'
import { DAY, HOUR } from '../kit/durations.ts'
import { operationsOf } from '../kit/guarded.ts'
import { refused } from '../kit/refusals.ts'
import { pairwise, product } from '../kit/sampling.ts'
import { clientOf, formOf, issueToken, signUp, spawnServer, startServer, type Client, type SendOptions } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'
import { allowUpdates, refuseUpdates, runSql, skipWithoutSqlite, storedBlobs, textOfDatabase, uploadsBegun } from '../kit/stores.ts'
import { until } from '../kit/waiting.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

type User = [string, string]

/** Creates a personal access token through the API. */
async function makeToken (
  client: Client, user: User, scopes: string[], more: { expiresAt?: string | null } = {}
): Promise<{ id: number, token: string }> {
  return (await client.send('POST', '/api/tokens', { user, json: { name: 'a script', scopes, ...more } })).json
}

/** Starts a request whose credential is accepted; `release` sends its body and returns the whole response. */
async function holdBody (
  port: number, [line, ...fields]: string[], body: string
): Promise<{ begin (bytes: number): void, release (): Promise<string> }> {
  const socket = connect(port, '127.0.0.1')
  socket.write([`${line} HTTP/1.1`, 'Host: a', ...fields, 'Expect: 100-continue', `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close', '', ''].join('\r\n'))
  let sent = 0
  // The server sends 100 Continue after it has authenticated the request.
  const [first] = await once(socket, 'data')
  if (!String(first).startsWith('HTTP/1.1 100 ')) throw new Error(`the request was not accepted: ${first}`)
  return {
    begin (bytes) { socket.write(body.slice(sent, bytes)); sent = bytes },
    async release () {
      socket.write(body.slice(sent))
      return Buffer.concat(await socket.toArray()).toString()
    }
  }
}

t.test('an account shows its owner what is stored and what may be, to any credential', async t => {
  for (const [settings, limits] of [[{}, { quotaBytes: null, quotaFiles: null }], [{ QUOTA_BYTES: '1000', QUOTA_FILES: '3' }, { quotaBytes: 1000, quotaFiles: 3 }]] as const) {
    const server = await startServer(t, settings)
    const { user, token } = await signUp(server, 'Zoë')
    await signUp(server, 'other')
    const { json: { createdAt } } = await server.send('GET', '/api/users/1')
    const personal = await makeToken(server, user, ['files:read'])
    const usageIs = async (files: number, bytes: number, keptBytes = 0) => {
      for (const credential of [{ user }, { token }, { token: personal.token }, { user: [personal.token, ''] as User }]) {
        const answer = await server.send('GET', '/api/account', credential)
        t.equal(answer.status, 200)
        t.equal(answer.headers['cache-control'], 'no-store')
        t.strictSame(answer.json, { id: 1, username: 'Zoë', createdAt, hasPassword: true, usage: { files, folders: 0, bytes, keptBytes, uploadBytes: 0, ...limits } })
      }
    }
    await usageIs(0, 0)
    await server.send('PUT', '/uploads/a', { user, body: 'x'.repeat(100) })
    await server.send('PUT', '/uploads/b', { user, body: '' })
    await usageIs(2, 100)
    await server.send('PUT', '/uploads/a', { user, body: 'x'.repeat(7) })
    await usageIs(2, 7, 100)
    await server.send('DELETE', '/uploads/a', { user })
    await usageIs(1, 0, 107)
    refused(t, await server.send('GET', '/api/account'), 401, 'credentials_missing')
  }
})

t.test('the current password sets a new one, and every token of the account ends', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ab', 'old')
  const other = await signUp(server, 'other', 'old')
  const personal = await makeToken(server, user, ['files:read', 'files:write', 'account'])
  const issued = await issueToken(server, { token: personal.token })
  const tokens = [token, personal.token, issued]
  for (const each of tokens) {
    for (const credential of [{ token: each }, { headers: { authorization: `Token ${each}` } }, { user: [each, 'old'] as User }]) {
      refused(t, await server.send('PUT', '/api/account/password', { ...credential, json: { password: 'new' } }), 401, 'password_required')
    }
  }
  refused(t, await server.send('PUT', '/api/account/password', { user: ['ab', 'new'], json: { password: 'new' } }), 401, 'credentials_wrong')
  refused(t, await server.send('PUT', '/api/account/password', { json: { password: 'new' } }), 401, 'credentials_missing')
  const bodies: [body: SendOptions, status: number, code: string][] = [
    [{ json: {} }, 400, 'validation_failed'],
    [{ json: { password: 'new', username: 'ab' } }, 400, 'validation_failed'],
    [{ json: { password: 1 } }, 400, 'validation_failed'],
    [{ json: { password: '' } }, 400, 'validation_failed'],
    [{ json: { password: 'x'.repeat(1025) } }, 400, 'password_invalid'],
    [{ json: { password: 'x\uD800' } }, 400, 'password_invalid'],
    [{ headers: { 'content-type': 'application/json' }, body: '{"password":' }, 400, 'malformed_json']
  ]
  for (const [body, status, code] of bodies) refused(t, await server.send('PUT', '/api/account/password', { user, ...body }), status, code)
  for (const each of tokens) t.equal((await server.send('GET', '/api/resource', { token: each })).status, 200, 'nothing has happened yet')

  const changed = await server.send('PUT', '/api/account/password', { user, json: { password: 'cafe\u0301' } })
  t.equal(changed.status, 204)
  t.equal(changed.text, '')
  for (const each of tokens) refused(t, await server.send('GET', '/api/resource', { token: each }), 401, 'token_revoked')
  refused(t, await server.send('GET', '/api/resource', { user }), 401, 'credentials_wrong')
  t.equal((await server.send('GET', '/api/resource', { user: ['ab', 'café'] })).status, 200)
  t.strictSame((await server.send('GET', '/api/tokens', { user: ['ab', 'café'] })).json, { tokens: [], next: null })
  t.equal((await server.send('GET', '/api/resource', { token: other.token })).status, 200)
  t.equal((await server.send('GET', '/api/resource', { user: other.user })).status, 200)
})

t.test('a new password is checked against the policy in force', async t => {
  const server = await startServer(t, { PASSWORD_POLICY: 'strict' })
  const { user } = await signUp(server, 'émile.zola')
  for (const password of ['tr0ub4d', 'password1', 'ÉMILE.ZOLA']) refused(t, await server.send('PUT', '/api/account/password', { user, json: { password } }), 400, 'password_invalid', password)
  t.equal((await server.send('PUT', '/api/account/password', { user, json: { password: 'battery horse' } })).status, 204)
})

t.test('a request whose body comes only after the password was changed is refused', async t => {
  const requests: [line: string, body: string][] = [
    ['POST /api/tokens', '{"name":"mine","scopes":["account"]}'],
    ['PUT /api/account/password', '{"password":"mine"}']
  ]
  const server = await startServer(t)
  for (const [index, [line, body]] of requests.entries()) {
    const name = `user${index}`
    await signUp(server, name, 'old')
    const held = await holdBody(server.port, [line, 'Content-Type: application/json', `Authorization: Basic ${base64(`${name}:old`)}`], body)
    t.equal((await server.send('PUT', '/api/account/password', { user: [name, 'old'], json: { password: 'new' } })).status, 204)
    const answer = await held.release()
    t.match(answer, /HTTP\/1\.1 401 [^]*www-authenticate: Basic [^]*"code":"credentials_wrong"/i, line)
    t.strictSame((await server.send('GET', '/api/tokens', { user: [name, 'new'] })).json.tokens, [], line)
  }
})

t.test('an account that is gone when its token is written is challenged like one whose credential was refused', { skip: skipWithoutSqlite }, async t => {
  const dataDir = t.testdir()
  const server = await startServer(t, { DATA_DIR: dataDir })
  const { user } = await signUp(server, 'ab')
  const database = new Database(join(dataDir, 'magicstore.db'))
  database.exec('CREATE TRIGGER gone AFTER INSERT ON tokens BEGIN UPDATE tokens SET account_id = 999 WHERE id = new.id; END')
  refused(t, await server.send('GET', '/api/token', { user }), 401, 'token_revoked')
  database.exec('DROP TRIGGER gone')
  database.close()
  t.equal((await server.send('GET', '/api/token', { user })).status, 200)
})

t.test('a sign-in whose password can\'t be hashed anew is as good', async t => {
  const dataDir = t.testdir()
  const server = await startServer(t, { DATA_DIR: dataDir })
  const { id, user } = await signUp(server, 'ab', 'cde')
  const old = await argon2.hash('cde', { memoryCost: 8192, timeCost: 1, parallelism: 1 })
  await runSql(dataDir, `UPDATE accounts SET password_hash = '${old}'`)
  await refuseUpdates(dataDir, 'accounts')
  await issueToken(server, { user })
  const hash = async () => (await runSql(dataDir, `SELECT password_hash AS hash FROM accounts WHERE id = ${id}`))[0]?.hash
  t.equal(await hash(), old)
  await allowUpdates(dataDir, 'accounts')
  await issueToken(server, { user })
  t.not(await hash(), old)
})

t.test('a deleted account is gone at once: user, tokens, files and bytes; its name is free and its id is not used again', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ab', 'cde')
  const other = await signUp(server, 'other', 'cde')
  const personal = await makeToken(server, user, ['files:read', 'files:write', 'account'])
  const tokens = [token, personal.token, await issueToken(server, { token: personal.token })]
  for (const name of ['a', 'b', 'c']) await server.send('PUT', `/uploads/${name}`, { user, body: `bytes of ${name}` })
  await server.send('PUT', '/uploads/a', { user: other.user, body: 'bytes of a' })
  for (const each of tokens) refused(t, await server.send('DELETE', '/api/account', { token: each }), 401, 'password_required')
  refused(t, await server.send('DELETE', '/api/account', { user: ['ab', 'wrong'] }), 401, 'credentials_wrong')
  t.equal((await server.send('GET', '/api/account', { user })).json.usage.files, 3, 'nothing has happened yet')

  const deleted = await server.send('DELETE', '/api/account', { user })
  t.equal(deleted.status, 204)
  t.equal(deleted.text, '')
  for (const path of ['/api/resource', '/uploads/a', '/api/files', '/api/account']) {
    for (const each of tokens) refused(t, await server.send('GET', path, { token: each }), 401, 'token_revoked', path)
    refused(t, await server.send('GET', path, { user }), 401, 'credentials_wrong', path)
  }
  refused(t, await server.send('DELETE', '/api/account', { user }), 401, 'credentials_wrong')
  refused(t, await server.send('GET', '/api/users/1'), 400, 'user_unknown')

  const heir = await signUp(server, 'AB', 'xyz')
  t.equal(heir.id, 3)
  t.strictSame((await server.send('GET', '/api/files', { user: heir.user })).json.files, [])
  refused(t, await server.send('GET', '/uploads/a', { user: heir.user }), 404, 'not_found')
  t.strictSame((await server.send('GET', '/api/tokens', { user: heir.user })).json.tokens.map((each: { kind: string }) => each.kind), ['access'])
  t.notMatch((await server.send('GET', '/api/account/events', { user: heir.user })).text, 'personal_token_created')
  t.equal((await server.send('GET', '/uploads/a', { user: other.user })).text, 'bytes of a')
  await server.send('DELETE', '/api/account', { user: heir.user })
  t.equal((await signUp(server, 'ab')).id, 4, 'the last id is not used again either')
  await server.close()
  t.equal((await storedBlobs(server.dataDir)).length, 1, 'only the other user\'s bytes are left')
})

t.test('an upload that is under way when its owner is deleted ends without leaving bytes', async t => {
  const server = await startServer(t)
  const form = formOf('new', 'y'.repeat(100_000))
  const uploads: [head: string[], body: string][] = [
    [['PUT /uploads/new'], 'x'.repeat(100_000)],
    [['PUT /uploads/present'], 'x'.repeat(100_000)],
    [['POST /', `Content-Type: ${form.headers['content-type']}`], form.body.toString()]
  ]
  for (const [index, [head, body]] of uploads.entries()) {
    const user: User = [`user${index}`, 'pwd']
    await signUp(server, ...user)
    await server.send('PUT', '/uploads/present', { user, body: 'bytes' })
    const held = await holdBody(server.port, [...head, `Authorization: Basic ${base64(user.join(':'))}`], body)
    held.begin(50_000)
    await until(async () => await uploadsBegun(server.dataDir) > 0)
    t.equal((await server.send('DELETE', '/api/account', { user })).status, 204)
    t.match(await held.release(), /HTTP\/1\.1 404 [^]*"code":"not_found"/, String(head[0]))
  }
  await server.close()
  t.strictSame(await storedBlobs(server.dataDir), [])
})

t.test('the valid tokens are listed to any credential, the newest first, without their secrets', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ab', 'cde')
  await signUp(server, 'other')
  const before = Date.now()
  const personal = await makeToken(server, user, ['account', 'files:read'], { expiresAt: '2099-01-01T00:00:00+02:00' })
  const endless = await makeToken(server, user, ['files:write'])
  const issued = await issueToken(server, { token: personal.token })
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
  await until(async () => (await server.send('GET', '/api/tokens', { user })).json.tokens[2].lastUsedAt !== null)
  for (const credential of [{ user }, { token }, { token: endless.token }, { token: issued }]) {
    await server.send('GET', '/api/resource', credential)
    const answer = await server.send('GET', '/api/tokens', credential)
    t.equal(answer.status, 200)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.match(answer.json, {
      tokens: [
        { id: Number, kind: 'access', name: null, scopes: ['files:read', 'account'], createdAt: time, expiresAt: time },
        { id: endless.id, kind: 'personal', name: 'a script', scopes: ['files:write'], createdAt: time, expiresAt: null },
        { id: personal.id, kind: 'personal', name: 'a script', scopes: ['files:read', 'account'], createdAt: time, expiresAt: '2098-12-31T22:00:00.000Z', lastUsedAt: time },
        { id: 1, kind: 'access', name: null, scopes: ['files:read', 'files:write', 'account', 'links'], createdAt: time, expiresAt: time }
      ],
      next: null
    })
    t.equal(answer.json.tokens.length, 4)
    for (const each of answer.json.tokens) t.strictSame(Object.keys(each), ['id', 'kind', 'name', 'scopes', 'createdAt', 'expiresAt', 'lastUsedAt', 'factors', 'browser', 'system'])
    for (const secret of [token, personal.token, endless.token, issued, String(token.split('.')[2])]) t.notMatch(answer.text, secret)
  }
  const used = (await server.send('GET', '/api/tokens', { user })).json.tokens[2].lastUsedAt
  t.ok(Date.parse(used) >= before && Date.parse(used) <= Date.now())
})

t.test('a token that was not used yet says so, and the time of its last use is kept to the minute', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ab')
  const used = async () => (await server.send('GET', '/api/tokens', { user })).json.tokens[0].lastUsedAt
  t.equal(await used(), null)
  await server.send('GET', '/api/resource', { token })
  await until(used)
  const first = await used()
  await server.send('GET', '/api/resource', { token })
  t.equal(await used(), first)
  await runSql(server.dataDir, `UPDATE tokens SET last_used_at = ${Date.now() + DAY} WHERE last_used_at IS NOT NULL`)
  await server.send('GET', '/api/resource', { token })
  await until(async () => Date.parse(await used()) <= Date.now())
})

t.test('tokens and events are paged by cursor, each entry once, also while others come', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ab')
  for (let index = 0; index < 6; index++) await issueToken(server, { user })
  for (const [path, key] of [['/api/tokens', 'tokens'], ['/api/account/events', 'events']] as const) {
    const whole = (await server.send('GET', path, { token })).json
    t.equal(whole.next, null)
    const ids = whole[key].map((entry: { id: number }) => entry.id)
    t.ok(ids.length >= 7, path)
    t.strictSame(ids, [...ids].sort((a, b) => b - a), 'the newest first')
    const seen: number[] = []
    let pages = 0
    for (let cursor = ''; ;) {
      const { json } = await server.send('GET', `${path}?limit=3${cursor}`, { token })
      seen.push(...json[key].map((entry: { id: number }) => entry.id))
      pages++
      await issueToken(server, { user })
      if (json.next === null) break
      t.equal(json[key].length, 3)
      cursor = `&cursor=${json.next}`
    }
    t.strictSame(seen, ids, path)
    t.equal(pages, Math.ceil(ids.length / 3))
    const count = (await server.send('GET', `${path}?limit=1000`, { token })).json[key].length
    t.equal((await server.send('GET', `${path}?limit=${count}`, { token })).json.next, null, 'the last page is full and says that it is the last')
    t.strictSame((await server.send('GET', `${path}?cursor=1`, { token })).json[key], [])
    t.equal((await server.send('GET', `${path}?cursor=9999999999999999`, { token })).json[key].length, count)
    for (const query of ['limit=0', 'limit=1001', 'limit=-1', 'limit=1.5', 'limit=', 'limit=a', 'limit=1&limit=2', 'cursor=', 'cursor=0', 'cursor=abc', 'cursor=-1', 'cursor=99999999999999999', 'page=1', 'order=name']) {
      refused(t, await server.send('GET', `${path}?${query}`, { token }), 400, 'validation_failed', query)
    }
  }
})

t.test('a token is ended by being presented, by its id, or with all others, and is refused by the very next request', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ab', 'cde')
  const other = await signUp(server, 'other', 'cde')

  for (const forms of ['bearer', 'token', 'basic']) {
    const mine = await issueToken(server, { user })
    const credential = forms === 'bearer' ? { token: mine } : forms === 'token' ? { headers: { authorization: `Token ${mine}` } } : { user: [mine, 'x'] as User }
    const ended = await server.send('DELETE', '/api/token', credential)
    t.equal(ended.status, 204, forms)
    t.equal(ended.text, '', forms)
    for (const [method, path] of [['GET', '/api/resource'], ['DELETE', '/api/token'], ['GET', '/uploads/a'], ['PUT', '/uploads/a'], ['GET', '/api/token']] as const) {
      refused(t, await server.send(method, path, credential), 401, 'token_revoked', `${forms} ${path}`)
    }
  }
  for (let round = 0; round < 3; round++) {
    const mine = await issueToken(server, { user })
    // Written in one turn to connections that are open, so that all of them are authenticated before the first has
    // ended it.
    const sockets = await Promise.all(Array.from({ length: 4 }, async () => {
      const socket = connect(server.port, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    }))
    await wait(50)
    for (const socket of sockets) socket.write(`DELETE /api/token HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${mine}\r\nConnection: close\r\n\r\n`)
    const answers = await Promise.all(sockets.map(async socket => Buffer.concat(await socket.toArray()).toString()))
    const [done, ...others] = answers.sort()
    t.match(done, /^HTTP\/1.1 204 /)
    for (const answer of others) {
      t.match(answer, /^HTTP\/1.1 401 .*"code":"token_revoked"/s, 'it ended while the request was under way')
      t.match(answer, /\r\nwww-authenticate: Bearer realm="MagicStore", error="invalid_token"/i)
    }
  }
  refused(t, await server.send('DELETE', '/api/token', { user }), 400, 'token_needed')
  refused(t, await server.send('DELETE', '/api/token', { user: ['ab', 'wrong'] }), 401, 'credentials_wrong')
  refused(t, await server.send('DELETE', '/api/token'), 401, 'credentials_missing')

  const personal = await makeToken(server, user, ['account'])
  const issued = await issueToken(server, { token: personal.token })
  const [listed] = (await server.send('GET', '/api/tokens', { token: other.token })).json.tokens
  const unknown = await server.send('DELETE', '/api/tokens/4711', { user })
  refused(t, unknown, 404, 'not_found')
  for (const credential of [{ user }, { token }, { token: personal.token }, { token: issued }]) {
    const foreign = await server.send('DELETE', `/api/tokens/${listed.id}`, credential)
    t.equal(foreign.status, 404)
    t.equal(foreign.text, unknown.text, 'another user\'s token looks like one that does not exist')
  }
  t.equal((await server.send('GET', '/api/resource', { token: other.token })).status, 200)
  for (const id of ['0', '-1', 'abc', '01', '1e3', '9007199254740992', '99999999999999999']) refused(t, await server.send('DELETE', `/api/tokens/${id}`, { user }), 400, 'validation_failed', id)
  refused(t, await server.send('DELETE', '/api/tokens/9007199254740991', { user }), 404, 'not_found')

  t.equal((await server.send('DELETE', `/api/tokens/${personal.id}`, { token: issued })).status, 204, 'one may end the token it was issued for')
  for (const each of [personal.token, issued]) refused(t, await server.send('GET', '/api/resource', { token: each }), 401, 'token_revoked')
  refused(t, await server.send('DELETE', `/api/tokens/${personal.id}`, { user }), 404, 'not_found')

  const more = [token, (await makeToken(server, user, ['account'])).token, await issueToken(server, { user })]
  t.equal((await server.send('DELETE', '/api/tokens', { token: String(more[1]) })).status, 204)
  for (const each of more) refused(t, await server.send('GET', '/api/resource', { token: each }), 401, 'token_revoked')
  t.strictSame((await server.send('GET', '/api/tokens', { user })).json.tokens, [])
  t.equal((await server.send('DELETE', '/api/tokens', { user })).status, 204, 'also where there is none')
  t.equal((await server.send('GET', '/api/resource', { token: other.token })).status, 200)
})

t.test('a personal access token is made with the password alone, shown once, and opens what its scopes say in every form', async t => {
  const server = await startServer(t)
  const { user, token } = await signUp(server, 'ab', 'cde')
  const json = { name: 'backup 💾', scopes: ['files:write', 'files:read'] }
  const made = await server.send('POST', '/api/tokens', { user, json })
  t.equal(made.status, 201)
  t.equal(made.headers['cache-control'], 'no-store')
  t.match(made.json, { id: Number, kind: 'personal', name: 'backup 💾', scopes: ['files:read', 'files:write'], createdAt: String, expiresAt: null, lastUsedAt: null, token: /^mst_[0-9A-Za-z]{36}$/ })
  t.equal(Object.keys(made.json).length, 11)
  const personal: string = made.json.token
  for (const authorization of [`Bearer ${personal}`, `token ${personal}`, `Basic ${base64(`${personal}:`)}`, `Basic ${base64(`${personal}:unused`)}`]) {
    t.strictSame((await server.send('GET', '/api/resource', { headers: { authorization } })).json, { data: 'Hello, ab!' }, authorization.slice(0, 8))
    t.equal((await server.send('GET', '/api/token', { headers: { authorization } })).status, 200, authorization.slice(0, 8))
  }
  for (const each of [token, personal, await issueToken(server, { token: personal })]) refused(t, await server.send('POST', '/api/tokens', { token: each, json }), 401, 'password_required')
  refused(t, await server.send('POST', '/api/tokens', { json }), 401, 'credentials_missing')
  const [name, scopes] = ['x', ['account']]
  const wrong = [
    { scopes },
    { name },
    { name, scopes, kind: 'access' },
    ...['', 'x'.repeat(101), 1, 'x\ud800', 'x\ny'].map(name => ({ name, scopes })),
    ...[[], ['files:read', 'everything'], ['account', 'account'], 'account'].map(scopes => ({ name, scopes })),
    ...[
      'tomorrow', 4_000_000_000, '2099-01-01T00:00:00', '2099-01-01', '2099-02-30T00:00:00Z', '9999-12-31T23:59:59-01:00',
      '2001-01-01T00:00:00Z', new Date(Date.now() - 1000).toISOString()
    ].map(expiresAt => ({ name, scopes, expiresAt }))
  ]
  for (const body of wrong) refused(t, await server.send('POST', '/api/tokens', { user, json: body }), 400, 'validation_failed', JSON.stringify(body).slice(0, 99))
  // Valid formats that Date.parse does not know must not become "no expiry".
  for (const expiresAt of ['2098-12-31T23:59:60Z', '2099-01-01T00:00:00+05', '2099-01-01T00:00:00+0530', '2099-01-01t00:00:00z', '2099-01-01 00:00:00Z', '2099-01-01T00:00:00.123456789Z', '2099-06-30T23:59:59-00:00']) {
    const { status, json: answer } = await server.send('POST', '/api/tokens', { user, json: { name: 'x', scopes: ['account'], expiresAt } })
    t.ok(status === 400 || (status === 201 && Math.abs(Date.parse(answer.expiresAt) - Date.UTC(2099, 0, 1)) < 200 * DAY), `${expiresAt}: ${status} ${answer.expiresAt}`)
  }
})

t.test('a personal access token works until it expires, and an access token issued for it no longer', { skip: skipWithoutSqlite }, async t => {
  const clock = createTestClock(Math.floor(Date.now() / 1000) * 1000)
  const server = await startServer(t, { TOKEN_SECONDS: '100' }, { clock })
  const { user } = await signUp(server, 'ab', 'cde')
  for (const expiresAt of [null, '2099-01-01T00:00:00Z']) {
    const { token } = await makeToken(server, user, ['files:read'], { expiresAt })
    t.equal((await server.send('GET', '/api/token', { token })).json.duration, 100, 'the life of others, if it is shorter')
  }
  const end = clock.now() + 4000
  const personal = await makeToken(server, user, ['files:read'], { expiresAt: new Date(end).toISOString() })
  const { json: { token, duration } } = await server.send('GET', '/api/token', { token: personal.token })
  t.equal(duration, 4)
  const [issued] = (await server.send('GET', '/api/tokens', { token })).json.tokens
  t.equal(issued.expiresAt, new Date(end).toISOString())
  clock.set(end - 1)
  for (const each of [personal.token, token]) t.equal((await server.send('GET', '/api/resource', { token: each })).status, 200)
  clock.set(end)
  for (const each of [personal.token, token]) refused(t, await server.send('GET', '/api/resource', { token: each }), 401, 'token_expired')
  refused(t, await server.send('GET', '/api/token', { token: personal.token }), 401, 'token_expired')
  const listed = (await server.send('GET', '/api/tokens', { user })).json.tokens.map(({ id }: { id: number }) => id)
  t.notOk(listed.includes(personal.id) || listed.includes(issued.id), 'what has expired is not listed')
})

t.test('a mistyped personal token is known by its checksum, without the database being asked', async t => {
  const store = await openStore(readConfig({ PORT: '0', LOG_LEVEL: 'silent', MIN_FREE_BYTES: '0', DATA_DIR: t.testdir() }))
  const { http } = await buildApp(store)
  t.teardown(() => http.close())
  checkServer(t, http.server)
  await http.listen({ host: '127.0.0.1', port: 0 })
  const client = clientOf((http.server.address() as { port: number }).port)
  const { user } = await signUp(client, 'ab', 'cde')
  const { token } = await makeToken(client, user, ['account'])
  refused(t, await client.send('GET', '/api/resource', { token: createPersonalToken() }), 401, 'token_revoked', 'well formed, and of nobody')
  const mistyped = [
    ...Array.from(token, (character, index) => index < 4 ? '' : token.slice(0, index) + (character === 'a' ? 'b' : 'a') + token.slice(index + 1)).filter(text => text !== ''),
    token.slice(0, 4) + token.slice(5, 6) + token.slice(4, 5) + token.slice(6),
    token.slice(0, -1), `${token}0`, token.toUpperCase(), token.toLowerCase(), 'mst_', `mst_${'0'.repeat(36)}`, `mst_${token}`, `${token.slice(0, 39)}é`
  ].filter(text => text !== token)
  await store.close()
  for (const text of mistyped) {
    for (const authorization of [`Basic ${base64(`${text}:`)}`, ...(text.endsWith('é') ? [] : [`Bearer ${text}`])]) refused(t, await client.send('GET', '/api/resource', { headers: { authorization } }), 401, 'token_malformed', text)
  }
  t.equal((await client.send('GET', '/api/resource', { token, isBroken: true })).status, 500, 'while a well-formed one does ask it')
})

t.test('every operation asks of a token the scope that the document names, and of an access token that of its parent', async t => {
  const server = await startServer(t, { LINKS: 'on' })
  const { user } = await signUp(server, 'ab', 'cde')
  // What the document must say is committed with it. It answers access tokens of a password by itself.
  const operations = (await operationsOf(server)).filter(({ operationId, security }) => operationId !== 'getToken' && security.some(way => 'basic' in way))
  t.ok(operations.length > 60)
  // `undefined` is an access token for the password.
  const grants = [undefined, ['files:read'], ['files:write'], ['account'], ['files:read', 'account'], ['files:read', 'links'], ['files:read', 'files:write', 'account', 'links']]
  const tokens = new Map<string[] | undefined, string>()
  const rows = (isProof ? product : pairwise)([operations, grants, [false, true]])
  for (const [operation, granted, isIssued] of rows) {
    const { operationId, method, path, security, 'x-required-scope': scope } = operation
    const personal = tokens.get(granted) ??
      (granted === undefined ? await issueToken(server, { user }) : (await makeToken(server, user, granted)).token)
    // These two end what they are called with.
    if (operationId === 'deleteTokens' || operationId === 'endToken') tokens.clear()
    else tokens.set(granted, personal)
    const token = isIssued && granted !== undefined ? await issueToken(server, { token: personal }) : personal
    const answer = await server.send(method, path, { token })
    const message = `${operationId} with ${granted} ${isIssued ? 'issued' : ''}`
    if (!security.some(way => 'bearer' in way)) refused(t, answer, 401, 'password_required', message)
    else if (scope === undefined || granted === undefined || granted.includes(scope)) t.notOk([401, 403, 500].includes(answer.status), `${message}: ${answer.status}`)
    else {
      t.equal(answer.status, 403, message)
      t.equal(answer.headers['www-authenticate'], `Bearer realm="MagicStore", error="insufficient_scope", scope="${scope}"`, message)
      if (method !== 'HEAD') t.equal(answer.json.code, 'insufficient_scope', message)
    }
  }
})

t.test('a token that is refused says whether it expired, was revoked or is malformed, and nothing else', async t => {
  const clock = createTestClock()
  const server = await startServer(t, {}, { clock })
  const { user, token } = await signUp(server, 'ab', 'cde')
  const gone = await signUp(server, 'gone', 'cde')
  const personalOfGone = await makeToken(server, gone.user, ['account'])
  await server.send('DELETE', '/api/account', { user: gone.user })
  const ended = await makeToken(server, user, ['account'])
  await server.send('DELETE', '/api/token', { token: ended.token })
  await server.send('DELETE', '/api/token', { token })
  const end = clock.now() + 60_000
  const expired = await makeToken(server, user, ['account'], { expiresAt: new Date(end).toISOString() })
  const issued = await issueToken(server, { token: expired.token })
  clock.set(end)
  const kinds: Record<string, string[]> = {
    token_expired: [expired.token, issued],
    token_revoked: [token, ended.token, gone.token, personalOfGone.token, createPersonalToken()],
    token_malformed: ['nonsense', `${token}x`, `${ended.token}x`]
  }
  const descriptions = new Set<string>()
  for (const [code, tokens] of Object.entries(kinds)) {
    const answers = new Set<string>()
    for (const each of tokens) {
      const answer = await server.send('GET', '/api/resource', { token: each })
      refused(t, answer, 401, code)
      const { instance: _instance, ...problem } = answer.json
      t.strictSame(Object.keys(problem).sort(), ['code', 'detail', 'status', 'title', 'type'])
      // RFC 6750 section 3: the characters allowed in a description.
      const [, description = ''] = /Bearer realm="MagicStore", error="invalid_token", error_description="([ !#-[\]-~]+)"/.exec(String(answer.headers['www-authenticate'])) ?? []
      t.not(description, '', code)
      descriptions.add(description)
      const { date: _, 'ratelimit-remaining': _remaining, 'ratelimit-reset': _reset, 'x-request-id': _id, ...headers } = answer.headers
      answers.add(JSON.stringify([headers, problem]))
    }
    t.equal(answers.size, 1, `${code}: one answer, whatever the reason`)
  }
  t.equal(descriptions.size, 3)
})

/** Kinds of events in their order, those of one request by name: PostgreSQL may get them in either order. */
function kindsOf (events: { requestId: string, kind: string }[]): string[] {
  const requests = new Map<string, string[]>()
  for (const { requestId, kind } of events) requests.set(requestId, [...requests.get(requestId) ?? [], kind].sort())
  return Array.from(requests.values()).flat()
}

t.test('what happened to an account is listed for its owner, and for nobody else', async t => {
  const server = await startServer(t)
  const before = Date.now()
  const { user } = await signUp(server, 'ab', 'cde')
  const other = await signUp(server, 'other', 'cde')
  await server.send('GET', '/api/token', { user: ['AB', 'wrong'] })
  const personal = await makeToken(server, user, ['account'])
  await server.send('DELETE', '/api/token', { token: await issueToken(server, { token: personal.token }) })
  await server.send('DELETE', `/api/tokens/${personal.id}`, { user })
  await server.send('DELETE', '/api/tokens', { user })
  await server.send('PUT', '/api/account/password', { user, json: { password: 'new' } })
  const events = async () => (await server.send('GET', '/api/account/events', { user: ['ab', 'new'] })).json.events
  await until(async () => (await events())[0].kind === 'password_changed')
  const listed = await events()
  t.strictSame(kindsOf(listed.toReversed()), [
    'registered', 'sign_in_new_network', 'token_issued', 'sign_in_failed', 'personal_token_created', 'token_issued', 'token_revoked', 'token_revoked', 'tokens_revoked', 'password_changed'
  ])
  for (const event of listed) {
    t.strictSame(Object.keys(event), ['id', 'kind', 'network', 'requestId', 'linkId', 'createdAt'])
    t.match(event, { network: '127.0.0.1', requestId: /./ })
    t.ok(Date.parse(event.createdAt) >= before && Date.parse(event.createdAt) <= Date.now())
  }
  t.strictSame(kindsOf((await server.send('GET', '/api/account/events', { token: other.token })).json.events), ['sign_in_new_network', 'token_issued', 'registered'])
  refused(t, await server.send('GET', '/api/account/events'), 401, 'credentials_missing')
})

t.test('no password and no token is in the log or the data folder of a busy server', async t => {
  const dataDir = t.testdir()
  const server = await spawnServer(t, { DATA_DIR: dataDir, LOG_LEVEL: 'trace' })
  const log: Buffer[] = []
  for (const stream of [server.child.stdout, server.child.stderr]) stream?.on('data', chunk => log.push(chunk))
  const secrets: string[] = []
  const secret = (text: string) => { secrets.push(text, base64(text).replace(/=+$/, '')); return text }
  for (const name of ['ann', 'ben']) {
    const user: User = [name, secret(`password-of-${name}-7f3a`)]
    secret(user.join(':'))
    const { token } = await signUp(server, ...user)
    secret(token)
    secret(String(token.split('.')[2]))
    const personal = secret((await makeToken(server, user, ['files:read', 'files:write', 'account'])).token)
    const issued = secret(await issueToken(server, { token: personal }))
    for (const each of [token, personal, issued]) {
      for (const credential of [{ token: each }, { headers: { authorization: `Token ${each}` } }, { user: [each, 'x'] as User }]) {
        await server.send('PUT', '/uploads/a.txt', { ...credential, body: 'a' })
        await server.send('GET', '/uploads/a.txt', credential)
        await server.send('POST', '/api/tokens', { ...credential, json: {} })
      }
      await server.send('GET', '/api/resource', { token: secret(`${each.slice(0, -1)}~`) })
      await server.send('GET', `/api/resource?access_token=${each}`)
      await server.send('GET', '/nothing', { headers: { cookie: `token=${each}`, 'x-token': each } })
    }
    await server.send('GET', '/api/token', { user: [name, secret(`wrong-password-of-${name}`)] })
    await server.send('GET', '/api/token', { user: ['nobody', secret(`lost-password-of-${name}`)] })
    await server.send('POST', '/api/users', { json: { username: name, password: secret(`taken-password-of-${name}`) } })
    await server.send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: `{"username":"x","password":"${secret(`broken-password-of-${name}`)}" !` })
    await server.send('POST', '/api/users', { json: { username: 'x', password: { [secret(`nested-password-of-${name}`)]: 1 } } })
    await server.send('POST', '/api/users', { headers: { 'content-type': 'text/plain' }, body: secret(`plain-password-of-${name}`) })
    await server.send('GET', '/api/resource', { headers: { authorization: secret(`Nonsense credential-of-${name}`) } })
    const changed = secret(`new-password-of-${name}`)
    t.equal((await server.send('PUT', '/api/account/password', { user, json: { password: changed } })).status, 204)
    secret(await issueToken(server, { user: [name, changed] }))
    if (name === 'ben') t.equal((await server.send('DELETE', '/api/account', { user: [name, changed] })).status, 204)
  }
  t.equal(await server.end('SIGTERM'), 0)
  const written = Buffer.concat(log).toString()
  t.match(written, /"kind":"sign_in_failed"[^]*"kind":"password_changed"[^]*"kind":"account_removed"/)
  const lines = written.split('\n').filter(line => line.includes('"security"')).map(line => JSON.parse(line).security)
  for (const line of lines) t.match(line, { kind: /^[a-z_]+$/, network: '127.0.0.1', requestId: /./ })
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
  for (const [place, bytes] of [['the log', Buffer.from(written)], ['the database', Buffer.from(await textOfDatabase(dataDir))], ...files.map(file => [file, readFileSync(file)])] as [string, Buffer][]) {
    for (const text of secrets) if (bytes.includes(text)) t.fail(`${place} contains ${text}`)
  }
  t.ok(secrets.length > 60)
})

t.test('what time has made useless is forgotten a minute later, however much there is', { skip: skipWithoutSqlite }, async t => {
  const clock = createTestClock()
  const server = await startServer(t, { EVENT_DAYS: '1' }, { clock })
  const file = join(server.dataDir, 'magicstore.db')
  // The second one at a time when no token has expired.
  const [metadata, early] = await Promise.all([clock.now, () => 0].map(clock => openSqliteMetadata(file, { clock })))
  t.teardown(() => Promise.all([metadata?.close(), early?.close()]))
  if (metadata === undefined || early === undefined) return
  const { id } = await signUp(server, 'ab')
  await metadata.tokens.removeAll(id)
  const now = Date.now()
  const token = { accountId: id, kind: 'access', parentId: null, name: null, scopes: 'account', secretHash: null, factors: 'password', browser: null, system: null, createdAt: 1 } as const
  for (const [kind, times, hours] of [
    ['access', 1200, -25], ['access', 1, -1], ['personal', 1, -25], ['personal', 1, -23], ['session', 1, -1], ['access', 1, 1]
  ] as const) {
    const expiresAt = now + hours * HOUR
    await Promise.all(Array.from({ length: times }, () => metadata.tokens.add({ ...token, kind, expiresAt })))
  }
  await metadata.tokens.add({ ...token, kind: 'personal', expiresAt: null })
  // The last one as if the clock had been set back since.
  for (const [hours, times] of [[-3, 1200], [-1, 1], [1, 1]] as const) {
    clock.set(now + hours * HOUR)
    await Promise.all(Array.from({ length: times }, () => recordFailure(metadata, { kind: 'sign_in', network: '192.0.2.1', usernameKey: 'ab', isKnownNetwork: false })))
  }
  for (const hours of [25, 23]) await metadata.events.add({ accountId: id, kind: 'disabled', network: 'operator', requestId: '-', at: now - hours * HOUR }, { all: 9, ofKind: 9 })
  clock.set(now)
  await server.runHousekeeping()
  const tokens = await early.tokens.list(id, { beforeId: undefined, limit: 2000 })
  t.strictSame(tokens.map(({ expiresAt }) => expiresAt), [null, now + HOUR, now - 23 * HOUR], 'a personal one that expired today is kept, so that it is reported as expired')
  // At a time when all of them would count.
  t.equal(await countFailures(metadata, { kind: 'sign_in', network: '192.0.2.1' }, { seconds: 10 * 3600, at: now + HOUR }), 1, 'of the last two hours')
  t.equal((await metadata.events.listAfter(0, { limit: 99 })).filter(({ kind }) => kind === 'disabled').length, 1)
})
