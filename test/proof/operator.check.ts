import { once } from 'node:events'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { runCommand } from '../kit/commands.ts'
import { personalToken } from '../kit/drive.ts'
import { issueToken, signUp, spawnBin, startServer, type RunningServer, type Settings } from '../kit/server.ts'
import { storedBlobs, storeSettings } from '../kit/stores.ts'
import { lacksTerminal, spawnOnTerminal } from '../kit/terminal.ts'
import { until } from '../kit/waiting.ts'

type User = [string, string]

/** Runs commands on one data folder. */
function operatorOf (dataDir: string) {
  const run = (args: string[], input = '') => runCommand(args, { DATA_DIR: dataDir }, input)
  return {
    run,
    /** The values that a command prints as JSON, one per line; fails if the command fails. */
    async json (args: string[], input = ''): Promise<any[]> {
      const { code, stdout, stderr } = await run([...args, '--json'], input)
      if (code !== 0 || stderr !== '') throw new Error(`${args} ended with ${code}: ${stderr}`)
      return stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line))
    }
  }
}

/**
 * The blob id and path of each file, by name, of a version as `version NAME`, and of a deleted file as `trash NAME`,
 * for a data folder without a running server.
 */
async function blobsOf (dataDir: string): Promise<Record<string, { id: string, path: string }>> {
  const metadata = await openSqliteMetadata(join(dataDir, 'magicstore.db'))
  const contents = await metadata.blobs.listContents('', 1000)
  await metadata.close()
  return Object.fromEntries(contents.map(({ content, name, blobId }) =>
    [content === 'file' ? String(name) : `${content} ${name}`, { id: blobId, path: join(dataDir, 'blobs', blobId.slice(0, 2), blobId) }]))
}

t.test('an account added beside a running server, whose registration is closed, can sign in at once', async t => {
  const server = await startServer(t, { REGISTRATION: 'closed' })
  const operator = operatorOf(server.dataDir)
  t.equal((await server.send('POST', '/api/users', { json: { username: 'ann', password: 'pwd' } })).status, 403)
  const [added] = await operator.json(['user', 'add', 'Ann'], ' spaced: pwd \r\n')
  t.match(added, { id: 1, username: 'Ann', createdAt: /^\d{4}-\d\d-\d\dT/, isDisabled: false, hasPassword: true, usedFiles: 0, usedFolders: 0, usedBytes: 0, keptBytes: 0, quotaFiles: null, quotaBytes: null })
  t.equal(Object.keys(added).length, 11, 'and no hash')
  t.strictSame((await server.send('GET', '/api/resource', { user: ['ann', ' spaced: pwd '] })).json, { data: 'Hello, Ann!' })
  t.equal((await server.send('GET', '/api/resource', { user: ['ann', 'spaced: pwd'] })).status, 401)
  const text = await operator.run(['user', 'add', 'ben'], 'two\nlines\n\n')
  t.equal(text.code, 0)
  t.match(text.stdout, /^2\tben\t[^\n]+\n$/)
  t.equal((await server.send('GET', '/api/resource', { user: ['ben', 'two\nlines\n'] })).status, 200, 'only the last line end is cut')
  await server.send('PUT', '/uploads/in/a', { user: ['ben', 'two\nlines\n'], body: 'abc' })
  await operator.json(['user', 'passwd', 'ann'], '\uFEFFpassé')
  t.equal((await server.send('GET', '/api/resource', { user: ['ann', '\uFEFFpassé'] })).status, 200, 'a byte order mark is part of the password')

  t.match(await operator.json(['user', 'show', 'BEN']), [{ id: 2, username: 'ben', usedFiles: 1, usedFolders: 1, usedBytes: 3 }])
  t.match(await operator.json(['user', 'list']), [{ id: 1, username: 'Ann' }, { id: 2, username: 'ben' }])
  const list = await operator.run(['user', 'list'])
  t.match(list.stdout, /^1\tAnn\t[^\n]+\n2\tben\t[^\n]+\t1 of the default files\t1 folders\t3 of the default bytes\t0 bytes of versions and trash\n$/)
})

t.test('everybody is listed, however many they are', async t => {
  const dataDir = t.testdir()
  const metadata = await openSqliteMetadata(join(dataDir, 'magicstore.db'))
  await Promise.all(Array.from({ length: 1001 }, (_, index) => metadata.accounts.add({ username: `user${index}`, usernameKey: `user${index}`, passwordHash: 'hash', createdAt: 1 })))
  await metadata.close()
  const listed = await operatorOf(dataDir).json(['user', 'list'])
  t.strictSame(listed.map(({ id }) => id), Array.from({ length: 1001 }, (_, index) => index + 1))
})

t.test('a command that can\'t be carried out is one clear line, 2 for a misspelt one and 1 for what is refused, and changes nothing', async t => {
  const dataDir = t.testdir({ store: {}, empty: {} })
  const store = operatorOf(join(dataDir, 'store'))
  await store.json(['user', 'add', 'ann'], 'pwd')
  const misspelt: [args: string[], settings?: Settings][] = [
    [['user']], [['user', 'frobnicate', 'ann']], [['user', 'constructor', 'ann']], [['user', 'rm']], [['user', 'rm', 'ann']], [['user', 'add', 'ben', 'hunter2']], [['user', 'show', 'ann', '--frob']],
    ...['-1', '1e3', '', '10 apples', '0.5'].map(limit => [['user', 'quota', 'ann', `--bytes=${limit}`]] as [string[]]),
    [['user', 'quota', 'ann', '--files=many', '--bytes=1']], [['user', 'quota', 'ann', '--files=1K']],
    ...['nowhere', 'empty'].map(name => [['keys', 'rotate'], { DATA_DIR: join(dataDir, name) }] as [string[], Settings]),
    [['user', 'second-factor', 'ann']], [['user', 'show', 'ann', '--remove']], [['user', 'invite', 'ben', 'cleo']], [['user', 'reset']],
    [['user', 'links']], [['user', 'links', 'ann', '--remove']], [['user', 'show', 'ann', '--revoke']],
    [['user', 'invite'], { DATA_DIR: join(dataDir, 'nowhere') }], [['user', 'add', 'ben', '--without-factor']],
    [['keys']], [['keys', 'reseal', 'now']], [['keys', 'rotate', 'now']], [['keys', 'rotate'], { SIGNING_KEYS: 'first:zN2pX8qL4vR7tW1yB6mK9dF3hJ5sG0cA' }],
    [['trash']], [['trash', 'frobnicate', '--all', '--yes']], [['trash', 'empty', '--yes']], [['trash', 'empty', 'ann']], [['trash', 'empty', '--all']],
    [['trash', 'empty', 'ann', '--all', '--yes']], [['trash', 'empty', 'ann', 'ben', '--yes']], [['trash', 'empty', '--all', '--yes'], { DATA_DIR: join(dataDir, 'nowhere') }],
    [['fsck', 'everything']], [['doctor', 'everything']], [['fsck'], { DATA_DIR: join(dataDir, 'empty') }], [['fsck'], { DATA_DIR: join(dataDir, 'nowhere') }],
    [['user', 'list'], { PORT: 'x' }], [['user', 'list', 'ann']], [['user', 'show', 'ann', '--files=3']],
    ...[['list'], ['show', 'ann'], ['rm', 'ann', '--yes']].map(words => [['user', ...words], { DATA_DIR: join(dataDir, 'nowhere') }] as [string[], Settings])
  ]
  const refused: [args: string[], settings?: Settings, input?: string | Uint8Array][] = [
    ...[['show'], ['passwd'], ['rm', '--yes']].map(words => [['user', ...words, 'nobody']] as [string[]]),
    [['user', 'second-factor', 'ann', '--remove']], [['user', 'reset', 'nobody']], [['user', 'links', 'nobody', '--revoke']], [['user', 'invite', 'ANN']], [['user', 'invite', 'a:b']],
    [['user', 'show', 'a:b']], [['trash', 'empty', 'nobody', '--yes']],
    [['user', 'add', 'ANN']], [['user', 'add', 'a:b'], {}, 'pwd'], [['user', 'add', 'ben'], {}, '\n'], [['user', 'add', 'ben'], { PASSWORD_POLICY: 'strict' }, 'short\n'],
    [['user', 'add', 'ben'], {}, Buffer.from('pass\xff', 'latin1')], [['user', 'passwd', 'ann'], {}, Buffer.from('pass\xff', 'latin1')],
    [['user', 'passwd', 'ann'], {}, ''], [['user', 'passwd', 'ann'], {}, 'x'.repeat(1025)]
  ]
  const commands = [...misspelt.map(([args, settings]) => ({ args, settings, input: 'pwd', expected: 2 })), ...refused.map(([args, settings, input = 'pwd']) => ({ args, settings, input, expected: 1 }))]
  for (const { args, settings, input, expected } of commands) {
    const ended = await runCommand(args, { DATA_DIR: join(dataDir, 'store'), ...settings }, input)
    t.match(ended, { code: expected, stdout: /^$/, stderr: /^magicstore: [^\n]+\n$/ }, `${args.join(' ')} ${Object.keys(settings ?? {})}`)
    t.notMatch(ended.stderr, 'hunter2')
  }
  const listed = await store.json(['user', 'list'])
  t.match(listed, [{ username: 'ann', quotaBytes: null, quotaFiles: null, isDisabled: false }])
  t.equal(listed.length, 1)
  t.strictSame([readdirSync(join(dataDir, 'empty')), readdirSync(dataDir).sort()], [[], ['empty', 'store']])
  const server = await startServer(t, { DATA_DIR: join(dataDir, 'store') })
  t.equal((await server.send('GET', '/api/resource', { user: ['ann', 'pwd'] })).status, 200)
})

t.test('a command goes on without the reader of its output, with the exit code of its result, and fails in one line if the output is lost otherwise', async t => {
  const server = await startServer(t)
  const { user } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { user, body: 'abc' })
  await server.close()
  const { dataDir } = server
  const end = async (args: string[], under: string[]) => {
    const child = spawnBin(args, { DATA_DIR: dataDir, PORT: '0', ...await storeSettings(dataDir) }, { under })
    child.stdin?.end()
    child.stdout?.destroy()
    const exited = once(child, 'exit') as Promise<[number | null]>
    const stderr = (await (child.stderr as Readable).setEncoding('utf8').toArray()).join('')
    return { code: (await exited)[0], stderr }
  }
  for (const args of [['doctor'], ['user', 'list']]) {
    const { code } = await runCommand(args, { DATA_DIR: dataDir, PORT: '0' })
    t.strictSame(await end(args, []), { code, stderr: '' }, args.join(' '))
  }
  for (const args of [['--help'], ['fsck']]) {
    t.match(await end(args, ['sh', '-c', 'exec "$@" > /dev/full', 'sh']), { code: 1, stderr: /^magicstore: [^\n]*ENOSPC[^\n]*\n$/ }, args.join(' '))
  }
  rmSync((await blobsOf(dataDir)).a?.path ?? '')
  t.strictSame(await end(['fsck', '--json'], []), { code: 1, stderr: '' })
})

t.test('who is disabled is refused by the very next request, with the password and with every token, until they are enabled again; a password set by the operator ends them for good', async t => {
  const server = await startServer(t, { SIGN_IN_FAILURES: '1000' })
  const operator = operatorOf(server.dataDir)
  const { user, token } = await signUp(server, 'ann')
  const other = await signUp(server, 'ben')
  const personal = await personalToken(server, user, ['files:read', 'files:write', 'account'])
  const issued = await issueToken(server, { token: personal })
  await server.send('PUT', '/uploads/a', { user, body: 'a' })
  const requests: [method: string, path: string][] = [
    ['GET', '/api/account'], ['HEAD', '/uploads/a'], ['PUT', '/uploads/b'], ['DELETE', '/api/tokens'], ['GET', '/api/token']
  ]
  t.match(await operator.json(['user', 'disable', 'Ann']), [{ username: 'ann', isDisabled: true }])
  for (const [method, path] of requests) {
    for (const [credential, code] of [[{ user }, 'credentials_wrong'], [{ token }, 'token_revoked'], [{ token: personal }, 'token_revoked'], [{ token: issued }, 'token_revoked'], [{ user: [personal, ''] as User }, 'token_revoked']] as const) {
      const answer = await server.send(method, path, credential)
      t.equal(answer.status, 401, `${method} ${path}`)
      if (method !== 'HEAD') t.equal(answer.json.code, code, `${method} ${path}`)
    }
  }
  t.equal((await server.send('DELETE', '/api/account', { user })).status, 401)
  t.equal((await server.send('GET', '/api/resource', { token: other.token })).status, 200)
  t.match((await operator.run(['user', 'disable', 'ann'])).stdout, /disabled\n$/, 'again is no error')
  t.match(await operator.json(['user', 'enable', 'ann']), [{ username: 'ann', isDisabled: false }])
  for (const credential of [{ user }, { token }, { token: personal }, { token: issued }]) t.equal((await server.send('GET', '/uploads/a', credential)).text, 'a')
  const { json: { events } } = await server.send('GET', '/api/account/events', { user })
  const byOperator = events.filter((event: { network: string }) => event.network === 'operator').map((event: { kind: string }) => event.kind)
  t.strictSame(byOperator, ['enabled', 'disabled', 'disabled'], 'the owner sees what the operator did')
  t.match(await operator.json(['user', 'passwd', 'ann'], 'new\n'), [{ username: 'ann' }])
  for (const each of [token, personal, issued]) t.equal((await server.send('GET', '/api/resource', { token: each })).json.code, 'token_revoked')
  t.equal((await server.send('GET', '/api/resource', { user })).status, 401)
  t.equal((await server.send('GET', '/api/resource', { user: ['ann', 'new'] })).status, 200)
})

t.test('a quota set for one account applies from its next upload on, and not for others', async t => {
  const server = await startServer(t, { QUOTA_BYTES: '10', QUOTA_FILES: '2' })
  const operator = operatorOf(server.dataDir)
  const { user } = await signUp(server, 'ann')
  const other = await signUp(server, 'ben')
  const put = async (name: string, size: number, who = user) => (await server.send('PUT', `/uploads/${name}`, { user: who, body: 'x'.repeat(size) })).status
  const quota = async () => {
    const { quotaBytes, quotaFiles } = (await server.send('GET', '/api/account', { user })).json.usage
    return [quotaBytes, quotaFiles]
  }
  t.strictSame([await put('a', 11), await put('a', 10), await quota()], [413, 201, [10, 2]])
  t.match(await operator.json(['user', 'quota', 'ann', '--bytes', '20']), [{ quotaBytes: 20, quotaFiles: null }])
  t.strictSame([await put('b', 11), await put('b', 10), await put('c', 0), await quota()], [413, 201, 413, [20, 2]])
  t.match(await operator.json(['user', 'quota', 'ann', '--files', '3', '--bytes', 'none']), [{ quotaFiles: 3 }])
  t.strictSame([await put('c', 100_000), await put('d', 0), await quota()], [201, 413, [null, 3]])
  t.match(await operator.json(['user', 'quota', 'ben', '--bytes=1.5 KiB']), [{ quotaBytes: 1536 }])
  await operator.json(['user', 'quota', 'ben', '--bytes=default'])
  await operator.json(['user', 'quota', 'ann', '--files=none'])
  t.strictSame([await put('d', 0), await quota()], [201, [null, null]])
  t.match((await operator.run(['user', 'show', 'ann'])).stdout, /4 of unlimited files\t0 folders\t100020 of unlimited bytes\t0 bytes of versions and trash\tno second factor\n$/)
  t.strictSame([await put('a', 11, other.user), await put('a', 10, other.user)], [413, 201])
  t.match(await operator.json(['user', 'quota', 'ann']), [{ usedFiles: 4 }], 'without a limit it only shows')
  t.strictSame(await quota(), [null, null])
  await operator.json(['user', 'quota', 'ann', '--bytes=default', '--files=0'])
  t.strictSame([await quota(), await put('e', 0), await put('c', 99_999), await put('c', 100_000)], [[10, 0], 413, 200, 413], 'what is stored stays and may shrink')
  t.match((await operator.run(['user', 'show', 'ann'])).stdout, /4 of 0 files\t0 folders\t100019 of the default bytes\t0 bytes of versions and trash\tno second factor\n$/)
})

/** Runs a command on a terminal, types `keys` at the prompt, and returns everything displayed. */
async function onTerminal (t: Test, args: string[], dataDir: string, keys: string, question = 'Password:'): Promise<{ code: number | null, shown: string }> {
  const child = spawnOnTerminal(t, args, { DATA_DIR: dataDir })
  const exited = once(child, 'exit')
  let shown = ''
  for await (const chunk of child.stdout) {
    const isAsked = shown.includes(question)
    shown += chunk
    if (!isAsked && shown.includes(question)) {
      child.stdin.write(keys)
    }
  }
  return { code: (await exited)[0], shown }
}

t.test('at a terminal the password is asked for and not shown', { skip: lacksTerminal }, async t => {
  const server = await startServer(t)
  const { code, shown } = await onTerminal(t, ['user', 'add', 'ann', '--json'], server.dataDir, 'sesame open\r')
  t.equal(code, 0, shown)
  t.notMatch(shown, /sesame|open/)
  t.match(shown, /Password: [^]*"username":"ann"/)
  t.equal((await server.send('GET', '/api/resource', { user: ['ann', 'sesame open'] })).status, 200)
  for (const keys of ['\x04', 'half\x03']) {
    const given = await onTerminal(t, ['user', 'passwd', 'ann'], server.dataDir, keys)
    t.equal(given.code, 2, 'given up')
    t.notMatch(given.shown, 'half')
    t.match(given.shown, 'magicstore: ')
  }
  t.equal((await server.send('GET', '/api/resource', { user: ['ann', 'sesame open'] })).status, 200, 'nothing changed')
})

t.test('at a terminal an account or trash is deleted only after a yes', { skip: lacksTerminal }, async t => {
  const server = await startServer(t)
  const { user } = await signUp(server, 'ann')
  for (const name of ['a', 'b']) await server.send('PUT', `/uploads/${name}`, { user, body: name })
  await server.send('DELETE', '/uploads/b', { user })
  const trashed = async () => (await server.send('GET', '/api/trash', { user })).json.files.length
  const answer = (args: string[], keys: string) => onTerminal(t, args, server.dataDir, keys, 'confirm:')
  for (const [args, keys, question] of [
    [['user', 'rm', 'ann'], 'no\r', 'ann and 1 files, with versions and trash'], [['user', 'rm', 'ann'], '\x04', 'ann and 1 files, with versions and trash'],
    [['trash', 'empty', 'ann'], '\r', 'the trash of ann'], [['trash', 'empty', '--all'], 'no\r', 'the trash of all accounts']
  ] as const) {
    const { code, shown } = await answer([...args], keys)
    t.equal(code, 2, shown)
    t.match(shown, new RegExp(`Permanently delete ${question}\\?[^]*magicstore: nothing was deleted`))
  }
  t.strictSame([(await server.send('GET', '/uploads/a', { user })).status, await trashed()], [200, 1])
  t.match(await answer(['trash', 'empty', 'ann'], 'yes\r'), { code: 0, shown: /deleted: 1 files[^]*deleted 1 files of 1 accounts, 1 bytes/ })
  t.equal(await trashed(), 0)
  t.match(await answer(['user', 'rm', 'ann'], 'yes\r'), { code: 0 })
  t.equal((await server.send('GET', '/uploads/a', { user })).status, 401)
})

t.test('trash emptied beside a running server is gone with its bytes when the command ends, and nothing else is', async t => {
  const server = await startServer(t)
  const operator = operatorOf(server.dataDir)
  const [ann, ben] = [await signUp(server, 'ann'), await signUp(server, 'ben')]
  const put = (name: string, body: string, { token } = ann) => server.send('PUT', `/uploads/${name}`, { token, body })
  const remove = (name: string, { token } = ann) => server.send('DELETE', `/uploads/${name}`, { token })
  const listed = async ({ token } = ann) => (await server.send('GET', '/api/trash', { token })).json.files.map(({ name }: { name: string }) => name)
  for (const body of ['one', 'two', 'three']) {
    await put('stays', body)
    await put('goes', body)
  }
  await put('ben\'s', 'four', ben)
  for (const [name, owner] of [['goes', ann], ['ben\'s', ben]] as const) await remove(name, owner)
  t.match(await operator.json(['user', 'show', 'ann']), [{ usedFiles: 1, usedBytes: 5, keptBytes: 6 + 11 }])
  t.equal((await storedBlobs(server.dataDir)).length, 7)
  t.strictSame(await operator.json(['trash', 'empty', 'Ann', '--yes']), [{ accounts: 1, files: 1, bytes: 11 }])
  t.equal((await storedBlobs(server.dataDir)).length, 4)
  t.strictSame([await listed(), await listed(ben)], [[], ['ben\'s']])
  const { json: { versions } } = await server.send('GET', '/api/files/stays/versions', { token: ann.token })
  t.strictSame(await Promise.all(versions.map(async ({ id }: { id: string }) => (await server.send('GET', `/uploads/stays?version=${id}`, { token: ann.token })).text)), ['two', 'one'])
  t.match((await operator.run(['user', 'list'])).stdout, /\tann\t[^\n]+\t6 bytes of versions and trash\n.*\tben\t[^\n]+\t4 bytes of versions and trash\n$/)

  // More than is deleted at a time.
  const names = Array.from({ length: 101 }, (_, index) => `${index}`)
  for (const name of names) await put(name, '')
  await Promise.all(names.map(name => remove(name)))
  const { code, stdout, stderr } = await operator.run(['trash', 'empty', '--all', '--yes'])
  t.strictSame([code, stdout, stderr], [0, 'deleted 102 files of 2 accounts, 4 bytes with their versions\n', ''])
  t.strictSame(await operator.json(['trash', 'empty', '--all', '--yes']), [{ accounts: 0, files: 0, bytes: 0 }])
  t.equal((await storedBlobs(server.dataDir)).length, 3)
  t.match(await operator.json(['user', 'list']), [{ keptBytes: 6 }, { keptBytes: 0 }])
  t.match(await operator.json(['user', 'rm', 'ann', '--yes']), [{ id: 1, username: 'ann' }])
  t.equal((await storedBlobs(server.dataDir)).length, 0, 'and so are the bytes of an account that is removed')
  t.equal((await server.send('GET', '/api/trash', { token: ann.token })).json.code, 'token_revoked')
  t.strictSame(await operator.json(['fsck', '--deep']), [])
})

t.test('keys are rotated without signing people out: a token stays valid through two rotations, and its key is gone with the third', async t => {
  const dataDir = t.testdir()
  const operator = operatorOf(dataDir)
  const file = join(dataDir, 'signing-keys')
  const kids = () => readFileSync(file, 'utf8').trim().split('\n').map(line => line.split(':')[0])
  const kidOf = (token: string) => JSON.parse(Buffer.from(String(token.split('.')[0]), 'base64url').toString()).kid
  const first = await startServer(t, { DATA_DIR: dataDir })
  const { user, token } = await signUp(first, 'ann')
  const personal = await personalToken(first, user, ['files:read', 'files:write', 'account'])
  const [kid] = kids()
  const tokens = [token]
  let server: RunningServer = first
  for (let round = 1; round <= 3; round++) {
    const { code, stdout, stderr } = await operator.run(['keys', 'rotate'])
    t.strictSame([code, stderr], [0, ''])
    t.match(stdout, kids()[0])
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.equal(kids().length, Math.min(round + 1, 3))
    t.equal(new Set(kids()).size, kids().length)
    for (const each of tokens.slice(-2)) t.equal((await server.send('GET', '/api/resource', { token: each })).status, 200, 'the server that runs is not disturbed')
    if (round === 2) {
      await server.close()
      server = await startServer(t, { DATA_DIR: dataDir })
    }
    tokens.push(await until(() => issueToken(server, { token: personal }), token => kidOf(token) === kids()[0]))
    t.not(kidOf(tokens.at(-1) ?? ''), kid)
    for (const [index, each] of tokens.entries()) {
      const answer = await server.send('GET', '/api/resource', { token: each })
      t.equal(answer.status === 200 || answer.json.code, round === 3 && index === 0 ? 'token_malformed' : true, `token ${index} after rotation ${round}`)
    }
    t.equal((await server.send('GET', '/api/resource', { token: personal })).status, 200)
  }
  const unserved = operatorOf(join(t.testdir(), 'unserved'))
  await unserved.json(['user', 'add', 'ben'], 'pwd')
  t.equal((await unserved.run(['keys', 'rotate'])).code, 0, 'also before the first start')
  t.match(readFileSync(join(t.testdirName, 'unserved', 'signing-keys'), 'utf8'), /^(?:[0-9a-f]{12}:[\w-]{43}\n){2}$/)
})

t.test('fsck finds a healthy store well, and says of every kind of damage where it is', async t => {
  const [dataDir, model] = [join(t.testdir({}), 'data'), join(t.testdirName, 'large')]
  const server = await startServer(t, { DATA_DIR: dataDir })
  const operator = operatorOf(dataDir)
  const { user } = await signUp(server, 'ann')
  // So large that a file of this size is read as a stream.
  const makeLargeFolder = (path: string): number => {
    mkdirSync(path)
    for (let index = 0; index < 2000 && statSync(path).size <= 65_536; index++) writeFileSync(join(path, `${index}`.padStart(200, '0')), '')
    return statSync(path).size
  }
  const size = makeLargeFolder(model)
  for (const [name, bytes] of Object.entries({ missing: 'm', cut: 'cut me', grown: 'grow me', altered: 'alter me', looped: 'l', folder: 'f'.repeat(size), whole: 'whole', empty: '' })) {
    await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { user, body: bytes })
  }
  for (const name of ['replaced', 'deleted']) for (const body of ['first', 'second']) await server.send('PUT', `/uploads/${name}`, { user, body })
  await server.send('DELETE', '/uploads/deleted', { user })
  await server.close()
  t.strictSame(await operator.run(['fsck', '--repair']), { code: 0, stdout: 'all is well\n', stderr: '' })
  t.strictSame(await operator.json(['fsck', '--deep']), [])

  const blobs = await blobsOf(dataDir)
  const pathOf = (name: string) => String(blobs[name]?.path)
  rmSync(pathOf('missing'))
  truncateSync(pathOf('cut'), 3)
  appendFileSync(pathOf('grown'), '!')
  writeFileSync(pathOf('altered'), 'alter ME')
  rmSync(pathOf('looped'))
  symlinkSync(pathOf('looped'), pathOf('looped'))
  rmSync(pathOf('folder'))
  rmSync(pathOf('version replaced'))
  truncateSync(pathOf('trash deleted'), 1)
  writeFileSync(pathOf('version null'), 'FIRST')
  const isFolderOfItsSize = makeLargeFolder(pathOf('folder')) === size
  writeFileSync(join(dataDir, 'blobs', 'notes.txt'), 'not ours')
  writeFileSync(join(dataDir, 'blobs', pathOf('whole').split('/').at(-2) ?? '', 'notes.txt'), 'not ours')
  const orphan = 'ab'.repeat(16)
  mkdirSync(join(dataDir, 'blobs', 'ab'), { recursive: true })
  writeFileSync(join(dataDir, 'blobs', 'ab', orphan), 'whose?')
  const database = new Database(join(dataDir, 'magicstore.db'))
  database.pragma('foreign_keys = OFF')
  database.exec('UPDATE accounts SET used_bytes = used_bytes + 5, used_files = used_files - 1, kept_bytes = kept_bytes - 7')
  database.exec(`INSERT INTO discarded_blobs (blob_id) VALUES ('${blobs.empty?.id}')`)
  database.exec("INSERT INTO account_networks (account_id, network, first_at) VALUES (4711, 'x', 1)")
  database.close()

  const look = async (...args: string[]): Promise<{ code: number | null, found: Record<string, any>[] }> => {
    const { code, stdout, stderr } = await operator.run(['fsck', '--json', ...args])
    t.equal(stderr, '')
    return { code, found: stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line)) }
  }
  const faults = (found: Record<string, any>[]) => Object.fromEntries(found.filter(({ name }) => name !== undefined).map(({ content, name, kind, ownerId, blobId }) => [content === 'file' ? name : `${content} ${name}`, [kind, ownerId, blobId]]))
  const shallow = await look()
  t.equal(shallow.code, 1)
  const expected = {
    missing: ['missing', 1, blobs.missing?.id],
    cut: ['wrong_size', 1, blobs.cut?.id],
    grown: ['wrong_size', 1, blobs.grown?.id],
    looped: ['unreadable', 1, blobs.looped?.id],
    empty: ['discarded', 1, blobs.empty?.id],
    'version replaced': ['missing', 1, blobs['version replaced']?.id],
    'trash deleted': ['wrong_size', 1, blobs['trash deleted']?.id],
    ...(!isFolderOfItsSize && { folder: ['wrong_size', 1, blobs.folder?.id] })
  }
  t.strictSame(faults(shallow.found), expected)
  t.match(shallow.found.filter(({ kind }) => kind === 'orphan'), [{ blobId: orphan, isRepaired: false }])
  t.match(shallow.found.filter(({ kind }) => kind === 'usage'), [{
    accountId: 1,
    detail: `recorded ${size + 39} bytes in 8 files, 0 folders, and 9 bytes in 3 versions and deleted files; stored ${size + 34} bytes in 9 files, 0 folders, and 16 bytes in 3 versions and deleted files`,
    isRepaired: false
  }])
  t.match(shallow.found.filter(({ kind }) => kind === 'database'), [{ detail: /account_networks/, isRepaired: false }])
  const deep = await look('--deep')
  t.equal(deep.code, 1)
  t.strictSame(faults(deep.found), { ...expected, altered: ['wrong_digest', 1, blobs.altered?.id], 'version null': ['wrong_digest', 1, blobs['version null']?.id], ...(isFolderOfItsSize && { folder: ['unreadable', 1, blobs.folder?.id] }) })
  const text = await operator.run(['fsck', '--deep'])
  t.equal(text.code, 1)
  t.match(text.stdout, new RegExp(`^missing: .*"missing"$[^]*^orphan: blobId="${orphan}"$[^]*^${deep.found.length} errors, 0 repaired\n$`, 'm'))

  const repaired = await look('--deep', '--repair')
  t.equal(repaired.code, 1, 'what is lost can\'t be repaired')
  t.strictSame(repaired.found.filter(({ isRepaired }) => isRepaired).map(({ kind }) => kind).sort(), ['discarded', 'orphan', 'usage'])
  t.equal(readFileSync(join(dataDir, 'quarantine', orphan), 'utf8'), 'whose?', 'nothing is destroyed')
  t.equal(readFileSync(pathOf('altered'), 'utf8'), 'alter ME')
  const after = await look('--deep')
  const { empty: _kept, ...lost } = faults(deep.found)
  t.strictSame(faults(after.found), lost)
  t.equal(after.found.length, deep.found.length - 3)
  const again = await startServer(t, { DATA_DIR: dataDir })
  t.match((await again.send('GET', '/api/account', { user })).json.usage, { files: 9, bytes: 6 + 1 + 7 + 8 + 1 + size + 5 + 6, keptBytes: 5 + 6 + 5 })
  t.equal((await again.send('GET', '/uploads/whole', { user })).text, 'whole')
})

t.test('fsck beside a server at work reports nothing that is not so', async t => {
  const server = await startServer(t, { RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0' })
  const operator = operatorOf(server.dataDir)
  const { token } = await signUp(server, 'ann')
  const work = new AbortController()
  let done = 0
  const repeat = async (operation: (round: number) => Promise<unknown>) => {
    for (let round = 0; !work.signal.aborted; round++) { await operation(round); done++ }
  }
  const load = [
    ...Array.from({ length: 4 }, (_, worker) => repeat(round => server.send('PUT', `/uploads/${worker}-${round % 20}`, { token, body: `${round}`.repeat(2000) }))),
    ...Array.from({ length: 2 }, (_, worker) => repeat(round => server.send('DELETE', `/uploads/${worker}-${round % 20}`, { token }))),
    repeat(round => server.send('PATCH', `/api/files/3-${round % 20}`, { token, json: { name: `renamed-${round % 7}` } })),
    repeat(async round => {
      const { user } = await signUp(server, `passing${round}`)
      for (const name of ['a', 'b', 'c']) await server.send('PUT', `/uploads/${name}`, { user, body: name })
      await server.send('DELETE', '/api/account', { user })
    })
  ]
  const options = [[], ['--deep'], ['--deep', '--repair']]
  let round = 0
  await until(async () => {
    const args = ['fsck', ...options[round % options.length] ?? []]
    t.strictSame(await operator.run(args), { code: 0, stdout: 'all is well\n', stderr: '' }, args.join(' '))
    return ++round >= options.length && done >= 100
  })
  work.abort()
  await Promise.all(load)
  await server.close()
  t.strictSame(await operator.json(['fsck', '--deep']), [])
})
