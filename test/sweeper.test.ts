import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '#src/config.ts'
import type { IncomingBody } from '#src/files/incoming-file.ts'
import { createSweeper } from '#src/files/sweeper.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { openStore } from '#src/services.ts'
import { sharedServer, signUp, spawnServer } from './kit/server.ts'
import { skipWithoutSqlite } from './kit/stores.ts'
import { areTidy } from './kit/tidy.ts'
import { until } from './kit/waiting.ts'

t.test('sweeps that are asked for together are one, and what is asked for while one runs is served by one more', async t => {
  let running = 0
  let count = 0
  const sweeper = createSweeper(async () => {
    t.equal(++running, 1, 'never two at a time')
    if (++count === 1) for (let request = 0; request < 100; request++) sweeper.sweep()
    await new Promise(resolve => setImmediate(resolve))
    running--
  }, () => {})
  for (let request = 0; request < 100; request++) sweeper.sweep()
  await sweeper.close()
  t.equal(count, 2)
})

t.test('a sweep that fails is reported, and not the last one', async t => {
  let count = 0
  let onFailure = (_error: unknown) => {}
  const failed = new Promise<unknown>(resolve => { onFailure = resolve })
  const sweeper = createSweeper(async () => { if (++count === 1) throw new Error('no') }, error => onFailure(error))
  sweeper.sweep()
  t.match(await failed, { message: 'no' })
  sweeper.sweep()
  await sweeper.close()
  t.equal(count, 2)
})

t.test('the bytes of many files that were replaced and deleted together go, and no others', async t => {
  const settings = { KEEP_DAYS: '0' }
  const server = await sharedServer(settings)
  const { token } = await signUp(server)
  const names = Array.from({ length: 60 }, (_, index) => `file-${index}`)
  const put = (body: string) => Promise.all(names.map(name => server.send('PUT', `/uploads/${name}`, { token, body: `${body} ${name}` })))
  await put('first')
  await put('second')
  await Promise.all(names.slice(20).map(name => server.send('DELETE', `/uploads/${name}`, { token })))
  await areTidy(t, settings)
  const texts = await Promise.all(names.slice(0, 20).map(async name => (await server.send('GET', `/uploads/${name}`, { token })).text))
  t.strictSame(texts, names.slice(0, 20).map(name => `second ${name}`))
})

t.test('while another process holds the write lock of the database, the server answers what needs no write, and writes when it is free', { skip: skipWithoutSqlite }, async t => {
  const settings = { DATA_DIR: t.testdir() }
  const server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  const other = new Database(join(settings.DATA_DIR, 'magicstore.db'))
  t.teardown(() => other.close())
  await server.send('PUT', '/uploads/a', { token, body: 'a' })
  other.exec('BEGIN IMMEDIATE')
  let isWritten = false
  const written = server.send('PUT', '/uploads/b', { token, body: 'b' }).finally(() => { isWritten = true })
  for (let request = 0; request < 20; request++) {
    t.equal((await server.send('GET', '/health/live')).status, 200)
    t.match(await server.send('GET', '/uploads/a', { token }), { status: 200, text: 'a' })
  }
  t.notOk(isWritten)
  other.exec('COMMIT')
  t.equal((await written).status, 201)
})

t.test('bytes that the disk does not give up are not forgotten', { skip: skipWithoutSqlite }, async t => {
  const dataDir = t.testdir()
  const store = await openStore(readConfig({ DATA_DIR: dataDir, MIN_FREE_BYTES: '0' }))
  t.teardown(() => store.close())
  const { id: ownerId } = await store.accounts.add({ username: 'ada', password: 'pwd' })
  const owner = await store.accounts.get(ownerId)
  const upload: IncomingBody = { name: 'a', minBytes: 1, maxBytes: 1, async * read () { yield { name: 'a', type: undefined, bytes: (async function * () { yield Buffer.from('a') }()) } } }
  const { file: { blobId: id } } = await store.files.store({ uploader: { owner, linkId: null }, upload })
  const path = join(dataDir, 'blobs', id.slice(0, 2), id)
  await until(() => existsSync(path))
  await rm(path)
  // A folder can't be removed like a file.
  await mkdir(path)
  await store.files.remove(ownerId, 'a', { precondition: {}, isPermanent: true })
  await store.cleanup.close()
  t.strictSame(await store.metadata.blobs.takeDiscarded(10, 0), [id])
})
