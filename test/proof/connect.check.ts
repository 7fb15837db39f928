import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { test, type Test } from 'tap'
import { connectTo } from '#src/sync/connection.ts'
import { findToken, keepToken } from '#src/sync/tokens.ts'
import { commandsWith, runCommand } from '../kit/commands.ts'
import { PASSWORD, sharedServer, signUp, spawnBin, spawnServer, type Client, type Settings } from '../kit/server.ts'
import { freePort } from '../kit/wire.ts'

/** Without it, a run waits until what was changed just now is quiet. */
const runAhead = commandsWith(new URL('../kit/ahead.js', import.meta.url).href)

/** `magicstore connect` with its own state, once it shows its code. */
async function startConnect (t: Test, url: string, settings: Settings, ...args: string[]) {
  const child = spawnBin(['connect', url, '--json', ...args], settings)
  const exited = once(child, 'exit') as Promise<[number | null]>
  t.teardown(() => child.kill())
  const errors = (child.stderr as Readable).setEncoding('utf8').toArray()
  const lines = createInterface(child.stdout as Readable)[Symbol.asyncIterator]()
  const next = async () => JSON.parse((await lines.next()).value)
  return { shown: await next(), next, ended: async () => ({ code: (await exited)[0], error: (await errors).join('') }) }
}

/** What a person does with the code that a program shows. */
async function decide (client: Client, user: [string, string], userCode: string, isAllowed = true): Promise<object> {
  const { json: found } = await client.send('POST', '/api/connections/find', { user, json: { userCode } })
  const path = `/api/connections/${found.id}`
  await (isAllowed ? client.send('POST', `${path}/allow`, { user }) : client.send('DELETE', path, { user }))
  return found
}

test('connect gets a token into a file of its user, from which sync takes it, also in place of one that has ended', async t => {
  const folder = t.testdir({ documents: { 'a.txt': 'hello' } })
  const server = await sharedServer()
  const { user } = await signUp(server)
  const settings = { XDG_STATE_HOME: join(folder, 'state') }
  const sync = (...args: string[]) => runAhead(['sync', join(folder, 'documents'), ...args], settings)
  const connect = async (...args: string[]) => {
    const program = await startConnect(t, `${server.url}/`, settings, ...args)
    t.match(program.shown, { userCode: /^\w{4}-\w{4}$/, verificationUrl: `${server.url}/#account`, expiresAt: /Z$/ })
    t.match(await decide(server, user, program.shown.userCode), { name: /./, scopes: ['files:read', 'files:write'] })
    const connected = await program.next()
    t.match(connected, { username: user[0], url: server.url, name: /./ })
    t.strictSame(await program.ended(), { code: 0, error: '' })
    return connected
  }
  const { file, name } = await connect('--name', 'laptop')
  t.equal(name, 'laptop')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.equal((await stat(join(file, '..'))).mode & 0o777, 0o700)
  t.strictSame(await readdir(join(settings.XDG_STATE_HOME, 'magicstore/tokens')).then(names => names.length), 1)
  t.match(await sync(`${server.url}/shared`), { code: 0 })
  t.equal((await server.send('GET', '/uploads/shared/a.txt', { user })).text, 'hello')
  const first = await readFile(file, 'utf8')
  t.equal((await server.send('DELETE', '/api/token', { token: first })).status, 204)
  t.match(await sync(), { code: 4, stderr: /run magicstore connect/ })
  await connect()
  t.not(await readFile(file, 'utf8'), first)
  t.match(await sync(), { code: 0 }, 'with the new one')
  t.match(await sync(), { code: 0 }, 'which is kept')
})

test('a connection that is refused, and one without a server, end with one line', async t => {
  const server = await sharedServer()
  const { user } = await signUp(server)
  const settings = { XDG_STATE_HOME: t.testdir() }
  const program = await startConnect(t, server.url, settings)
  await decide(server, user, program.shown.userCode, false)
  t.strictSame(await program.ended(), { code: 1, error: 'magicstore: it was refused, or the code has expired\n' })
  t.match(await runCommand(['connect', `http://127.0.0.1:${await freePort()}`], settings), { code: 1, stderr: /^magicstore: the server can't be reached: .*ECONNREFUSED.*\n$/ })
  for (const args of [[], ['ftp://a'], ['http://'], [server.url, 'more']]) t.match(await runCommand(['connect', ...args], settings), { code: 2, stdout: '' })
  t.match(await runCommand(['connect', server.url, '--name', 'a\nb'], settings), { code: 1, stderr: /^magicstore: [^\n]+\n$/ })
})

test('a permission outlives a server that is killed, and the token is picked up from the next one', async t => {
  const folder = t.testdir()
  const settings = { DATA_DIR: join(folder, 'data'), PORT: String(await freePort()) }
  const server = await spawnServer(t, settings)
  await server.send('POST', '/api/users', { json: { username: 'ann', password: PASSWORD } })
  const { json: connection } = await server.send('POST', '/api/connections', { json: { name: 'a', scopes: ['files:read'] } })
  await decide(server, ['ann', PASSWORD], connection.userCode)
  await server.end('SIGKILL')
  const next = await spawnServer(t, settings)
  const pickUp = () => next.send('POST', `/api/connections/${connection.id}/token`, { json: { secret: connection.secret } })
  const picked = await pickUp()
  t.match(picked, { status: 200, json: { username: 'ann' } })
  t.equal((await pickUp()).status, 404)
  t.equal((await next.send('GET', '/api/files', { token: picked.json.token })).status, 200)
  await next.end('SIGTERM')
})

test('a program goes on after answers that say nothing, also with a clock that is wrong, and ends when the server says so and at what is not MagicStore', async t => {
  const answers: ((response: ServerResponse) => void)[] = []
  const requests: string[] = []
  const foreign = createServer((request: IncomingMessage, response: ServerResponse) => {
    requests.push(String(request.url))
    request.resume()
    answers.shift()?.(response)
  }).listen(0, '127.0.0.1')
  await once(foreign, 'listening')
  t.teardown(() => foreign.close())
  const url = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}/store`
  const json = (status: number, body: unknown) => (response: ServerResponse) => {
    response.writeHead(status).end(JSON.stringify(body))
  }
  const requested = (milliseconds: number, interval = 0) => json(201, {
    id: 'a', secret: 'b', userCode: 'BBBB-BBBB', verificationUrl: '/#account', interval, expiresAt: new Date(Date.now() + milliseconds).toISOString()
  })
  const connect = (...given: typeof answers) => {
    answers.splice(0, answers.length, ...given)
    return connectTo(url, { name: 'a', scopes: [] }, ({ verificationUrl }) => t.equal(verificationUrl, `${url}/#account`))
  }
  const connected = { token: 't', username: 'ann' }
  const cut = (response: ServerResponse) => { response.destroy() }
  const empty = (response: ServerResponse) => { response.writeHead(202).end() }
  const goesOn = await connect(requested(-60_000), cut, json(503, {}), json(429, {}), empty, json(200, connected))
  t.strictSame(goesOn, connected)
  t.strictSame(new Set(requests), new Set(['/store/api/connections', '/store/api/connections/a/token']))
  await t.rejects(connect(requested(60_000), json(404, {})), { message: /expired/ })
  await t.rejects(connect(json(200, {})), { message: /no MagicStore/ })
  await t.rejects(connect(response => response.end('<html>')), { message: /no MagicStore/ })
  await t.rejects(connect(response => response.writeHead(403).end('<html>')), { message: 'it answers with status 403' })
  await t.rejects(connect(json(403, { detail: 'only over TLS' })), { message: 'only over TLS' })
  await t.rejects(connect(json(500, {})), { message: 'it answers with status 500' })
  await t.rejects(connect(response => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()), { message: 'unexpected redirect' })
})

test('a token file that is there gets the new token and its mode', async t => {
  const folder = join(t.testdir(), 'tokens')
  const file = keepToken(folder, { url: 'https://a.example', token: 'one' })
  await chmod(file, 0o644)
  t.equal(keepToken(folder, { url: 'https://a.example', token: 'two' }), file)
  t.strictSame([findToken(folder, 'https://a.example'), findToken(folder, 'https://b.example')], ['two', undefined])
  t.equal((await stat(file)).mode & 0o777, 0o600)
})
