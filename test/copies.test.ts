import { stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { BlobStore } from '#src/blobs/blob-store.ts'
import { openDiskBlobs } from '#src/blobs/disk/disk.ts'
import { openReserve } from '#src/blobs/disk/free-space.ts'
import { finderOf, openDownload } from '#src/files/file-response.ts'
import type { Metadata } from '#src/metadata/metadata.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { bytesPath, metadataPath, shareAccount } from './kit/kept-account.ts'
import { override } from './kit/override.ts'
import { rulesOver } from './kit/rules.ts'
import { refused } from './kit/refusals.ts'
import { signUp, startServer } from './kit/server.ts'
import { blobFiles, skipWithoutFolder } from './kit/stores.ts'
import { areTidy, blobPath } from './kit/tidy.ts'

/** An account, and what copies its files. */
async function openCopies (...settings: Parameters<typeof shareAccount>) {
  const account = await shareAccount(...settings)
  const copy = (name: string, json: unknown) => account.send('POST', `${metadataPath(name)}/copy`, { json })
  return { ...account, copy, copyTo: (name: string, newName: string) => copy(name, { name: newName }) }
}

t.test('a copy has the content, type and time of a file, none of its versions, and dates of its own', async t => {
  const { put, copyTo, get, metadata, versions, usage } = await openCopies()
  await put('a.txt', 'former')
  const { json: original } = await put('a.txt', 'content', { 'content-type': 'text/x-own', 'x-file-modified': '2020-01-02T03:04:05.678Z' })
  const copied = await copyTo('a.txt', 'de\u0301p/b c.txt')
  t.match(copied, { status: 201, headers: { location: '/uploads/d%C3%A9p/b%20c.txt', etag: `"${original.sha256}"`, 'cache-control': 'no-store' } })
  t.match(copied.json, { name: 'dép/b c.txt', size: 7, type: 'text/x-own', sha256: original.sha256, modifiedAt: '2020-01-02T03:04:05.678Z' })
  t.ok(copied.json.createdAt > original.updatedAt)
  t.equal(copied.json.updatedAt, copied.json.createdAt)
  t.strictSame((await metadata('dép/b c.txt')).json, copied.json)
  t.match(await get('dép/b c.txt'), { status: 200, text: 'content', headers: { 'content-type': 'text/x-own' } })
  t.strictSame((await metadata('a.txt')).json, original)
  t.strictSame(await versions('dép/b c.txt'), [])
  t.equal((await versions('a.txt')).length, 1)
  t.match(await usage(), { files: 2, folders: 1, bytes: 14, keptBytes: 6 })
})

t.test('a copy takes no space on the disk', { skip: skipWithoutFolder }, async t => {
  const { put, copyTo, id, dataDir } = await openCopies()
  await put('a', 'bytes')
  for (let count = 0; count < 3; count++) await copyTo('a', `copy ${count}`)
  for (const name of ['a', 'copy 0', 'copy 1', 'copy 2']) t.equal((await stat(await blobPath(dataDir, name, id))).nlink, 4, name)
})

t.test('a copy follows the rules of names, and counts in full', async t => {
  const { put, copy, copyTo, usage, server, user, metadata } = await openCopies({ QUOTA_BYTES: '25', QUOTA_FILES: '4', ALLOWED_EXTENSIONS: 'txt' })
  await put('a.txt', '1234567890')
  await put('folder/b.txt', 'b')
  const before = await usage()
  for (const name of ['none.txt', 'folder', '..', 'A.txt']) refused(t, await copyTo(name, 'c.txt'), 404, 'not_found', name)
  const { token: other } = await signUp(server)
  refused(t, await server.send('POST', `${metadataPath('a.txt')}/copy`, { token: other, json: { name: 'c.txt' } }), 404, 'not_found', 'of another account')
  for (const name of ['a.txt', 'folder/b.txt']) refused(t, await copyTo('a.txt', name), 409, 'name_taken', name)
  refused(t, await copyTo('a.txt', 'a.txt/c.txt'), 409, 'name_taken', 'a file is no folder')
  for (const name of ['..', 'a//b.txt', '/a.txt', 'x'.repeat(252) + '.txt']) refused(t, await copyTo('a.txt', name), 400, 'name_invalid', name)
  refused(t, await copyTo('a.txt', 'a.exe'), 415, 'extension_not_allowed', 'an extension')
  for (const json of [{}, { name: '' }, { name: 1 }, { name: 'c.txt', more: 1 }]) refused(t, await copy('a.txt', json), 400, 'validation_failed', JSON.stringify(json))
  refused(t, await copyTo('a.txt', 'new/c.txt'), 413, 'quota_exceeded', 'a folder and a file')
  t.strictSame(await usage(), before)

  t.equal((await copyTo('a.txt', 'c.txt')).status, 201)
  refused(t, await copyTo('b.txt', 'd.txt'), 404, 'not_found', 'the name is the whole path')
  await server.send('DELETE', `${bytesPath('folder/b.txt')}?permanent=true`, { user })
  refused(t, await copyTo('a.txt', 'd.txt'), 413, 'quota_exceeded', 'bytes')
  t.equal((await metadata('d.txt')).status, 404)
})

t.test('of many copies to one name at once one is made, and of many from one file all', async t => {
  const { put, copyTo, usage } = await openCopies()
  await put('a', 'bytes')
  const same = await Promise.all(Array.from({ length: 8 }, () => copyTo('a', 'b')))
  t.strictSame(same.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)])
  const others = await Promise.all(Array.from({ length: 8 }, (_, index) => copyTo('a', `copy ${index}`)))
  t.strictSame(others.map(({ status }) => status), Array(8).fill(201))
  t.match(await usage(), { files: 10, bytes: 50 })
})

t.test('a file that is damaged is not copied', { skip: skipWithoutFolder }, async t => {
  const { put, copyTo, id, dataDir, usage } = await openCopies()
  await put('a', 'bytes')
  await truncate(await blobPath(dataDir, 'a', id), 4)
  refused(t, await copyTo('a', 'b'), 500, 'file_damaged', 'cut')
  t.match(await usage(), { files: 1, bytes: 5 })
})

t.test('a full disk refuses a copy', { skip: skipWithoutFolder }, async t => {
  const DATA_DIR = t.testdir()
  const first = await startServer(t, { DATA_DIR })
  const { user } = await signUp(first, 'ann')
  await first.send('PUT', '/uploads/a', { user, body: 'bytes' })
  await first.close()
  const full = await startServer(t, { DATA_DIR, MIN_FREE_BYTES: String(Number.MAX_SAFE_INTEGER) })
  refused(t, await full.send('POST', '/api/files/a/copy', { user, json: { name: 'b' } }), 507, 'storage_full', 'none is free')
  t.equal((await blobFiles(DATA_DIR)).length, 1)
})

t.test('after all that, the bytes of files are stored, and nothing else', t => areTidy(t, {}))

interface Rough { metadata: Metadata, blobs: BlobStore, put: (name: string, text: string) => Promise<void> }

/** Rules over SQLite and a folder, whose database and blobs are changed by `change`. */
async function openRules (t: Test, change: (store: Rough) => Partial<Rough>) {
  const folder = t.testdir()
  const metadata = await openSqliteMetadata(join(folder, 'db'))
  const blobs = await openDiskBlobs({ folder, minFreeBytes: 0 })
  const reserve = await openReserve(join(folder, 'reserve'))
  t.teardown(async () => {
    await blobs.close()
    await metadata.close()
  })
  const owner = await metadata.accounts.add({ username: 'ann', usernameKey: 'ann', passwordHash: 'x', createdAt: 1 })
  const stores = { metadata, blobs, reserve }
  const { files, cleanup } = rulesOver(stores)
  const put = async (name: string, text: string) => {
    await files.store({
      uploader: { owner, linkId: null },
      upload: {
        name,
        minBytes: 0,
        maxBytes: 1000,
        async * read () { yield { name, type: undefined, bytes: Readable.from([Buffer.from(text)]) } }
      },
      put: { conditions: {} }
    })
    // Removes replaced bytes.
    await cleanup.sweepNow()
  }
  const changed = { ...stores, ...change({ metadata, blobs, put }) }
  return { ...changed, owner, put, rules: rulesOver(changed) }
}

/** Calls `act` once. */
function once (act: () => Promise<void>): () => Promise<void> {
  let isDone = false
  return async () => {
    if (isDone) return
    isDone = true
    await act()
  }
}

t.test('a file that is replaced while it is copied is copied as it is then', { skip: skipWithoutFolder }, async t => {
  for (const moment of ['before its bytes are copied', 'afterwards']) {
    await t.test(moment, async t => {
      const { metadata, blobs, owner, put, rules: { copies } } = await openRules(t, ({ metadata, blobs, put }) => {
        const replace = once(() => put('a', 'new bytes'))
        const record: typeof metadata.files.copy = (...args) => replace().then(() => metadata.files.copy(...args))
        const copy: typeof blobs.copies.copy = async function * (...args) {
          await replace()
          yield * blobs.copies.copy(...args)
        }
        return moment === 'afterwards'
          ? { metadata: { ...metadata, files: override(metadata.files, { copy: record }) } }
          : { blobs: override(blobs, { copies: { ...blobs.copies, copy } }) }
      })
      await put('a', 'old')
      const { file } = await copies.copyFile(owner, 'a', 'b')
      t.equal(file.size, 9)
      t.equal(String(await blobs.read({ ...file, id: file.blobId })), 'new bytes')
      t.match(await metadata.accounts.find(owner.id), { usedFiles: 2, usedBytes: 18 })
    })
  }
})

t.test('a name that is taken while it is locked is locked as it is then', { skip: skipWithoutFolder }, async t => {
  const { metadata, owner, rules: { lock } } = await openRules(t, ({ metadata, put }) => {
    const take = once(() => put('a', 'of another'))
    const add = async (...args: Parameters<Metadata['locks']['add']>) => metadata.locks.add(...args).finally(take)
    return { metadata: { ...metadata, locks: override(metadata.locks, { add }) } }
  })
  const wanted = { path: 'a', isDeep: false, isExclusive: true, owner: null, seconds: 60 }
  t.match(await lock(owner, wanted, {}), { isNew: false, lock: { path: 'a' } })
  t.match(await metadata.files.find(owner.id, 'a'), { size: 10 })
})

t.test('a file that is replaced while it is opened is downloaded as it is then', { skip: skipWithoutFolder }, async t => {
  const { owner, put, metadata, blobs, rules: { files } } = await openRules(t, ({ metadata, put }) => {
    const replace = once(() => put('a', 'new bytes'))
    const find = (...args: Parameters<Metadata['files']['find']>) => metadata.files.find(...args).finally(replace)
    return { metadata: { ...metadata, files: override(metadata.files, { find }) } }
  })
  await put('a', 'old')
  const request = { method: 'GET', headers: {}, disposition: undefined } as const
  const { plan, bytes } = await openDownload(finderOf({ files, metadata }, owner.id, 'a'), request, { blobs, config: { downloadRedirectSeconds: 0 } })
  t.match(plan, { status: 200, headers: { 'content-length': '9' } })
  t.equal(String(bytes), 'new bytes')
})
