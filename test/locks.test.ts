import t, { type Test } from 'tap'
import { createCovering } from '#src/metadata/lock-guard.ts'
import { bytesPath, folderPath, metadataPath, shareAccount } from './kit/kept-account.ts'
import { endLocks, lockedPaths, setLock } from './kit/locks.ts'
import { formOf, signUp, type Answer, type SendOptions } from './kit/server.ts'
import { named, TUS, TUS_BYTES } from './kit/tus.ts'

/** 423, by these locks. */
function locked (t: Test, { status, json }: Answer, roots: string[], message: string): void {
  t.match({ status, json }, { status: 423, json: { code: 'file_locked' } }, message)
  t.strictSame(json.locked, roots, message)
}

/** An account, and its locks. */
async function openLocks () {
  const account = await shareAccount()
  const { dataDir, send } = account
  return {
    ...account,
    lock: (path: string, options: { isDeep?: boolean } = {}) => setLock(dataDir, path, options),
    lockedPaths: () => lockedPaths(dataDir),
    endLocks: () => endLocks(dataDir),
    copy: (name: string, newName: string) => send('POST', `${metadataPath(name)}/copy`, { json: { name: newName } }),
    breakLock: (name: string) => send('DELETE', `${metadataPath(name)}/lock`),
    breakFolderLock: (name: string) => send('DELETE', `${folderPath(name)}/lock`),
    upload: (name: string, headers: Record<string, string> = {}) => send('POST', '/api/uploads', { headers: { ...TUS, 'upload-length': '5', ...named(name), ...headers } }),
    append: (id: string, offset: number, body: string) => send('PATCH', `/api/uploads/${id}`, { headers: { ...TUS_BYTES, 'upload-offset': String(offset) }, body })
  }
}

t.test('a locked file is not changed by any door until its lock is broken', async t => {
  const { put, get, send, copy, lock, breakLock, lockedPaths, versions, rename, remove, usage } = await openLocks()
  for (const text of ['former', 'content']) await put('dir/a', text)
  await put('dir/b', 'b')
  const [version] = await versions('dir/a')
  const before = await usage()
  await lock('dir/a')
  const changes: [string, () => Promise<Answer>][] = [
    ['replace', () => put('dir/a', 'other')],
    ['rename', () => rename('dir/a', 'dir/c')],
    ['move', () => rename('dir/a', 'c')],
    ['delete', () => remove('dir/a')],
    ['delete for good', () => remove('dir/a', { permanent: 'true' })],
    ['restore a version', () => send('POST', `${metadataPath('dir/a')}/versions/${version?.id}/restore`)],
    ['move its folder', () => send('PATCH', folderPath('dir'), { json: { name: 'other' } })],
    ['delete its folder', () => send('DELETE', `${folderPath('dir')}?recursive=true`)]
  ]
  for (const [what, change] of changes) locked(t, await change(), ['dir/a'], what)
  t.match(await usage(), before)
  t.equal((await get('dir/a')).text, 'content', 'it can be read')
  t.equal((await copy('dir/a', 'dir/copy')).status, 201, 'and copied')
  t.equal((await put('dir/b', 'other')).status, 200, 'and what stands beside it changed')
  t.strictSame(await lockedPaths(), ['dir/a'])

  for (const name of ['dir/b', 'none', 'dir']) t.match(await breakLock(name), { status: 404, json: { code: 'not_found' } }, name)
  t.match(await breakLock('dir/a'), { status: 204, text: '' })
  t.strictSame(await lockedPaths(), [])
  t.equal((await breakLock('dir/a')).status, 404)
  for (const [what, change] of changes) t.ok([200, 204, 404].includes((await change()).status), what)
})

t.test('a locked folder takes and loses nothing, and with infinite depth nothing below changes', async t => {
  const account = await openLocks()
  const { put, copy, make, rename, remove, restoreFile, restoreDeletion, trash, send, upload } = account
  const { lock, breakFolderLock, breakLock } = account
  for (const name of ['dir/a', 'dir/gone', 'dir/sub/deep', 'dir/tree/1', 'out']) await put(name, name)
  await remove('dir/gone')
  await send('DELETE', `${folderPath('dir/tree')}?recursive=true`)
  const [ofTree, gone] = await trash()
  await lock('dir')
  const members: [string, () => Promise<Answer>][] = [
    ['a new file', () => put('dir/new', 'new')],
    ['a form', () => send('POST', '/?folder=dir', formOf('new', 'new'))],
    ['an upload', () => upload('dir/new')],
    ['a file that leaves', () => rename('dir/a', 'a')],
    ['a file that comes', () => rename('out', 'dir/out')],
    ['a copy', () => copy('out', 'dir/out')],
    ['a deletion', () => remove('dir/a')],
    ['a new folder', () => make('dir/new')],
    ['a folder that leaves', () => send('PATCH', folderPath('dir/sub'), { json: { name: 'sub' } })],
    ['a restored file', () => restoreFile(String(gone?.id))],
    ['its own move', () => send('PATCH', folderPath('dir'), { json: { name: 'other' } })]
  ]
  for (const [what, change] of members) locked(t, await change(), ['dir'], what)
  t.match((await restoreDeletion(ofTree?.deletedWith)).json, { restored: 0, kept: [{ name: 'dir/tree/1', code: 'file_locked' }] })
  t.equal((await put('dir/a', 'other')).status, 200, 'a file in it changes')
  t.equal((await put('dir/sub/new', 'new')).status, 201, 'and a folder below')
  t.equal((await make('dir')).status, 200, 'a folder that is there is not made')

  t.equal((await breakFolderLock('dir')).status, 204)
  t.match(await breakFolderLock('dir'), { status: 404, json: { code: 'not_found' } })
  t.match(await breakFolderLock('..'), { status: 404, json: { code: 'not_found' } })
  await lock('dir', { isDeep: true })
  locked(t, await put('dir/a', 'deep'), ['dir'], 'a file in it')
  locked(t, await put('dir/sub/deep', 'deep'), ['dir'], 'a file below')
  locked(t, await make('dir/sub/new folder'), ['dir'], 'a folder below')
  t.equal((await breakLock('dir/sub/deep')).status, 404, 'only its root has the lock')
  await lock('out')
  await account.endLocks()
  t.equal((await put('dir/a', 'late')).status, 200, 'a lock that has run out refuses nothing')
  t.equal((await breakLock('out')).status, 404)
  t.match((await restoreDeletion(ofTree?.deletedWith)).json, { restored: 1, kept: [] })
})

t.test('the locks of one account are none of another, and a token that reads breaks none', async t => {
  const { put, lock, breakLock, server, user, token } = await openLocks()
  await put('a', 'a')
  await lock('a')
  const path = `${metadataPath('a')}/lock`
  const other: SendOptions = { user: (await signUp(server)).user }
  await server.send('PUT', bytesPath('a'), { ...other, body: 'a' })
  t.match(await server.send('DELETE', path, other), { status: 404, json: { code: 'not_found' } })
  t.equal((await server.send('PUT', bytesPath('a'), { ...other, body: 'b' })).status, 200)
  const { json: { token: reader } } = await server.send('POST', '/api/tokens', { user, json: { name: 'reader', scopes: ['files:read'] } })
  for (const address of [path, `${folderPath('a')}/lock`]) {
    t.match(await server.send('DELETE', address, { token: reader }), { status: 403, json: { code: 'insufficient_scope' } })
  }
  locked(t, await server.send('PUT', bytesPath('a'), { token, body: 'b' }), ['a'], 'it is there')
  t.equal((await breakLock('a')).status, 204)
})

t.test('an upload that a lock refuses at its end stays, and is a file once the lock has ended', async t => {
  const { send, put, get, lock, breakLock, breakFolderLock, upload, append } = await openLocks()
  const isWhole = { 'upload-offset': '5', 'upload-complete': '?1' }
  const { json: { id } } = await upload('dir/new')
  await put('dir/a', 'a')
  await lock('dir')
  t.equal((await append(id, 0, '123')).status, 204, 'bytes arrive')
  const path = `/api/uploads/${id}`
  const requests: [string, () => Promise<Answer>][] = [
    ['the last bytes', () => append(id, 3, '45')],
    ['the end again', () => append(id, 5, '')],
    ['the upload', () => send('GET', path)],
    ['another method', () => send('POST', path, { headers: { ...TUS, 'x-http-method-override': 'HEAD' } })]
  ]
  for (const [what, request] of requests) {
    const answer = await request()
    if (what !== 'another method') locked(t, answer, ['dir'], what)
    t.match(answer, { status: 423, headers: isWhole }, what)
  }
  t.match(await send('HEAD', path, { headers: TUS }), { status: 423, headers: isWhole })
  t.equal((await breakFolderLock('dir')).status, 204)
  t.match(await send('HEAD', path, { headers: TUS }), { status: 200, headers: isWhole })
  t.equal((await get('dir/new')).text, '12345')

  const put_ = (headers: Record<string, string>, body: string) => send('PUT', bytesPath('dir/a'), { headers, body })
  const begun = await put_({ 'upload-complete': '?0' }, '123')
  await lock('dir/a')
  const [, own = ''] = /\/api\/uploads\/(\w+)$/.exec(String(begun.headers.location)) ?? []
  const ended = await send('PATCH', `/api/uploads/${own}`, { headers: { 'upload-complete': '?1', 'upload-offset': '3', 'content-type': 'application/partial-upload' }, body: '45' })
  locked(t, ended, ['dir/a'], 'a replacement')
  t.match(ended.headers, isWhole)
  locked(t, await put_({ 'upload-complete': '?0' }, '123'), ['dir/a'], 'its creation')
  locked(t, await upload('dir/a', { 'if-match': '*' }), ['dir/a'], 'that of another client')
  t.equal((await breakLock('dir/a')).status, 204)
  t.equal((await send('GET', `/api/uploads/${own}`)).json.offset, 5)
  t.equal((await get('dir/a')).text, '12345')
})

t.test('the locks of a path are looked up: each of a thousand is compared only with what it can cover', t => {
  let compared = 0
  const locks = Array.from({ length: 1000 }, (_, index) => ({
    get path () {
      compared++
      return `f/${index}`
    },
    token: String(index),
    isFolder: true,
    isDeep: true,
    isExclusive: true,
    owner: null,
    seconds: 1,
    expiresAt: 1
  }))
  const covering = createCovering(locks)
  t.strictSame(locks.map(({ token }) => covering(`f/${token}/a`).map(lock => lock.token).join()), locks.map(({ token }) => token))
  t.strictSame(covering('f'), [])
  t.ok(compared < 10_000, `${compared} times`)
  t.end()
})
