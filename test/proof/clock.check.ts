import { test } from 'tap'
import { HOUR } from '../kit/durations.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { signUp, spawnServer, type Settings } from '../kit/server.ts'

/**
 * Sets the clock of a process by so many milliseconds before its own code runs. S3 refuses a signature of another time.
 */
const clockOff = (milliseconds: number) => ({
  nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(`const { now } = Date; Date.now = () => now() + ${milliseconds}`)}`],
  isCounted: true
})

test('a server whose clock is an hour ahead or behind serves the same tokens and dates as the others', async t => {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t)
  const settings: Settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), TOKEN_SECONDS: '600', SIGN_IN_FAILURES: '3', ...credentials }
  const right = await spawnServer(t, settings, { isCounted: true })
  for (const milliseconds of [HOUR, -HOUR]) {
    const wrong = await spawnServer(t, settings, clockOff(milliseconds))
    const isNow = (text: string) => Math.abs(Date.parse(text) - Date.now()) < 60_000

    const { token, user } = await signUp(right)
    const { token: theirs, user: bob } = await signUp(wrong)
    for (const server of [right, wrong]) {
      for (const each of [token, theirs]) t.equal((await server.send('GET', '/api/resource', { token: each })).status, 200)
      t.equal((await server.send('GET', '/api/tokens', { token })).json.tokens.length, 1, 'and lists them')
    }
    const claims = JSON.parse(Buffer.from(String(theirs.split('.')[1]), 'base64url').toString()) as { iat: number, exp: number }
    const [row] = (await wrong.send('GET', '/api/tokens', { token: theirs })).json.tokens as { createdAt: string, expiresAt: string, lastUsedAt: string }[]
    t.ok(row !== undefined && isNow(row.createdAt) && isNow(row.lastUsedAt))
    t.equal(claims.iat, Math.floor(Date.parse(String(row?.createdAt)) / 1000))
    t.equal(claims.exp, Math.ceil(Date.parse(String(row?.expiresAt)) / 1000), 'the token says what the row says')
    t.equal(Date.parse(String(row?.expiresAt)) - Date.parse(String(row?.createdAt)), 600_000)

    const expiresAt = new Date(Date.now() + 1_800_000).toISOString()
    const personal = await wrong.send('POST', '/api/tokens', { user: bob, json: { name: 'half an hour', scopes: ['files:read'], expiresAt } })
    t.match([personal.status, personal.json.expiresAt], [201, expiresAt])
    t.match((await wrong.send('GET', '/api/token', { token: personal.json.token })).json, { duration: 600 })
    const past = { name: 'past', scopes: ['files:read'], expiresAt: new Date(Date.now() - 1_800_000).toISOString() }
    t.equal((await wrong.send('POST', '/api/tokens', { user: bob, json: past })).status, 400)

    // In turns: each is later than the one before, whichever server stores it.
    const names = ['a', 'b', 'c', 'd']
    for (const [index, name] of names.entries()) await (index % 2 === 0 ? wrong : right).send('PUT', `/uploads/${name}`, { token, body: name })
    t.strictSame((await right.send('GET', '/api/files?order=oldest', { token })).json.files.map((file: { name: string }) => file.name), names)
    await wrong.send('PATCH', '/api/files/a', { token, json: { name: 'e' } })
    await wrong.send('GET', '/uploads/b', { token })
    for (const { createdAt, updatedAt } of (await right.send('GET', '/api/files', { token })).json.files) t.ok(isNow(createdAt) && isNow(updatedAt))
    for (const { createdAt } of (await right.send('GET', '/api/account/events', { token: theirs })).json.events) t.ok(isNow(createdAt))
    t.ok(isNow((await right.send('GET', '/api/account', { token: theirs })).json.createdAt))

    for (const server of [wrong, right, wrong]) t.equal((await server.send('GET', '/api/token', { user: [user[0], 'wrong'] })).status, 401)
    t.equal((await right.send('GET', '/api/token', { user: [user[0], 'wrong'] })).status, 429, 'failures are counted together')

    // Expired by the clock of the database, and by no other.
    await postgres.run(String(settings.DATABASE_URL), 'UPDATE tokens SET expires_at = extract(epoch FROM clock_timestamp()) * 1000 - 1')
    for (const server of [right, wrong]) t.match((await server.send('GET', '/api/resource', { token })), { status: 401, json: { code: 'token_expired' } })
    t.equal((await right.send('GET', '/api/tokens', { user: bob })).json.tokens.length, 0)
  }
})
