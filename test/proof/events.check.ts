import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { runCommand } from '../kit/commands.ts'
import { execute } from '../kit/programs.ts'
import { issueToken, runBin, signUp, spawnBin, spawnServer } from '../kit/server.ts'

interface Event {
  id?: number
  createdAt: string
  kind: string
  accountId: number | null
  username: string | null
  network: string
  requestId: string
  details?: object | null
}

const eventsIn = (text: string): Event[] => text.split('\n').filter(line => line !== '').map(line => JSON.parse(line))
const kindsOf = (events: Event[]): string[] => events.map(({ kind }) => kind)

t.test('what users and operators did is listed, and appended to the file of EVENT_LOG', async t => {
  const folder = t.testdir({ log: {} })
  const dataDir = join(folder, 'data')
  const file = join(folder, 'log/events')
  const settings = { DATA_DIR: dataDir, EVENT_LOG: file }
  const server = await spawnServer(t, settings, { isCounted: true })
  const { user } = await signUp(server, 'ann', 'first')
  const other = await signUp(server, 'ben', 'second')
  await server.send('GET', '/api/token', { user: ['ann', 'wrong'] })
  await server.send('GET', '/api/token', { user: ['nobody', 'lost'] })
  await issueToken(server, { user })
  const operate = async (args: string[], input = '') => {
    const { code, stdout, stderr } = await runCommand(args, settings, input)
    t.equal(code, 0, `${args.join(' ')} ${stderr}`)
    return stdout
  }
  await operate(['user', 'quota', 'ann', '--bytes', '5G'])
  await operate(['user', 'disable', 'ann'])
  await operate(['user', 'enable', 'ann'])
  await operate(['user', 'passwd', 'ann'], 'third')
  await operate(['keys', 'rotate'])
  await operate(['trash', 'empty', 'ann', '--yes'])
  await operate(['trash', 'empty', '--all', '--yes'])
  renameSync(file, `${file}.1`)
  await operate(['user', 'add', 'cem'], 'fourth')
  t.equal((await server.send('DELETE', '/api/account', { user: other.user })).status, 204)
  await operate(['user', 'rm', 'cem', '--yes'])

  const listed = eventsIn(await operate(['events', '--json']))
  t.strictSame(kindsOf(listed.filter(({ network }) => network === 'operator')), [
    'quota_changed', 'disabled', 'enabled', 'password_changed', 'keys_rotated', 'trash_emptied', 'trash_emptied', 'registered', 'account_removed'
  ])
  t.match(listed.find(({ kind }) => kind === 'quota_changed'), { accountId: 1, username: 'ann', requestId: '-', details: { quotaBytes: 5 * 1024 ** 3, quotaFiles: null } })
  t.match(listed.find(({ kind }) => kind === 'keys_rotated'), { accountId: null, username: null, details: { kid: /./ } })
  t.match(listed.filter(({ kind }) => kind === 'trash_emptied'), [{ username: 'ann', details: { files: 0 } }, { username: null }])
  t.match(listed.filter(({ username }) => username === 'ben').map(({ kind, network }) => ({ kind, network })), [
    { kind: 'registered' }, {}, {}, { kind: 'account_removed', network: '127.0.0.1' }
  ], 'a deleted account has left its events')
  t.ok(listed.every(({ id, createdAt }, index) => Number(id) > Number(listed[index - 1]?.id ?? 0) && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(createdAt)))

  const written = [`${file}.1`, file].flatMap(path => eventsIn(readFileSync(path, 'utf8')))
  const stored = (events: Event[]) => kindsOf(events.filter(({ kind, username }) => kind !== 'sign_in' && username !== null)).sort()
  t.strictSame(stored(written), stored(listed), 'the file has the same events')
  t.ok(kindsOf(written).includes('sign_in'), 'and each sign-in by password')
  t.match(written.filter(({ accountId, kind }) => accountId === null && kind === 'sign_in_failed'), [{ username: null }], 'a name that does not exist may be a password')
  t.ok(written.every(({ createdAt, requestId }) => /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(createdAt) && requestId !== ''))
  t.notMatch(readFileSync(file, 'utf8') + readFileSync(`${file}.1`, 'utf8') + JSON.stringify(listed), /first|second|third|fourth|wrong|lost|nobody/)
  t.equal(statSync(file).mode & 0o777, 0o600)

  t.strictSame(kindsOf(eventsIn(await operate(['events', '--json', '--user', 'CEM']))), [], 'of the name as it was written')
  t.strictSame(kindsOf(eventsIn(await operate(['events', '--json', '--user', 'cem']))), ['registered', 'account_removed'])
  t.strictSame(kindsOf(eventsIn(await operate(['events', '--json', '--user', 'ANN', '--since', String(listed.find(({ kind }) => kind === 'disabled')?.createdAt)]))), ['disabled', 'enabled', 'password_changed', 'trash_emptied'])
  t.strictSame(await operate(['events', '--user', 'a:b']), '')
  const text = await operate(['events'])
  t.match(text, /^\S+Z\tregistered\tann\t127\.0\.0\.1\n/)
  t.match(text, /\n\S+Z\tquota_changed\tann\toperator\t\{"quotaBytes":5368709120,"quotaFiles":null\}\n/)
  t.match(text, /\n\S+Z\tkeys_rotated\tthe store\toperator\t/)
  await server.end('SIGTERM')

  const database = new Database(join(dataDir, 'magicstore.db'))
  database.exec("INSERT INTO events (account_id, kind, network, request_id, at) VALUES (77, 'disabled', 'operator', '-', 1)")
  database.close()
  t.match(await operate(['events']), /\tdisabled\taccount 77\toperator\n$/, 'of an older version, and an account that is gone')
})

t.test('events are followed until a signal, or until nobody reads', async t => {
  const settings = { DATA_DIR: t.testdir() }
  const server = await spawnServer(t, settings)
  await signUp(server, 'ann')
  for (const ending of ['SIGINT', 'closed output']) {
    const follower = spawnBin(['events', '--follow', '--json'], settings)
    const exited = once(follower, 'exit')
    const lines = createInterface({ input: follower.stdout as Readable })[Symbol.asyncIterator]()
    const next = async (): Promise<Event> => JSON.parse((await lines.next()).value ?? '{}')
    t.match(await next(), { kind: 'registered', username: 'ann' })
    const seen = [1]
    const waitFor = async (kind: string, username: string) => {
      for (;;) {
        const event = await next()
        t.notOk(seen.includes(Number(event.id)), 'none comes twice')
        seen.push(Number(event.id))
        if (event.kind === kind && event.username === username) return
      }
    }
    await signUp(server, ending)
    await waitFor('registered', ending)
    await runCommand(['user', 'disable', 'ann'], settings)
    await waitFor('disabled', 'ann')
    if (ending === 'SIGINT') follower.kill('SIGINT')
    else {
      follower.stdout?.destroy()
      await runCommand(['user', 'enable', 'ann'], settings)
    }
    t.strictSame(await exited, [0, null], ending)
  }
})

t.test('settings and arguments that can\'t be used are refused, and a file that is full stops nobody', async t => {
  const root = t.testdir({ data: {} })
  const dataDir = join(root, 'data')
  for (const args of [['events', 'x'], ['events', '--since', 'yesterday'], ['events', '--since', '2026-13-01'], ['events', '--user']]) {
    t.match(await runCommand(args, { DATA_DIR: dataDir }), { code: 2, stderr: /^magicstore: [^\n]+\n$/ }, args.join(' '))
  }
  t.match(await runCommand(['events'], { DATA_DIR: join(dataDir, 'nothing') }), { code: 2, stderr: /^magicstore: [^\n]+\n$/ })
  const folder = join(root, 'folder')
  mkdirSync(folder)
  t.match(await runBin(['serve'], { DATA_DIR: dataDir, PORT: '0', EVENT_LOG: folder }), { code: 2, stderr: /^magicstore: EVENT_LOG: EISDIR[^\n]+; set EVENT_LOG to a file [^\n]+\n$/ })
  rmSync(folder, { recursive: true })
  await execute('mkfifo', [folder])
  t.match(await runBin(['serve'], { DATA_DIR: dataDir, PORT: '0', EVENT_LOG: folder }), { code: 2, stderr: /^magicstore: EVENT_LOG: ENXIO[^\n]+\n$/ }, 'a pipe that nobody reads')

  const doctor = async (EVENT_LOG: string) => {
    const { stdout } = await runCommand(['doctor', '--json'], { DATA_DIR: dataDir, PORT: '0', EVENT_LOG })
    return stdout.split('\n').map(line => JSON.parse(line === '' ? '{}' : line)).find(({ check }) => check === 'event_log').verdict
  }
  const verdicts = []
  for (const file of ['', root, join(root, 'nothing/events'), folder, join(root, 'events'), '/dev/full']) verdicts.push(await doctor(file))
  t.strictSame(verdicts, ['good', 'fault', 'fault', 'fault', 'good', 'good'])
  t.notOk(existsSync(join(root, 'events')), 'doctor makes no file')

  const settings = { DATA_DIR: dataDir, EVENT_LOG: '/dev/full' }
  const server = await spawnServer(t, settings, { isCounted: true })
  const log = (server.child.stdout as Readable).setEncoding('utf8').toArray()
  await signUp(server, 'ann')
  t.match(await runCommand(['user', 'disable', 'ann'], settings), { code: 0, stderr: /^magicstore: EVENT_LOG: ENOSPC[^\n]+\n$/ })
  t.match(await runCommand(['user', 'enable', 'ann'], { ...settings, EVENT_LOG: join(root, 'nothing/events') }), { code: 0, stderr: /^magicstore: EVENT_LOG: ENOENT[^\n]+\n$/ })
  t.match(kindsOf(eventsIn((await runCommand(['events', '--json'], settings)).stdout)), ['registered', 'sign_in_new_network', 'token_issued', 'disabled', 'enabled'], 'the database has it all the same')
  await server.end('SIGTERM')
  t.match((await log).join(''), /"msg":"EVENT_LOG failed[^"]*"/)
})
