import { appendFile, chmod, lstat, mkdir, readdir, readFile, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withFault } from '../kit/bin.ts'
import { blobFiles, isInFolder, runSql } from '../kit/stores.ts'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { runBin, signUp, startServer, type Settings } from '../kit/server.ts'
import { isProof, KIB, sizes } from '../kit/sizes.ts'

async function report (args: string[], settings: Settings, expected = 0) {
  const { code, stdout, stderr } = await runCommand([...args, '--json'], settings)
  if (code !== expected) throw new Error(`${args.join(' ')}: ${code} ${stdout}${stderr}`)
  return JSON.parse(stdout)
}

/** A running server with an account, and a folder beside its data. */
async function start (t: Test) {
  const folder = t.testdir({ tree: {} })
  const server = await startServer(t, { DATA_DIR: join(folder, 'data') })
  const { token } = await signUp(server, 'ann')
  return { server, token, settings: { DATA_DIR: server.dataDir }, tree: join(folder, 'tree'), out: join(folder, 'out') }
}

const linesIn = async (file: string) => (await readFile(file, 'utf8')).trim().split('\n').map(line => JSON.parse(line))

t.test('a folder is stored with its times, a second import does nothing, and what has other bytes stays', async t => {
  const { server, token, settings, tree } = await start(t)
  await mkdir(join(tree, 'in/empty'), { recursive: true })
  await writeFile(join(tree, 'in/a.txt'), 'one')
  await utimes(join(tree, 'in/a.txt'), 1_000_000, 1_000_000)
  await writeFile(join(tree, 'zero'), '')
  await symlink('in', join(tree, 'link'))
  await writeFile(join(tree, 'a \uFFFD'), '')
  await writeFile(Buffer.concat([Buffer.from(`${tree}/no utf-8 `), Buffer.from([0xff])]), '')
  const first = await report(['import', tree, '--user', 'Ann', '--to', '/Old/'], settings)
  t.match(first, { user: 'ann', imported: 3, bytes: 3, folders: 3, unchanged: 0, different: [], failed: [] })
  t.equal(first.left.length, 2, 'the link, and what is no UTF-8')
  t.match((await server.send('GET', '/api/files/Old%2Fin%2Fa.txt', { token })).json, {
    type: 'text/plain', sha256: sha256Of('one'), modifiedAt: '1970-01-12T13:46:40.000Z'
  })
  t.equal((await server.send('GET', '/api/folders/Old%2Fin%2Fempty', { token })).status, 200)

  await writeFile(join(tree, 'in/a.txt'), 'two')
  await writeFile(join(tree, 'in/new'), 'new')
  t.match(await report(['import', tree, '--user', 'ann', '--to', 'Old'], settings, 1), {
    imported: 1, folders: 0, unchanged: 2, different: ['in/a.txt'], failed: []
  })
  t.equal((await server.send('GET', '/uploads/Old/in/a.txt', { token })).text, 'one')
  const { stdout } = await runCommand(['import', tree, '--user', 'ann', '--to', 'Old'], settings)
  t.match(stdout, /other bytes: "in\/a.txt"[^]*left out[^]*"link"/)
  const { events } = (await server.send('GET', '/api/account/events', { token })).json
  t.match(events, [{ kind: 'files_imported' }, {}, { kind: 'files_imported' }])
  const { stdout: told } = await runCommand(['events', '--user', 'ann', '--json'], settings)
  t.match(told, /"files_imported".*"to":"Old","imported":3,"bytes":3/)
})

t.test('what can\'t be stored is told, and all else is', async t => {
  const { settings, tree } = await start(t)
  await writeFile(join(tree, 'a\\b'), 'a name that the store has for nothing')
  await writeFile(join(tree, 'large'), Buffer.alloc(2000))
  await writeFile(join(tree, 'small'), 'x')
  const limited = { ...settings, MAX_FILE_BYTES: '1000' }
  const { imported, failed } = await report(['import', tree, '--user', 'ann'], limited, 1)
  t.equal(imported, 1)
  t.match(failed.sort((a: { path: string }, b: { path: string }) => a.path < b.path ? -1 : 1), [{ path: 'a\\b' }, { path: 'large' }])
  t.match(await runCommand(['import', tree, '--user', 'ann'], limited), { stdout: /failed: "large"/ })
  await writeFile(join(tree, 'later'), 'x')
  const full = { ...settings, MIN_FREE_BYTES: String(2 ** 50) }
  t.match(await runCommand(['import', tree, '--user', 'ann'], full), { code: 1, stdout: '', stderr: /full/ }, 'a full disk ends it')
})

t.test('a file that changes or goes while it is read, or whose stored bytes are others, is not stored', async t => {
  const { server, token, settings, tree } = await start(t)
  const growing = withFault(`import fs from 'node:fs'; import { execFileSync } from 'node:child_process'; import { syncBuiltinESMExports } from 'node:module'
    const { open } = fs.promises
    fs.promises.open = async (path, ...rest) => {
      const name = String(path).split('/').at(-1)
      if (name === 'goes') fs.rmSync(path)
      if (name === 'pipe') { fs.rmSync(path); execFileSync('mkfifo', [path]) }
      if (name === 'link') { fs.rmSync(path); fs.symlinkSync('/etc/hostname', path) }
      const handle = await open(path, ...rest)
      const { stat } = handle
      if (name === 'grows') handle.stat = async () => { const found = await stat.call(handle); fs.appendFileSync(path, 'y'); return found }
      return handle
    }
    syncBuiltinESMExports()`)
  const damaging = withFault(`import crypto from 'node:crypto'; import { syncBuiltinESMExports } from 'node:module'
    const { createHash } = crypto
    let seen = 0
    crypto.createHash = (...args) => {
      const hash = createHash(...args)
      const { update, digest } = hash
      let text = ''
      hash.update = chunk => { text += chunk; update.call(hash, chunk); return hash }
      hash.digest = (...to) => text === 'damaged' && ++seen === 2 ? 'f'.repeat(64) : digest.apply(hash, to)
      return hash
    }
    syncBuiltinESMExports()`)
  for (const [fault, name] of [[growing, 'grows'], [growing, 'goes'], [growing, 'link'], [growing, 'pipe'], [damaging, 'damaged']] as const) {
    await writeFile(join(tree, name), name)
    const { code, stdout } = await runBin(['import', tree, '--user', 'ann', '--json'], { ...settings, ...fault })
    t.equal(code, 1)
    t.match(JSON.parse(stdout), { imported: 0, failed: [{ path: name }] })
    t.equal((await server.send('GET', `/uploads/${name}`, { token })).status, 404)
    await rm(join(tree, name), { force: true })
  }
})

t.test('an account is exported with its versions and trash, and without a secret', async t => {
  const { server, token, settings, out } = await start(t)
  const put = (name: string, body: string, headers = {}) => server.send('PUT', `/uploads/${name}`, { token, body, headers })
  await put('d/A%3F.txt', 'first')
  await put('d/A%3F.txt', 'second', { 'x-file-modified': '2001-02-03T04:05:06Z' })
  await put('d/a_.txt', 'of a similar name')
  await put(`long.${'e'.repeat(40)}`, 'first')
  await put(`long.${'e'.repeat(40)}`, 'second')
  await put('gone', 'before')
  await put('gone', 'gone')
  await server.send('DELETE', '/uploads/gone', { token })
  await put('p.png', 'a picture', { 'content-type': 'image/png' })
  const ifMatch = { 'if-match': `"${sha256Of('a picture')}"` }
  t.equal((await server.send('PUT', '/api/files/p.png/taken', { token, headers: ifMatch, json: { takenAt: '2024-07-01T12:30:00' } })).status, 200)
  const names = Array.from({ length: 210 }, (_, n) => `many/${n}`)
  for (const name of names) await put(name, name)
  await server.send('POST', '/api/trash', { token, json: { items: names.map(name => ({ name })), lost: 0 } })
  const made = await server.send('POST', '/api/tokens', { user: ['ann', 'correct horse battery'], json: { name: 'of a program', scopes: ['files:read'] } })
  await mkdir(out, { mode: 0o755 })
  await chmod(out, 0o755)
  t.match(await report(['export', out, '--user', 'ann', '--versions', '--trash'], settings), {
    files: 4, folders: 2, versions: 3, deleted: 211, failed: []
  })
  t.equal((await stat(out)).mode & 0o777, 0o700)
  t.strictSame((await readdir(join(out, 'files/d'))).sort(), ['A_.txt', 'a_ (2).txt'])
  t.equal(await readFile(join(out, 'files/d/A_.txt'), 'utf8'), 'second')
  t.equal((await lstat(join(out, 'files/d/A_.txt'))).mtime.toISOString(), '2001-02-03T04:05:06.000Z')
  t.equal(await readFile(join(out, 'trash/gone'), 'utf8'), 'gone')
  for (const line of await linesIn(join(out, 'index.jsonl'))) {
    if (line.sha256 !== undefined) t.equal(sha256Of(await readFile(join(out, line.path))), line.sha256, line.path)
  }
  const lines = await linesIn(join(out, 'index.jsonl'))
  t.match(lines.find(({ path }) => path === 'files/p.png'), { takenAt: '2024-07-01T12:30:00' })
  t.match(lines.find(({ path }) => path === 'files/d/A_.txt'), { name: 'd/A?.txt', size: 6, starred: false })
  t.match(lines.filter(({ versionOf }) => versionOf !== undefined).map(({ versionOf }) => versionOf).sort(), ['d/A?.txt', 'gone', /^long/])
  const [account, tokens, events] = await Promise.all(['account', 'tokens', 'events'].map(name => readFile(join(out, `${name}.json`), 'utf8')))
  t.match(JSON.parse(String(account)), { username: 'ann', usedFiles: 4 })
  t.match(JSON.parse(String(tokens)), [{ name: 'of a program', scopes: ['files:read'] }, {}])
  t.match(JSON.parse(String(events)), [{ kind: 'personal_token_created' }])
  for (const text of [account, tokens, events]) t.notMatch(text, /hash|secret|argon2/i)
  t.notMatch(tokens, made.json.token)
  const listed = (await server.send('GET', '/api/account/events', { token })).json.events
  t.match(listed[0], { kind: 'account_exported' })

  await runSql(settings.DATA_DIR, `INSERT INTO events (account_id, kind, network, request_id, at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 600) SELECT 1, 'sign_in', 'n', '-', n FROM numbers`)
  t.match(await report(['export', `${out}2`, '--user', 'ann', '--trash'], settings), { versions: 0, deleted: 211 })
  t.ok(JSON.parse(await readFile(join(`${out}2`, 'events.json'), 'utf8')).length > 600)
  const fault = withFault(`import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module'
    fs.promises.utimes = async () => { throw Object.assign(new Error('no times'), { code: 'EIO' }) }
    syncBuiltinESMExports()`)
  t.match(await runBin(['export', `${out}3`, '--user', 'ann'], { ...settings, ...fault }), { code: 1, stdout: '', stderr: 'magicstore: no times\n' })
})

t.test('a file whose bytes are damaged or gone is told, and all others are exported', { skip: !isInFolder }, async t => {
  const { server, token, settings, out } = await start(t)
  const large = 'x'.repeat(200_000)
  for (const [name, body] of [['whole', 'whole'], ['gone', 'gone'], ['damaged', large]] as const) await server.send('PUT', `/uploads/${name}`, { token, body })
  await server.close()
  for (const blob of await blobFiles(server.dataDir)) {
    const { size } = await stat(blob)
    if (size === 4) await rm(blob)
    if (size === large.length) {
      await truncate(blob, size - 1)
      await appendFile(blob, 'y')
    }
  }
  const { code, stdout } = await runCommand(['export', out, '--user', 'ann'], settings)
  t.equal(code, 1)
  t.match(stdout, /1 files[^]*failed: "files\/(gone|damaged)"[^]*failed: "files\/(gone|damaged)"/)
  t.strictSame(await readdir(join(out, 'files')), ['whole'])
})

t.test('many files go in and out with the same bytes', async t => {
  const { settings, tree, out } = await start(t)
  for (let n = 0; n < sizes.transferred; n++) {
    const folder = join(tree, `folder ${n % 50}`)
    if (n < 50) await mkdir(folder)
    await writeFile(join(folder, `file ${n}`), `content ${n}`.padEnd(4 * KIB))
  }
  const begun = performance.now()
  t.match(await report(['import', tree, '--user', 'ann'], settings), { imported: sizes.transferred, folders: 50, failed: [] })
  if (isProof) t.comment(`imported in ${(performance.now() - begun) / 1000} s`)
  t.match(await report(['export', out, '--user', 'ann'], settings), { files: sizes.transferred, folders: 50, failed: [] })
  t.strictSame(await digestsIn(join(out, 'files')), await digestsIn(tree))
})

async function digestsIn (folder: string): Promise<Map<string, string>> {
  const found = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  const digests = new Map<string, string>()
  for (const { parentPath, name } of found) {
    const path = join(parentPath, name)
    digests.set(path.slice(folder.length), sha256Of(await readFile(path)))
  }
  return new Map(Array.from(digests).sort())
}

t.test('wrong arguments are told before anything is written', async t => {
  const { settings, tree, out } = await start(t)
  const refused: [string[], number][] = [
    [['import', tree], 2],
    [['import', '--user', 'ann'], 2],
    [['import', join(tree, 'missing'), '--user', 'ann'], 1],
    [['import', settings.DATA_DIR, '--user', 'ann'], 2],
    [['import', tree, '--user', 'nobody'], 1],
    [['import', tree, '--user', 'ann', '--to', '../x'], 1],
    [['export', out], 2],
    [['export', out, '--user', 'nobody'], 1],
    [['export', join(settings.DATA_DIR, 'x'), '--user', 'ann'], 2]
  ]
  for (const [args, code] of refused) t.match(await runCommand(args, settings), { code }, args.slice(0, 1).concat(args.slice(2)).join(' '))
  await writeFile(join(tree, 'x'), '')
  t.match(await runCommand(['export', tree, '--user', 'ann'], settings), { code: 1, stderr: /is not empty/ })
})
