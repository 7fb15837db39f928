import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { driveOf } from '../kit/drive.ts'
import { createRandom } from '../kit/random.ts'
import { runBin, sharedServer, spawnBin, spawnServer } from '../kit/server.ts'
import { sizes } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

// Folders, the bin and a server: what the model of test/sync-model.test.ts can't show.

interface Computer {
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
    path: name => join(folder, name),
    async sync (...args) {
      const { code, stdout, stderr } = await runBin(['sync', folder, url, ...args], settings)
      return { code, text: stdout, error: stderr }
    },
    async syncKilled (milliseconds) {
      const child = spawnBin(['sync', folder, url], settings, { isCounted: false })
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
  const { secret, token } = await driveOf(server)
  const folder = t.testdir({ a: {}, b: {} })
  const [a, b] = ['a', 'b'].map(name => computerAt(join(folder, name), { url: server.url, secret })) as [Computer, Computer]
  return { server, secret, token, folder, a, b }
}

test('two folders become equal: files, folders, edits, moves, deletions, conflicts', async t => {
  const { a, b, server, token } = await openPair(t)
  await mkdir(a.path('d/e'), { recursive: true })
  await writeFile(a.path('x.txt'), 'one')
  await writeFile(a.path('d/e/y'), 'deep')
  await writeFile(a.path('.DS_Store'), 'ignored')
  await symlink('x.txt', a.path('link'))
  t.match(await a.sync('--dry-run'), { code: 0, text: 'create folder on the server: d\n' })
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
  t.match(await runBin(['sync', copy], settings), { code: 2, stderr: 'add the address' })
  t.match(await runBin(['sync', copy, server.url], settings), { code: 0 })
  t.not(await readFile(join(copy, '.magicstore/id'), 'utf8'), await readFile(b.path('.magicstore/id'), 'utf8'))

  const other = await driveOf(server)
  t.match(await runBin(['sync', join(folder, 'a')], { ...settings, XDG_STATE_HOME: join(folder, 'a-state'), MAGICSTORE_TOKEN: other.secret }), { code: 3, stderr: 'another account' })
  t.match(await runBin(['sync', join(folder, 'a')], { ...settings, XDG_STATE_HOME: join(folder, 'a-state'), MAGICSTORE_TOKEN: 'wrong' }), { code: 4 })
  t.match(await runBin(['sync', join(folder, 'new')], settings), { code: 2 })
  t.match(await runBin(['sync', join(folder, 'new'), 'ftp://x'], settings), { code: 2 })
  t.match(await runBin(['sync', join(folder, 'new'), 'http://127.0.0.1:9'], settings), { code: 1, stderr: 'can\'t be reached' })
  t.match(await runBin(['sync'], settings), { code: 2 })
  t.match(await runBin(['sync', 'x', '--allow-deletions', 'many'], settings), { code: 2 })
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
  t.match(await runBin(['sync', join(folder, 'a')], settings), { code: 0 })
  t.equal((await server.send('GET', '/uploads/old/2026/y', { token })).text, 'two')
  await server.send('DELETE', '/api/folders/old?recursive=true', { token })
  t.match(await runBin(['sync', join(folder, 'a')], settings), { code: 3 })
  t.same(await a.tree(), { x: 'one', y: 'two' })
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
    await Promise.all(computers.map(computer => computer.syncKilled(random.between(200, 4000))))
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
  const runs = ['a', 'b'].map(name => spawnBin(['sync', join(folder, name), server.url, '--watch'], settings(name)))
  for (const run of runs) run.stdout?.resume()
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
  t.match(await runBin(['sync', 'x', '--watch', '--dry-run']), { code: 2 })
})

test('a store that was set back to an earlier state gets everything again', async t => {
  const dataDir = t.testdir()
  const start = () => spawnServer(t, { DATA_DIR: join(dataDir, 'data'), RATE_LIMIT_PER_MINUTE: '0' })
  let server = await start()
  const { secret } = await driveOf(server, 'ann')
  await mkdir(join(dataDir, 'a'))
  const at = () => computerAt(join(dataDir, 'a'), { url: server.url, secret })
  await writeFile(at().path('before'), 'before')
  t.match(await at().sync(), { code: 0 })
  await server.end('SIGTERM')
  await cp(join(dataDir, 'data'), join(dataDir, 'backup'), { recursive: true })
  server = await start()
  await writeFile(at().path('after'), 'after')
  t.match(await at().sync(), { code: 0, text: 'upload: after\n' })
  await server.end('SIGTERM')
  await rm(join(dataDir, 'data'), { recursive: true })
  await rename(join(dataDir, 'backup'), join(dataDir, 'data'))
  server = await start()
  t.match(await at().sync(), { code: 0, text: 'upload: after\n' })
  t.same(await at().tree(), { after: 'after', before: 'before' })
  t.equal((await server.send('GET', '/uploads/after', { token: secret })).text, 'after')
})
