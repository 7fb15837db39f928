import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DAY, HOUR } from './kit/durations.ts'
import { accountOf, openAccount, setQuotas, shareAccount } from './kit/kept-account.ts'
import { createRandom } from './kit/random.ts'
import { formOf, runBin, sharedServer, startServer, type Answer, type RunningServer, type Settings } from './kit/server.ts'
import { sizes } from './kit/sizes.ts'
import { isInFolder, runSql, storedBlobs } from './kit/stores.ts'
import { areTidy } from './kit/tidy.ts'
import { beginUpload, TUS } from './kit/tus.ts'

const bytes = (count: number, text = 'x') => text.repeat(count)

/** Fewer versions than the tests make. */
const KEEPING = { KEEP_VERSIONS: '3' }
const NOTHING_KEPT = { KEEP_DAYS: '0' }

/** An account of the server that the tests share, with quotas of its own. */
async function shareLimited (bytes: number, files?: number) {
  const account = await shareAccount(KEEPING)
  await setQuotas(account, { bytes, ...(files !== undefined && { files }) })
  return account
}

/** Another server with the same data, and other settings. */
async function restart (t: Test, { server, token }: { server: RunningServer, token: string }, settings: Settings) {
  await server.close()
  const again = await startServer(t, { DATA_DIR: server.dataDir, RATE_LIMIT_PER_MINUTE: '0', ...settings })
  return { ...accountOf(again, token), server: again, token }
}

/** Makes it look as if what is kept had been kept for some time already. */
const age = (dataDir: string, milliseconds: number, condition: string) => runSql(dataDir, `UPDATE kept SET kept_at = kept_at - ${milliseconds} WHERE ${condition}`)

t.test('what is kept gives way to what needs the room: the oldest first, and no more than needed', async t => {
  const { put, remove, trash, texts, usage } = await shareLimited(100)
  await put('a', bytes(40, '1'))
  await put('a', bytes(30, '2'))
  await put('b', bytes(5, '1'))
  await put('b', bytes(5, '2'))
  await remove('b')
  await put('c', bytes(20))
  t.match(await usage(), { bytes: 50, keptBytes: 50 }, 'it is full to the last byte')
  t.equal((await put('d', 'x')).status, 201)
  t.strictSame([await texts('a'), (await trash()).map(({ name }) => name)], [[], ['b']], 'the longest kept')
  t.match(await usage(), { bytes: 51, keptBytes: 10 })
  t.match(await put('e', bytes(50)), { status: 413, json: { code: 'quota_exceeded', unit: 'bytes', remaining: 49 } })
  t.match(await usage(), { bytes: 51, keptBytes: 10 }, 'what does not fit takes nothing')
})

t.test('a restore beyond a quota is refused', async t => {
  const { put, remove, restore, restoreFile, versions, trash, usage, server, token } = await shareLimited(100, 2)
  await put('a', bytes(50))
  await put('a', bytes(10))
  await put('b', bytes(30))
  await remove('b')
  const [version, entry] = [String((await versions('a'))[0]?.id), String((await trash())[0]?.id)]
  const upload = await beginUpload(server, token, { name: 'upload', length: 61 })
  t.match(await restore('a', version), { status: 413, json: { code: 'quota_exceeded' } }, 'an upload has reserved the room')
  t.match(await restoreFile(entry), { status: 413, json: { code: 'quota_exceeded' } })
  t.match(await usage(), { files: 1, bytes: 10, keptBytes: 80, uploadBytes: 61 })
  await server.send('DELETE', upload, { token, headers: TUS })
  await put('c', '')
  t.match(await restoreFile(entry), { status: 413, json: { code: 'quota_exceeded', unit: 'files', remaining: 0 } }, 'too many files')
  await remove('c', { permanent: 'true' })
  t.equal((await restoreFile(entry)).status, 200)
  t.equal((await restore('a', version)).status, 200)
  t.match(await usage(), { files: 2, bytes: 80, keptBytes: 10 }, 'nothing gave way: the total is the same')
})

t.test('a resumable upload takes room only as its bytes arrive', async t => {
  const { put, remove, trash, send, usage, server, token } = await shareLimited(1000)
  for (const [name, count] of [['older', 500], ['newer', 400]] as const) {
    await put(name, bytes(count))
    await remove(name)
  }
  const upload = await beginUpload(server, token, { name: 'big', length: 950 })
  const append = (offset: number, count: number) => send('PATCH', upload, { headers: { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' }, body: bytes(count) })
  const names = async () => (await trash()).map(({ name }) => name)
  for (const [offset, count, left] of [[0, 100, ['newer', 'older']], [100, 1, ['newer']]] as const) {
    t.equal((await append(offset, count)).status, 204)
    t.strictSame(await names(), left)
  }
  t.equal((await put('small', bytes(50))).status, 201, 'the reservation leaves room for this')
  t.equal((await put('large', bytes(51))).status, 413)
  t.equal((await append(101, 849)).status, 204)
  t.match([await names(), await usage()], [[], { files: 2, bytes: 1000, keptBytes: 0, uploadBytes: 0 }])
})

t.test('what has expired by the settings of today is not there, swept or not', async t => {
  const account = await openAccount(t)
  const { put, remove, versions, trash, get, restore, removeVersion, dataDir } = account
  for (const text of ['1', '2', '3', '4']) for (const name of ['a', 'b']) await put(name, text)
  await remove('b')
  const [newest, middle, oldest] = await versions('a')
  const [entry] = await trash()
  await age(dataDir, 30 * DAY, `id = '${oldest?.id}'`)
  await age(dataDir, 30 * DAY - HOUR, `id = '${middle?.id}'`)
  t.match(await versions('a'), [newest, { id: middle?.id, expiresAt: new Date(Date.parse(String(middle?.replacedAt)) + HOUR).toISOString() }])
  t.equal((await versions('a')).length, 2)
  for (const answer of [await get('a', { version: String(oldest?.id) }), await restore('a', String(oldest?.id)), await removeVersion('a', String(oldest?.id))]) t.equal(answer.status, 404)
  await age(dataDir, 29 * DAY, "name = 'b'")
  t.match(await trash(), [{ id: entry?.id, versions: 3 }])

  const shorter = await restart(t, account, { KEEP_DAYS: '29' })
  t.match(await shorter.versions('a'), [{ id: newest?.id, expiresAt: new Date(Date.parse(String(newest?.replacedAt)) + 29 * DAY).toISOString() }])
  t.strictSame(await shorter.trash(), [])
  t.equal((await shorter.restoreFile(String(entry?.id))).status, 404)
  const longer = await restart(t, shorter, { KEEP_DAYS: '31', KEEP_VERSIONS: '2' })
  t.match((await longer.versions('a')).map(({ id }) => id), [newest?.id, middle?.id], 'versions beyond KEEP_VERSIONS are hidden at once')
  t.equal((await longer.restoreFile(String(entry?.id))).status, 200)
  const unversioned = await restart(t, longer, { KEEP_VERSIONS: '0' })
  t.strictSame(await unversioned.versions('a'), [])
  t.equal((await unversioned.restore('a', String(newest?.id))).status, 404)
})

t.test('with KEEP_DAYS=0 nothing is kept', async t => {
  const { put, remove, versions, trash, usage, restoreFile, emptyTrash } = await shareAccount(NOTHING_KEPT)
  for (const text of ['1', '2']) for (const name of ['a', 'b']) await put(name, text)
  t.strictSame(await versions('a'), [])
  t.equal((await remove('a')).status, 204)
  t.equal((await remove('b', { permanent: 'true' })).status, 204)
  t.strictSame(await trash(), [])
  t.equal((await restoreFile('0'.repeat(32))).status, 404)
  t.equal((await emptyTrash()).status, 204)
  t.match(await usage(), { files: 0, bytes: 0, keptBytes: 0 })
})

t.test('whatever is done at once to a few files, no answer is an error and everything adds up', async t => {
  const account = await shareAccount(KEEPING)
  const { send, usage, trash, versions } = account
  await setQuotas(account, { bytes: 3000 })
  const random = createRandom('kept-quota')
  const pick = <T> (list: readonly T[]): T | undefined => random.pick(list)
  const name = () => String(pick(['a', 'b', 'c']))
  const version = async () => { const of = name(); return `/api/files/${of}/versions/${pick(await versions(of))?.id ?? '0'}` }
  const operations: (() => Promise<Answer>)[] = [
    () => send('PUT', `/uploads/${name()}`, { body: bytes(random.between(1, 600), name()) }),
    () => send('PUT', `/uploads/${name()}`, { body: randomBytes(300) }),
    () => send('POST', '/', formOf(name(), randomBytes(200))),
    () => send('DELETE', `/uploads/${name()}`),
    () => send('DELETE', `/uploads/${name()}?permanent=true`),
    () => send('PATCH', `/api/files/${name()}`, { json: { name: name() } }),
    async () => send('POST', `${await version()}/restore`),
    async () => send('DELETE', await version()),
    async () => send('GET', (await version()).replace(/^\/api\/files\/(.)\/versions\/(.+)$/, '/uploads/$1?version=$2')),
    async () => send('POST', `/api/trash/${pick(await trash())?.id ?? '0'}/restore`, { json: { name: name() } }),
    async () => send('POST', `/api/trash/${pick(await trash())?.id ?? '0'}/restore`),
    async () => send('DELETE', `/api/trash/${pick(await trash())?.id ?? '0'}`),
    () => send('DELETE', '/api/trash')
  ]
  const counts: Record<number, number> = {}
  const rounds = sizes.quotaActs
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let round = 0; round < rounds; round++) {
      const { status } = await (pick(operations) as () => Promise<Answer>)()
      counts[status] = (counts[status] ?? 0) + 1
    }
  }))
  t.comment(JSON.stringify(counts))
  t.strictSame(Object.keys(counts).filter(status => ![200, 201, 204, 404, 409, 413].includes(Number(status))), [])
  const { bytes: used, keptBytes } = await usage()
  t.ok(used + keptBytes <= 3000)
})

t.test('after all that, the sums of the accounts equal what is stored, and nothing is inconsistent', async t => {
  await areTidy(t, KEEPING, NOTHING_KEPT)
  const server = await sharedServer(KEEPING)
  const { dataDir } = server
  const sumOf = async (sql: string) => Number((await runSql(dataDir, sql))[0]?.sum)
  const used = await sumOf('SELECT sum(used_bytes + kept_bytes) AS sum FROM accounts')
  t.equal(await sumOf('SELECT sum(size) AS sum FROM (SELECT size FROM files UNION ALL SELECT size FROM kept) AS contents'), used)
  await server.close()
  const blobs = await storedBlobs(dataDir)
  if (isInFolder) t.equal(blobs.reduce((sum, id) => sum + statSync(join(dataDir, 'blobs', id.slice(0, 2), id)).size, 0), used)
  t.match(await runBin(['fsck', '--deep'], { DATA_DIR: dataDir }), { code: 0 })
})
