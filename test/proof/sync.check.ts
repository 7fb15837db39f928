import { once } from 'node:events'
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { report } from '../kit/backups.ts'
import { withFault } from '../kit/bin.ts'
import { commandsWith } from '../kit/commands.ts'
import { fill, mountDisk } from '../kit/disks.ts'
import { driveOf, lockInfo, personalToken, tokenOf } from '../kit/drive.ts'
import { WITHOUT_ROOTS_ACCESS } from '../kit/programs.ts'
import { createRandom } from '../kit/random.ts'
import { PASSWORD, runBin, sharedServer, spawnBin, spawnServer, startTls } from '../kit/server.ts'
import { sizes } from '../kit/sizes.ts'
import { lacksTerminal, runOnTerminal } from '../kit/terminal.ts'
import { until } from '../kit/waiting.ts'
import { openProxy } from '../sync/proxy.ts'

// Folders, the bin and a server: what the model of test/sync-model.test.ts can't show.

/** Without it, a run waits until what was changed just now is quiet. */
const ahead = new URL('../kit/ahead.js', import.meta.url).href
const runAhead = commandsWith(ahead)

interface Computer {
  readonly settings: Record<string, string>
  readonly path: (name: string) => string
  /** One run; `text` is what it printed. */
  readonly sync: (...args: string[]) => Promise<{ code: number | null, text: string, error: string }>
  /** A run that is killed. */
  readonly syncKilled: (milliseconds: number) => Promise<void>
  /** Contents by path; '/' is the content of a folder. */
  readonly tree: () => Promise<Record<string, string>>
  /** All contents in `kept`. */
  readonly kept: () => Promise<string[]>
}

async function treeOf (folder: string, below = ''): Promise<Record<string, string>> {
  const tree: Record<string, string> = {}
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = join(below, entry.name)
    if (path === '.magicstore') continue
    if (entry.isDirectory()) Object.assign(tree, { [path]: '/' }, await treeOf(folder, path))
    else if (entry.isFile()) tree[path] = await readFile(join(folder, path), 'utf8')
  }
  return tree
}

function computerAt (folder: string, { url, secret }: { url: string, secret: string }): Computer {
  const settings = { MAGICSTORE_TOKEN: secret, XDG_STATE_HOME: `${folder}-state` }
  return {
    settings,
    path: name => join(folder, name),
    async sync (...args) {
      const { code, stdout, stderr } = await runAhead(['sync', folder, url, ...args], settings)
      return { code, text: stdout, error: stderr }
    },
    async syncKilled (milliseconds) {
      const child = spawnBin(['sync', folder, url], settings, { isCounted: false, nodeArgs: ['--import', ahead] })
      const exited = once(child, 'exit')
      child.stdout?.resume()
      child.stderr?.resume()
      await wait(milliseconds)
      child.kill('SIGKILL')
      await exited
    },
    tree: () => treeOf(folder),
    kept: async () => Object.values(await treeOf(folder, '.magicstore/kept')).filter(content => content !== '/')
  }
}

/** Two computers of a new account. */
async function openPair (t: Test) {
  const server = await sharedServer()
  const { secret, token, user, ask } = await driveOf(server)
  const folder = t.testdir({ a: {}, b: {} })
  const [a, b] = ['a', 'b'].map(name => computerAt(join(folder, name), { url: server.url, secret })) as [Computer, Computer]
  return { server, secret, token, user, ask, folder, a, b }
}

test('two folders become equal: files, folders, edits, moves, deletions, conflicts', async t => {
  const { a, b, server, token } = await openPair(t)
  await mkdir(a.path('d/e'), { recursive: true })
  await writeFile(a.path('x.txt'), 'one')
  await writeFile(a.path('d/e/y'), 'deep')
  await writeFile(a.path('.DS_Store'), 'ignored')
  await symlink('x.txt', a.path('link'))
  t.match(await a.sync('--dry-run'), { code: 0, text: 'would create the folder d on the server\n' })
  t.same((await server.send('GET', '/api/files', { token })).json.files, [])
  const first = await a.sync()
  t.match(first, { code: 0, text: 'upload: x.txt\n' })
  t.match(first.text, 'left alone: link')
  await rm(a.path('link'))
  t.match(await a.sync(), { code: 0, text: 'equal\n' })
  t.match(await b.sync(), { code: 0 })
  const { '.DS_Store': _ignored, ...carried } = await a.tree()
  t.same(await b.tree(), carried)

  await rename(a.path('d'), a.path('moved'))
  await writeFile(a.path('x.txt'), 'of a')
  await writeFile(b.path('x.txt'), 'of b')
  await writeFile(b.path('d/new'), 'new')
  t.match(await a.sync(), { code: 0, text: 'move on the server: d to moved\n' })
  const { text } = await b.sync('--json')
  const acts = text.trim().split('\n').map(line => JSON.parse(line))
  t.match(acts, [{ act: 'move here', path: 'd', to: 'moved' }])
  t.match(acts.at(-1), { waiting: 0, deletions: 0 })
  await a.sync()
  t.same(await b.tree(), { 'x.txt': 'of a', 'x (conflict 5c0fd223).txt': 'of b', moved: '/', 'moved/e': '/', 'moved/e/y': 'deep', 'moved/new': 'new' })
  const { '.DS_Store': _still, ...after } = await a.tree()
  t.same(after, await b.tree())

  await rm(a.path('moved'), { recursive: true })
  t.match(await a.sync(), { code: 0, text: 'delete on the server: moved/e/y\n' })
  t.match(await b.sync(), { code: 0 })
  t.notOk('moved' in await b.tree())
  t.same((await b.kept()).sort(), ['deep', 'new'])
  const { files } = (await server.send('GET', '/api/trash', { token })).json
  t.same(files.map(({ name }: { name: string }) => name).sort(), ['moved/e/y', 'moved/new'])
})

test('a star leads to nothing here, and stays through what is done here', async t => {
  const { a, b, server, token } = await openPair(t)
  const patch = (path: string) => server.send('PATCH', path, { token, json: { starred: true } })
  const starred = async () => {
    const lists = await Promise.all(['files', 'folders'].map(kind => server.send('GET', `/api/${kind}?starred=true`, { token })))
    return lists.flatMap(({ json }) => (json.files ?? json.folders).map(({ name }: { name: string }) => name))
  }
  await mkdir(a.path('d'))
  await writeFile(a.path('d/x.txt'), 'one')
  for (const { sync } of [a, b]) t.match(await sync(), { code: 0 })
  const before = await stat(b.path('d/x.txt'))
  for (const path of ['/api/files/d%2Fx.txt', '/api/folders/d']) t.match(await patch(path), { status: 200 })
  for (const { sync } of [a, b, a]) t.strictSame(await sync(), { code: 0, text: 'equal\n', error: '' })
  t.equal((await stat(b.path('d/x.txt'))).ctimeMs, before.ctimeMs)
  await writeFile(a.path('d/x.txt'), 'two')
  t.match(await a.sync(), { code: 0, text: 'upload: d/x.txt' })
  await rename(a.path('d'), a.path('e'))
  t.match(await a.sync(), { code: 0, text: 'move on the server: d to e' })
  t.match(await b.sync(), { code: 0 })
  t.same(await b.tree(), { e: '/', 'e/x.txt': 'two' })
  t.strictSame(await starred(), ['e/x.txt', 'e'])
})

test('what could be a mistake stops with a question, and a wrong credential or address with its reason', async t => {
  const { a, b, folder, server, secret } = await openPair(t)
  for (let n = 0; n < 12; n++) await writeFile(a.path(`f${n}`), `content ${n}`)
  await a.sync()
  await b.sync()
  for (let n = 0; n < 12; n++) await rm(a.path(`f${n}`))
  t.match(await a.sync(), { code: 3, error: 'add --allow-deletions 12' })
  t.equal(Object.keys(await b.tree()).length, 12)
  t.match(await a.sync('--allow-deletions', '12'), { code: 0 })
  t.match(await b.sync(), { code: 3 })
  t.match(await b.sync('--allow-deletions', '12'), { code: 0 })

  await rename(b.path('.magicstore'), b.path('../off'))
  t.match(await b.sync(), { code: 3, error: 'mount its disk' })
  await rename(b.path('../off'), b.path('.magicstore'))
  t.match(await b.sync(), { code: 0 })
  await cp(b.path('.'), join(folder, 'b-copy'), { recursive: true })
  const copy = join(folder, 'b-copy')
  const settings = { MAGICSTORE_TOKEN: secret, XDG_STATE_HOME: join(folder, 'b-state') }
  t.match(await runAhead(['sync', copy], settings), { code: 2, stderr: 'add the address' })
  t.match(await runAhead(['sync', copy, server.url], settings), { code: 0 })
  t.not(await readFile(join(copy, '.magicstore/id'), 'utf8'), await readFile(b.path('.magicstore/id'), 'utf8'))

  const other = await driveOf(server)
  t.match(await runAhead(['sync', join(folder, 'a')], { ...settings, XDG_STATE_HOME: join(folder, 'a-state'), MAGICSTORE_TOKEN: other.secret }), { code: 3, stderr: 'another account' })
  t.match(await runAhead(['sync', join(folder, 'a')], { ...settings, XDG_STATE_HOME: join(folder, 'a-state'), MAGICSTORE_TOKEN: 'wrong' }), { code: 4 })
  t.match(await runAhead(['sync', join(folder, 'new')], settings), { code: 2 })
  t.match(await runAhead(['sync', join(folder, 'new'), 'ftp://x'], settings), { code: 2 })
  t.match(await runAhead(['sync', join(folder, 'new'), 'http://127.0.0.1:9'], settings), { code: 1, stderr: 'can\'t be reached' })
  t.match(await runAhead(['sync'], settings), { code: 2 })
  t.match(await runAhead(['sync', 'x', '--allow-deletions', 'many'], settings), { code: 2 })
})

test('a folder of the server is followed when it is moved, and nothing is deleted when it is gone', async t => {
  const { server, secret, token, folder } = await openPair(t)
  const a = computerAt(join(folder, 'a'), { url: `${server.url}/reports/2026`, secret })
  await writeFile(a.path('x'), 'one')
  t.match(await a.sync(), { code: 0 })
  t.equal((await server.send('GET', '/uploads/reports/2026/x', { token })).text, 'one')
  await server.send('PATCH', '/api/folders/reports', { token, json: { name: 'old' } })
  await writeFile(a.path('y'), 'two')
  const settings = { MAGICSTORE_TOKEN: secret, XDG_STATE_HOME: join(folder, 'a-state') }
  t.match(await runAhead(['sync', join(folder, 'a')], settings), { code: 0 })
  t.equal((await server.send('GET', '/uploads/old/2026/y', { token })).text, 'two')
  await server.send('DELETE', '/api/folders/old?recursive=true', { token })
  t.match(await runAhead(['sync', join(folder, 'a')], settings), { code: 3 })
  t.same(await a.tree(), { x: 'one', y: 'two' })
  t.match(await runAhead(['sync', join(folder, 'a'), `${server.url}/another`], settings), { code: 0 })
  t.same(await a.tree(), { x: 'one', y: 'two' })
  t.equal((await server.send('GET', '/uploads/another/y', { token })).text, 'two')
})

/** A wire to a server, whose connections are cut after some bytes. */
async function openRoughWire (
  t: Test, port: number, name: string, mostBytes = 4000
): Promise<{ port: number, rest: () => void }> {
  const random = createRandom(name)
  let isRough = true
  const wire = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    let left = isRough && random.chance(0.4) ? random.between(1, mostBytes) : Infinity
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      from.on('data', chunk => {
        left -= chunk.length
        if (left > 0) to.write(chunk)
        else for (const socket of [client, upstream]) socket.destroy()
      })
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
    }
  })
  wire.listen(0, '127.0.0.1')
  await once(wire, 'listening')
  t.teardown(() => { wire.close() })
  return { port: (wire.address() as AddressInfo).port, rest: () => { isRough = false } }
}

test('runs that are killed and connections that are cut lose nothing', async t => {
  const server = await sharedServer()
  const wire = await openRoughWire(t, server.port, 'the wire of sync')
  const { secret } = await driveOf(server)
  const folder = t.testdir({ a: {}, b: {} })
  const url = `http://127.0.0.1:${wire.port}`
  const computers = ['a', 'b'].map(name => computerAt(join(folder, name), { url, secret })) as [Computer, Computer]
  const random = createRandom('kills of sync')
  const names = ['p', 'q', 'r', 'd/s', 'd/t']
  const written = new Set<string>()
  /** A person replaces what is there. */
  const drop = async (path: string) => { written.delete(await readFile(path, 'utf8').catch(() => '')) }
  for (const computer of computers) await mkdir(computer.path('d'))

  for (let round = 0; round < sizes.syncKills; round++) {
    for (const computer of computers) {
      const [name, other] = [random.pick(names), random.pick(names)]
      const content = `round ${round} of ${name} ${'x'.repeat(random.below(20_000))}`
      if (random.chance(0.7)) {
        await drop(computer.path(name))
        written.add(content)
        await mkdir(computer.path('d'), { recursive: true })
        await writeFile(computer.path(name), content)
      } else if (name !== other && await stat(computer.path(name)).then(() => true, () => false)) {
        await drop(computer.path(other))
        await mkdir(computer.path('d'), { recursive: true })
        await rename(computer.path(name), computer.path(other))
      }
    }
    await Promise.all(computers.map(computer => computer.syncKilled(random.between(200, 1500))))
  }
  wire.rest()
  for (let round = 0; round < 3; round++) for (const computer of computers) await computer.sync()
  for (const computer of computers) t.match(await computer.sync(), { code: 0, text: 'equal\n' })
  t.same(await computers[0].tree(), await computers[1].tree())
  const current = new Set(Object.values(await computers[0].tree()))
  t.same(Array.from(written).filter(content => !current.has(content)).map(content => content.slice(0, 20)), [])
})

test('what is ignored is neither sent nor deleted', async t => {
  const { a, b, server, token } = await openPair(t)
  await writeFile(a.path('.magicstoreignore'), 'cache/\n*.log\n')
  for (const folder of ['cache', 'kept', 'with']) await mkdir(a.path(folder))
  for (const path of ['cache/x', 'a.log', 'kept/b.log', 'kept/y', 'with/.DS_Store']) await writeFile(a.path(path), path)
  t.match(await a.sync(), { code: 0 })
  await mkdir(b.path('inner/.magicstore'), { recursive: true })
  await writeFile(b.path('inner/.magicstore/id'), 'of a folder in the folder')
  t.match(await b.sync(), { code: 0 })
  await rm(b.path('inner'), { recursive: true })
  t.same(Object.keys(await b.tree()).sort(), ['.magicstoreignore', 'kept', 'kept/y'])
  await server.send('DELETE', '/api/folders/kept?recursive=true', { token })
  t.match(await a.sync(), { code: 0 })
  t.match(await a.sync(), { code: 0, text: /^equal\n$/ })
  t.same(Object.keys(await a.tree()).filter(path => path.startsWith('kept')), ['kept', 'kept/b.log'])
})

test('a link here is left alone, and so is what the server has at its path', async t => {
  const { a, b, server, token } = await openPair(t)
  await symlink('elsewhere', a.path('x'))
  await writeFile(b.path('x'), 'one')
  await b.sync()
  t.match(await a.sync(), { code: 0, text: 'left alone: x\nequal\n' })
  t.equal((await server.send('GET', '/uploads/x', { token })).text, 'one')
  t.ok((await lstat(a.path('x'))).isSymbolicLink())
})

test('a large file goes on after a cut, and comes back with its time', async t => {
  const { server, secret, folder } = await openPair(t)
  const wire = await openRoughWire(t, server.port, 'the wire of large files', 5_000_000)
  const [a, b] = ['a', 'b'].map(name =>
    computerAt(join(folder, name), { url: `http://127.0.0.1:${wire.port}`, secret })) as [Computer, Computer]
  const bytes = createRandom('a large file').bytes(9_000_000)
  await writeFile(a.path('large'), bytes)
  await utimes(a.path('large'), 1_000_000_000, 1_000_000_000)
  t.match(await a.sync(), { code: 0, text: 'upload: large\nequal\n' })
  wire.rest()
  t.match(await b.sync(), { code: 0 })
  t.ok(bytes.equals(await readFile(b.path('large'))))
  t.equal((await stat(b.path('large'))).mtimeMs, 1_000_000_000_000)
})

test('with --watch, changes of both sides are carried, and no other run has the folder', async t => {
  const { server, secret, folder, a, b } = await openPair(t)
  const settings = (name: string) => ({ MAGICSTORE_TOKEN: secret, XDG_STATE_HOME: join(folder, `${name}-state`) })
  const runs = ['a', 'b'].map(name => spawnBin(['sync', join(folder, name), server.url, '--watch'], settings(name), { nodeArgs: ['--import', ahead] }))
  for (const run of runs) run.stdout?.resume()
  const ended = runs.map(run => once(run, 'exit'))
  t.teardown(() => { for (const run of runs) run.kill('SIGKILL') })
  const has = (computer: Computer, path: string) => until(() => readFile(computer.path(path), 'utf8').catch(() => ''))
  await until(() => server.countWaiting() === 2)
  await writeFile(a.path('x'), 'of a')
  t.equal(await has(b, 'x'), 'of a')
  await mkdir(b.path('d'))
  await writeFile(b.path('d/y'), 'of b')
  t.equal(await has(a, 'd/y'), 'of b')
  await rm(a.path('x'))
  t.ok(await until(() => stat(b.path('x')).then(() => false, () => true)))
  t.match(await a.sync(), { code: 1, error: 'another run has this folder' })
  t.match(await runAhead(['sync', 'x', '--watch', '--dry-run']), { code: 2 })
  await rm(b.path('d'), { recursive: true })
  t.ok(await until(() => stat(a.path('d')).then(() => false, () => true)))

  await utimes(a.path('.magicstore'), 1, 1)
  const errors = runs.map(run => run.stderr?.setEncoding('utf8').toArray())
  await rename(b.path('.'), join(folder, 'away'))
  t.equal((await ended[1])?.[0], 3)
  t.match((await errors[1])?.join(''), 'the folder is gone: mount its disk')
  runs[0]?.kill('SIGTERM')
  t.equal((await ended[0])?.[0], 0)
})

test('a store that was restored from a backup gets everything again, also in a folder of it', async t => {
  const folder = t.testdir({ a: {}, c: {} })
  const start = (data: string) => spawnServer(t, { DATA_DIR: join(folder, data), RATE_LIMIT_PER_MINUTE: '0' })
  let server = await start('data')
  const { secret } = await driveOf(server, 'ann')
  // It has the same address afterwards.
  const proxy = await openProxy(t, server.port)
  const at = (name: string, below = '') => computerAt(join(folder, name), { url: proxy.url + below, secret })
  const both = () => [at('a'), at('c', '/reports')] as const
  for (const computer of both()) await writeFile(computer.path('before'), 'before')
  for (const computer of both()) t.match(await computer.sync(), { code: 0, text: 'equal\n' })
  await report(['backup', join(folder, 'backup')], { DATA_DIR: join(folder, 'data') })
  for (const computer of both()) await writeFile(computer.path('after'), 'after')
  for (const computer of both()) t.match(await computer.sync(), { code: 0, text: 'upload: after\n' })
  await server.end('SIGTERM')
  await report(['restore', join(folder, 'backup')], { DATA_DIR: join(folder, 'restored') })
  server = await start('restored')
  proxy.port = server.port
  for (const computer of both()) t.match(await computer.sync(), { code: 0, text: 'upload: after\n' })
  t.same(await at('c').tree(), { after: 'after', before: 'before' })
  t.match(await at('a').sync(), { code: 0 })
  t.same(await at('a').tree(), { after: 'after', before: 'before', reports: '/', 'reports/after': 'after', 'reports/before': 'before' })
})

/** Two computers of a new account, the first behind a proxy. */
async function openProxied (t: Test) {
  const pair = await openPair(t)
  const proxy = await openProxy(t, pair.server.port)
  return { ...pair, proxy, a: computerAt(join(pair.folder, 'a'), { url: proxy.url, secret: pair.secret }) }
}

const isUpload = (name: string) => ({ method, path }: { method: string, path: string }) => method === 'PUT' && path.startsWith(`/uploads/${name}?`)

test('what the server refuses waits, with a line that says what to do, and all else goes on', async t => {
  const { a, proxy, server, token, ask } = await openProxied(t)
  for (const [status, code, says] of [
    [400, 'name_invalid', /rename it/],
    [413, 'quota_exceeded', /make it smaller, make space in your account/],
    [415, 'type_not_allowed', /the server takes no such files: ask the operator, or name it in \.magicstoreignore/],
    [507, 'storage_full', /the server's disk is full/]
  ] as const) {
    const [bad, good] = [`bad-${status}`, `good-${status}`]
    proxy.answer = passed => isUpload(bad)(passed) ? { status, code, detail: 'It is refused.' } : undefined
    for (const name of [bad, good]) await writeFile(a.path(name), name)
    const { code: exit, text } = await a.sync()
    t.equal(exit, 1)
    t.match(text, new RegExp(`^waits: ${bad} \\(It is refused; ${says.source}`, 'm'))
    t.match(text, `upload: ${good}\n`)
    t.equal(await readFile(a.path(bad), 'utf8'), bad)
    proxy.answer = () => undefined
    t.match(await a.sync(), { code: 0, text: `upload: ${bad}\nequal\n` })
  }

  await writeFile(a.path('open'), 'before')
  await a.sync()
  const lock = await ask('LOCK', '/dav/open', {}, lockInfo())
  t.equal(lock.status, 200)
  await writeFile(a.path('open'), 'after')
  t.match(await a.sync(), { code: 1, text: /^waits: open \(.+; close it in the program that has it open, or break the lock on the page\)\n1 waits for the next run$/m })
  t.equal((await server.send('GET', '/uploads/open', { token })).text, 'before')
  await ask('UNLOCK', '/dav/open', { 'lock-token': `<${tokenOf(lock)}>` })
  t.match(await a.sync(), { code: 0 })
  t.equal((await server.send('GET', '/uploads/open', { token })).text, 'after')
})

test('a server that is busy is asked again; one that stays so, or lets a connection die, is told, and nothing is lost', async t => {
  const { a, b, proxy } = await openProxied(t)
  await writeFile(a.path('x'), 'one')
  const busy = [503, 429, 502]
  proxy.answer = passed => {
    const status = isUpload('x')(passed) ? busy.shift() : undefined
    return status === undefined ? undefined : { status, headers: { 'retry-after': status === 503 ? '40' : 'Tue, 01 Dec 2026 20:00:00 GMT' } }
  }
  t.match(await a.sync(), { code: 0, text: 'upload: x\nequal\n' })
  t.same(busy, [])
  await writeFile(a.path('x'), 'two')
  for (const answer of [() => ({ status: 503 }), isUpload('x')] as const) {
    proxy.answer = passed => answer(passed) ? { status: 503, detail: 'It is starting.' } : undefined
    t.match(await a.sync(), { code: 1, error: 'the server can\'t be reached: It is starting.; run again later\n' })
  }
  t.same(await a.tree(), { x: 'two' })
  proxy.answer = () => undefined
  t.match(await a.sync(), { code: 0, text: 'upload: x\n' })
  await b.sync()
  t.same(await b.tree(), { x: 'two' })
})

test('a download that is cut goes on, also where ranges are not passed on; wrong bytes are not taken', async t => {
  const { a, b, proxy } = await openProxied(t)
  const bytes = createRandom('a download').bytes(2_000_000)
  const downloads = (name: string) => proxy.requests.filter(({ method, path }) => method === 'GET' && path === `/uploads/${name}`)
  for (const [name, drops] of [['goes-on', []], ['anew', ['range', 'if-range']]] as const) {
    await writeFile(b.path(name), bytes)
    await b.sync()
    let cuts = 2
    proxy.drops = drops
    proxy.change = (chunk, { path }, offset) => path === `/uploads/${name}` && offset > 500_000 && cuts-- > 0 ? undefined : chunk
    t.match(await a.sync(), { code: 0, text: `download: ${name}\nequal\n` })
    t.ok(bytes.equals(await readFile(a.path(name))))
    const [first, ...others] = downloads(name).map(({ headers }) => headers)
    t.strictSame([first?.range, others.length], [undefined, 2])
    for (const headers of others) {
      t.equal(headers['if-range'], first?.['if-match'])
      t.match(headers.range, /^bytes=[1-9]\d+-$/)
    }
  }
  proxy.drops = []
  await writeFile(b.path('wrong'), 'right bytes')
  await writeFile(b.path('other'), 'other')
  await b.sync()
  proxy.change = (chunk, { path }) => path === '/uploads/wrong' ? Buffer.alloc(chunk.length) : chunk
  const { code, text } = await a.sync()
  t.equal(code, 1)
  t.match(text, /^waits: wrong \(other bytes arrived than the server has; if that stays, ask the operator to run magicstore fsck\)$/m)
  t.notOk('wrong' in await a.tree())
  t.match(await a.tree(), { other: 'other' })
  t.same(await readdir(a.path('.magicstore/tmp')), [])
  proxy.change = chunk => chunk
  t.match(await a.sync(), { code: 0 })
  t.match(await a.tree(), { wrong: 'right bytes' })
})

test('a full disk of the computer is told, and what fits arrives', async t => {
  const { b, server, secret } = await openPair(t)
  const disk = await mountDisk(t, 'size=2m')
  if (disk === undefined) return
  const a = { ...computerAt(disk, { url: server.url, secret }), settings: {} }
  await writeFile(b.path('large'), Buffer.alloc(3_000_000, 1))
  await writeFile(b.path('small'), 'small')
  await b.sync()
  const { code, text } = await a.sync()
  t.equal(code, 1)
  t.match(text, /^waits: large \(.*ENOSPC.*; the disk of this computer is full: free some space\)$/m)
  t.same(await a.tree(), { small: 'small' })
  const empty = await fill(disk)
  await writeFile(b.path('small'), 'changed')
  await b.sync()
  t.match(await a.sync(), { code: 1 })
  t.same(Object.entries(await a.tree()).filter(([path]) => path === 'small'), [['small', 'small']])
  await empty()
  await rm(b.path('large'))
  await b.sync()
  t.match(await a.sync(), { code: 0 })
  t.same(await a.tree(), { small: 'changed' })
})

test('a token that was revoked stops the run with what to do, and another one goes on', async t => {
  const { folder, server, user, a } = await openPair(t)
  await writeFile(a.path('x'), 'one')
  await a.sync()
  const { tokens } = (await server.send('GET', '/api/tokens', { user })).json
  for (const { id } of tokens) await server.send('DELETE', `/api/tokens/${id}`, { user })
  await writeFile(a.path('x'), 'two')
  t.match(await a.sync(), { code: 4, text: '', error: /^magicstore: the server refuses the token \(.+\): run magicstore connect with the address of the server, or set MAGICSTORE_TOKEN to a token with files:read and files:write\n$/ })
  t.match(await runAhead(['sync', join(folder, 'a')], { ...a.settings, MAGICSTORE_TOKEN: '' }), { code: 4 })
  const next = await personalToken(server, user, ['files:read', 'files:write'])
  t.match(await runAhead(['sync', join(folder, 'a')], { ...a.settings, MAGICSTORE_TOKEN: next }), { code: 0, stdout: 'upload: x\nequal\n' })
  t.match(await runAhead(['sync', join(folder, 'a')], { ...a.settings, MAGICSTORE_TOKEN: '' }), { code: 0 }, 'it is kept')
  const reader = await personalToken(server, user, ['files:read'])
  await writeFile(a.path('x'), 'three')
  t.match(await runAhead(['sync', join(folder, 'a')], { ...a.settings, MAGICSTORE_TOKEN: reader }), { code: 4 })
})

test('without a token it asks for one, and a plan is said in words', async t => {
  const { a, b, folder, server, secret } = await openPair(t)
  const { MAGICSTORE_TOKEN: _, ...settings } = a.settings
  t.match(await runAhead(['sync', join(folder, 'new'), server.url, '--dry-run'], a.settings), { code: 3, stderr: 'a run without --dry-run makes it' })
  t.match(await runAhead(['sync', join(folder, 'a'), `${server.url}/new`, '--dry-run'], a.settings), { code: 3, stderr: 'the server has no folder new' })
  t.match(await runAhead(['sync', join(folder, 'a'), server.url], settings, `${secret}\n`), { code: 0 })
  t.equal((await stat(join(folder, 'a-state/magicstore/sync'))).mode & 0o777, 0o700)
  for (const path of ['edited', 'both', 'gone-here', 'gone-there', 'moved-here', 'moved-there', 'kind']) await writeFile(a.path(path), path)
  for (const path of ['empty-here', 'empty-there']) await mkdir(a.path(path))
  t.match(await a.sync('--dry-run'), { code: 0, text: /7 to upload \(54 bytes\), 2 folders to create; nothing was done\n$/ })
  await a.sync()
  await b.sync()
  await writeFile(b.path('edited'), 'edited there')
  await writeFile(b.path('both'), 'of b')
  for (const path of ['gone-there', 'kind']) await rm(b.path(path))
  await rm(b.path('empty-there'), { recursive: true })
  await rename(b.path('moved-there'), b.path('there'))
  await mkdir(b.path('folder'))
  await writeFile(b.path('folder/large'), Buffer.alloc(1_234_567))
  await b.sync()
  await writeFile(b.path('kind'), 'a file again')
  await b.sync()
  await writeFile(a.path('both'), 'of a')
  for (const path of ['gone-here', 'kind']) await rm(a.path(path))
  await mkdir(a.path('kind'))
  await writeFile(a.path('kind/new'), 'new')
  await rm(a.path('empty-here'), { recursive: true })
  await rename(a.path('moved-here'), a.path('here'))
  await mkdir(a.path('made'))
  const before = await a.tree()
  const { code, text } = await a.sync('--dry-run')
  t.equal(code, 0)
  t.same(text.split('\n').filter(line => line !== '').sort(), [
    '1 to upload (3 bytes), 2 to download (1.2 MB), 2 to move, 2 folders to create, 2 in conflict, 2 to delete here, 2 to delete on the server; nothing was done',
    'both differs here and on the server: would name yours both (conflict 44625108)',
    'kind is a folder here and a file on the server: would name the file kind (conflict 177c69cc)',
    'would create the folder folder here',
    'would create the folder made on the server',
    'would delete gone-here on the server; its trash has it',
    'would delete gone-there here; .magicstore/kept has it for 30 days',
    'would delete the empty folder empty-here on the server',
    'would delete the empty folder empty-there here',
    'would download edited (12 bytes)',
    'would download folder/large (1.2 MB)',
    'would move moved-here to here on the server',
    'would move moved-there to there here',
    'would upload kind/new (3 bytes)'
  ])
  t.same(await a.tree(), before)
  t.match(await a.sync(), { code: 0 })
  await b.sync()
  t.same(await b.tree(), await a.tree())
  t.match(await a.sync('--dry-run'), { code: 0, text: 'equal: nothing to do\n' })
})

test('a terminal shows how many acts and bytes are done, and how long the rest takes', { skip: lacksTerminal }, async t => {
  const { a, folder, server } = await openPair(t)
  for (const [name, size] of [['large', 9_000_000], ['small', 10]] as const) await writeFile(a.path(name), Buffer.alloc(size, 1))
  const text = await runOnTerminal(t, ['sync', join(folder, 'a'), server.url], { ...a.settings, NODE_OPTIONS: `--import=${ahead}` })
  t.match(text, 'looking for changes: 262 kB read')
  t.match(text, /0 of 2, \d+ (?:bytes|kB) of 9\.0 MB, \d+ (?:s|min|h) left/)
  t.ok(text.includes('\r\x1b[Kupload: large\r\n'))
  t.ok(text.endsWith('\r\x1b[Kequal\r\n\r\x1b[K'), JSON.stringify(text.slice(-60)))
})

test('a folder that can\'t be read waits, and nothing of it is deleted', async t => {
  const { a, b, server, secret, folder } = await openPair(t)
  await mkdir(a.path('d'))
  await writeFile(a.path('d/x'), 'one')
  await a.sync()
  await chmod(a.path('d'), 0)
  const url = server.url
  const { code, stdout } = await runBin(['sync', join(folder, 'a'), url], a.settings, '', { under: WITHOUT_ROOTS_ACCESS, nodeArgs: ['--import', ahead] })
  await chmod(a.path('d'), 0o755)
  t.equal(code, 1)
  t.match(stdout, /^waits: d\/x \(its folder can't be read/m)
  t.match(await a.sync(), { code: 0, text: 'equal\n' })
  t.match(await b.sync(), { code: 0 })
  t.same(await b.tree(), { d: '/', 'd/x': 'one' })
  t.ok(secret)
})

test('--watch goes on when the server is back, and ends when the token is revoked', async t => {
  const { a, proxy, server, user, folder } = await openProxied(t)
  await mkdir(a.path('blind'))
  await a.sync()
  // A system has only so many watches.
  const { NODE_OPTIONS } = withFault(`import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module'; const { watch } = fs
    fs.watch = (path, ...rest) => { if (path.endsWith('blind')) throw new Error('ENOSPC'); return watch(path, ...rest) }; syncBuiltinESMExports()`)
  const run = spawnBin(['sync', join(folder, 'a'), proxy.url, '--watch'], a.settings, { nodeArgs: [...NODE_OPTIONS.split(' '), '--import', ahead] })
  const ended = once(run, 'exit')
  t.teardown(() => run.kill('SIGKILL'))
  run.stdout?.resume()
  let errors = ''
  run.stderr?.setEncoding('utf8').on('data', text => { errors += text })
  await until(() => server.countWaiting() === 1)
  proxy.answer = () => ({ status: 503, detail: 'It is starting.' })
  await writeFile(a.path('x'), 'one')
  await until(() => errors.includes('the server can\'t be reached: It is starting.\n'))
  proxy.answer = () => undefined
  const token = (await server.send('GET', '/api/token', { user })).json.token
  await until(async () => (await server.send('GET', '/uploads/x', { token })).text === 'one')
  await until(() => server.countWaiting() === 1)
  for (const { id, kind } of (await server.send('GET', '/api/tokens', { user })).json.tokens) {
    if (kind === 'personal') await server.send('DELETE', `/api/tokens/${id}`, { user })
  }
  await writeFile(a.path('x'), 'two')
  t.equal((await ended)[0], 4)
})

/** What another system lacks: hard links, times of birth, `fsync` of folders. */
const OTHER_SYSTEM = `
import fs from 'node:fs'
import os from 'node:os'
import { syncBuiltinESMExports } from 'node:module'
const { lstatSync } = fs
let isFirst = true
fs.linkSync = (from, to) => {
  // Another program makes the file just now.
  if (isFirst && to.endsWith('/taken')) { isFirst = false; fs.writeFileSync(to, 'of another program') }
  throw Object.assign(new Error('EPERM: no links'), { code: 'EPERM' })
}
fs.lstatSync = (path, options) => {
  const stat = lstatSync(path, options)
  if (stat) stat.birthtimeNs = 0n
  return stat
}
os.platform = () => 'win32'
syncBuiltinESMExports()`

test('on a system without hard links, times of birth and case in names nothing is replaced either, and what it can\'t have is left alone', async t => {
  const { a, b, folder, server } = await openPair(t)
  await mkdir(b.path('.magicstore/tmp'), { recursive: true })
  for (const path of ['taken', 'a:b', 'con', 'Plain', 'ärger']) await writeFile(b.path(path), `${path} of b`)
  await b.sync()
  await mkdir(a.path('.magicstore'))
  // So it finds that the disk folds case.
  await writeFile(a.path('.magicstore/ID'), '')
  const { NODE_OPTIONS } = withFault(OTHER_SYSTEM)
  const run = () => runBin(['sync', join(folder, 'a'), server.url], a.settings, '', { nodeArgs: [...NODE_OPTIONS.split(' '), '--import', ahead] })
  const { code, stdout } = await run()
  t.equal(code, 0, stdout)
  t.match(stdout, 'left alone: a:b\n')
  t.match(stdout, 'left alone: con\n')
  t.same(await a.tree(), { Plain: 'Plain of b', taken: 'taken of b', 'taken (conflict b7a9c350)': 'of another program', ärger: 'ärger of b' })
  await rename(a.path('Plain'), a.path('moved'))
  await writeFile(a.path('plain'), 'plain of a')
  await writeFile(a.path('PLAIN'), 'PLAIN of a')
  const { stdout: second } = await run()
  t.match(second, /left alone: P(?:LAIN|lain)/i)
  t.match(await b.sync(), { code: 0 })
  t.match(await b.tree(), { moved: 'Plain of b' })
})

test('odd answers, marks, folders and states stop a run in one line', async t => {
  const { a, folder, proxy, server, secret } = await openProxied(t)
  await writeFile(a.path('x'), 'one')
  await a.sync()
  const mark = await readFile(a.path('.magicstore/id'), 'utf8')
  await writeFile(a.path('.magicstore/id'), 'damaged')
  t.match(await a.sync(), { code: 3, error: 'is damaged: delete it to begin anew\n' })
  await writeFile(a.path('.magicstore/id'), mark)
  for (const body of ['no JSON', '42']) {
    proxy.answer = ({ path }) => path.startsWith('/api/changes') ? { status: 418, body } : undefined
    t.match(await a.sync(), { code: 1, error: 'the server can\'t be reached: it answers with status 418; run again later\n' })
  }
  proxy.answer = ({ path }) => path.startsWith('/api/folders/') ? { status: 403, detail: 'It lacks a scope.' } : undefined
  t.match(await runAhead(['sync', join(folder, 'new'), `${proxy.url}/below`], a.settings), { code: 4, stderr: 'It lacks a scope.' })
  proxy.answer = ({ path }) => path.startsWith('/deep') && path.endsWith('/api/account') ? { status: 404 } : undefined
  t.match(await runAhead(['sync', join(folder, 'new'), `${proxy.url}/a%2Fb/c`], a.settings), { code: 0 })
  proxy.answer = ({ path }) => path.endsWith('/api/account') ? { status: 404 } : undefined
  t.match(await runAhead(['sync', join(folder, 'new2'), `${proxy.url}/deep`], a.settings), { code: 2, stderr: 'there is no MagicStore at' })
  proxy.answer = () => undefined
  t.match(await runAhead(['sync', a.path('x'), server.url], a.settings), { code: 1, stderr: /^magicstore: [^\n]+\n$/ })

  const empty = computerAt(join(folder, 'empty'), { url: `${server.url}/empty`, secret })
  t.match(await empty.sync(), { code: 0, text: 'equal\n' })
  const token = secret
  await server.send('DELETE', '/api/folders/empty', { token })
  t.match(await runAhead(['sync', join(folder, 'empty')], empty.settings), { code: 3, stderr: 'the folder of the server is gone: bring it back there from the trash, or run with the address of another one\n' })
})

test('what has been kept for a month goes, and the oldest while the disk is nearly full', async t => {
  const { a, b } = await openPair(t)
  await writeFile(a.path('x'), 'one')
  await a.sync()
  await b.sync()
  await mkdir(b.path('.magicstore/kept/2020-01-01'))
  await writeFile(b.path('.magicstore/kept/2020-01-01/x'), 'of long ago')
  for (const content of ['two', 'three']) {
    await writeFile(a.path('x'), content)
    await a.sync()
    await b.sync()
  }
  t.same((await b.kept()).sort(), ['one', 'two'])
})

test('where a network asks for a sign-in, its page is no answer of the server: nothing is taken for done', async t => {
  const { a, folder, proxy, server, token } = await openProxied(t)
  await writeFile(a.path('x'), 'one')
  await a.sync()
  const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>Sign in</p>' }
  for (const body of [page.body, '{}', 'null']) {
    proxy.answer = () => ({ ...page, body })
    t.match(await a.sync(), { code: 1, error: 'the server can\'t be reached: what answers is not MagicStore: see whether this network asks you to sign in; run again later\n' })
    t.match(await runAhead(['sync', join(folder, 'new'), `${proxy.url}/deep`], a.settings), { code: 2, stderr: 'there is no MagicStore at' })
  }
  // One at a time: what the first act of a pass meets ends the pass.
  proxy.answer = ({ method }) => method === 'GET' ? undefined : page
  for (const change of [() => rm(a.path('x')), () => writeFile(a.path('y'), 'two')]) {
    await change()
    t.match(await a.sync(), { code: 1, error: 'the server can\'t be reached' })
  }
  proxy.answer = () => undefined
  t.match(await a.sync(), { code: 0, text: /equal\n$/ })
  t.equal((await server.send('GET', '/uploads/y', { token })).text, 'two')
  t.equal((await server.send('GET', '/uploads/x', { token })).status, 404)
})

test('an upload whose bytes have all arrived is sent again if its end is lost', async t => {
  const { a, proxy, server, token } = await openProxied(t)
  const bytes = createRandom('an upload').bytes(9_000_000)
  await writeFile(a.path('large'), bytes)
  let heads = 0
  // Another program answers; then the server says that it has all, and has not, and the upload begins anew.
  proxy.answer = ({ method }) => method === 'HEAD' && heads++ < 2 ? { status: 200, ...heads === 2 && { headers: { 'upload-offset': '9000000' } } } : undefined
  t.match(await a.sync(), { code: 0, text: 'upload: large\nequal\n' })
  let cuts = 1
  await writeFile(a.path('large'), bytes.reverse())
  proxy.change = (chunk, { method }) => method === 'PATCH' && cuts-- > 0 ? undefined : chunk
  t.match(await a.sync(), { code: 0, text: /equal\n$/ })
  t.ok(bytes.equals((await server.send('GET', '/uploads/large', { token })).bytes))
})

test('a server is also asked by TLS', async t => {
  const { ca, port, store } = await startTls(t)
  await store.accounts.register({ username: 'ann', password: PASSWORD }, '127.0.0.1')
  const folder = t.testdir({ a: { x: 'one' } })
  await writeFile(join(folder, 'ca.pem'), ca)
  const settings = { MAGICSTORE_TOKEN: 'mst_wrong', XDG_STATE_HOME: join(folder, 'state'), NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') }
  t.match(await runBin(['sync', join(folder, 'a'), `https://localhost:${port}`], settings), { code: 4 })
})
