import t from 'tap'
import { accountOf, setQuotas, shareAccount, type ListedFile } from './kit/kept-account.ts'
import { setLock } from './kit/locks.ts'
import { refused } from './kit/refusals.ts'
import { signUp, type Client } from './kit/server.ts'
import { runSql } from './kit/stores.ts'
import { areTidy } from './kit/tidy.ts'
import { eventually } from './kit/waiting.ts'

type Query = Record<string, string>

function deletionsOf (client: Client, token: string) {
  const account = accountOf(client, token)
  const { send } = account
  const listDeletions = (query: Query = {}) => send('GET', `/api/trash/deletions?${new URLSearchParams(query)}`)
  return {
    ...account,
    listDeletions,
    deletions: async () => (await listDeletions()).json.deletions as Record<string, unknown>[],
    open: (id: unknown, query: Query = {}) => send('GET', `/api/trash/deletions/${id}?${new URLSearchParams(query)}`),
    removeDeletion: (id: unknown) => send('DELETE', `/api/trash/deletions/${id}`),
    trashAll: (...names: string[]) => send('POST', '/api/trash', { json: { items: names.map(name => ({ name })) } }),
    takeBack: (placed: unknown) => send('POST', '/api/trash', { json: { items: placed } })
  }
}

async function openAccount (...settings: Parameters<typeof shareAccount>) {
  const account = await shareAccount(...settings)
  return { ...account, ...deletionsOf(account.server, account.token) }
}

const NONE = '0'.repeat(32)

t.test('a folder that was deleted with all that was in it is one entry of the trash, and so are many files and a file alone', async t => {
  const { put, make, remove, removeFolder, trashAll, listDeletions, trash } = await openAccount()
  t.strictSame((await listDeletions()).json, { deletions: [], next: null })
  for (const name of ['alone', 'box/b', 'box/b', 'box/in/c', 'x/y/1', 'x/z/2', 'one', 'r']) await put(name, name)
  await put('box/b', 'another')
  await make('box/empty/deep')
  await make('lone')
  await remove('alone')
  await removeFolder('box', { recursive: 'true' })
  const { json: { deletedWith: many } } = await trashAll('x/y/1', 'x/z/2')
  await trashAll('x/y/1', 'r', 'x/z')
  const { json: { deletedWith: one } } = await trashAll('one')
  const { json: { deletedWith: lone } } = await trashAll('lone')
  const listed = await listDeletions()
  t.match(listed, { status: 200, headers: { 'cache-control': 'no-store' } })
  const [ofLone, ofOne, ofRoot, ofMany, ofBox, alone] = listed.json.deletions
  t.match([ofLone, ofOne, ofRoot, ofMany, ofBox, alone], [
    { deletedWith: lone, kind: 'folder', name: 'lone', files: 0, folders: 1, size: 0 },
    { deletedWith: one, kind: 'file', name: 'one', files: 1, folders: 0, size: 3 },
    { kind: 'many', name: '', files: 1, folders: 1, size: 1 },
    { deletedWith: many, kind: 'many', name: 'x', files: 2, folders: 0, size: 10 },
    { kind: 'folder', name: 'box', files: 2, folders: 4, size: 15 },
    { deletedWith: null, kind: 'file', name: 'alone', files: 1, folders: 0, size: 5 }
  ])
  t.strictSame(alone.file, (await trash()).find(({ name }) => name === 'alone'))
  t.strictSame([ofBox.file, Object.keys(ofBox)], [undefined, ['deletedWith', 'kind', 'name', 'files', 'folders', 'size', 'deletedAt', 'expiresAt']])
  t.ok(ofBox.deletedAt > alone.deletedAt && ofBox.expiresAt > ofBox.deletedAt)
  const names: unknown[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { json, headers }: Awaited<ReturnType<typeof listDeletions>> = await listDeletions({ limit: '1', ...cursor !== '' && { cursor } })
    t.equal(headers.link === undefined, json.next === null)
    names.push(...json.deletions.map(({ name }: { name: string }) => name))
    cursor = json.next
  }
  t.strictSame(names, ['lone', 'one', '', 'x', 'box', 'alone'])
  for (const query of [{ limit: '0' }, { cursor: 'x' }, { folder: 'box' }] as Query[]) refused(t, await listDeletions(query), 400, 'validation_failed', JSON.stringify(query))
})

t.test('a deletion is opened, page by page', async t => {
  const { put, make, removeFolder, deletions, open, trash, server } = await openAccount()
  for (const name of ['box/b', 'box/in/c']) await put(name)
  await make('box/empty')
  await removeFolder('box', { recursive: 'true' })
  const [deletion] = await deletions()
  const id = deletion?.deletedWith
  const answer = await open(id)
  t.strictSame(answer.json, { deletion, folders: answer.json.folders, files: answer.json.files, next: null })
  t.strictSame(answer.json.folders.toSorted(), ['box', 'box/empty', 'box/in'])
  const byId = (files: ListedFile[]) => files.toSorted((a, b) => a.id < b.id ? -1 : 1)
  t.strictSame(byId(answer.json.files), byId(await trash()))
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { json }: Awaited<ReturnType<typeof open>> = await open(id, { limit: '2', ...cursor !== '' && { cursor } })
    seen.push(...json.folders, ...json.files.map(({ name }: { name: string }) => name))
    cursor = json.next
  }
  t.strictSame(seen.sort(), ['box', 'box/b', 'box/empty', 'box/in', 'box/in/c'])
  const stranger = deletionsOf(server, (await signUp(server)).token)
  for (const unknown of [NONE, 'x', '..', (await trash())[0]?.id]) {
    refused(t, await open(unknown), 404, 'not_found', String(unknown))
  }
  for (const act of [stranger.open, stranger.removeDeletion, stranger.restoreDeletion]) refused(t, await act(id), 404, 'not_found', 'of another account')
  refused(t, await open(id, { cursor: 'x' }), 400, 'validation_failed', 'cursor')
  t.strictSame(await stranger.deletions(), [])
})

t.test('what was restored is taken back as far as nobody has changed it since', async t => {
  const { put, make, send, remove, trashAll, takeBack, restoreDeletion, metadata, getFolder, names, folders } =
    await openAccount()
  for (const name of ['a', 'b', 'box/in/c', 'box/d', 'there/e', 'there/f/g']) await put(name)
  for (const name of ['box/empty', 'lone']) await make(name)
  for (const name of ['box', 'box/empty']) await send('PATCH', `/api/folders/${encodeURIComponent(name)}`, { json: { starred: true } })
  const { json: { deletedWith } } = await trashAll('a', 'box', 'lone', 'there/e', 'there/f/g')
  const restored = await restoreDeletion(deletedWith)
  t.match(restored.json, { restored: 5, kept: [] })
  const { placed } = restored.json as { placed: { name: string, id: string, state: string }[] }
  t.strictSame(placed.map(({ name }) => name).sort(), ['a', 'box', 'lone', 'there/e', 'there/f/g'], 'what is in a folder that was restored is not listed')
  for (const { name, id } of placed) {
    const { json } = ['box', 'lone'].includes(name) ? await getFolder(name) : await metadata(name)
    t.equal(json.id, id, name)
  }
  await put('a', 'other bytes')
  await remove('there/e')
  await put('there/e', 'of somebody else')
  const undone = await takeBack(placed)
  t.match(undone.json, { done: 3 })
  t.strictSame(undone.json.refused.map(({ name, code }: { name: string, code: string }) => `${name} ${code}`).sort(), ['a precondition_failed', 'there/e precondition_failed'])
  t.strictSame([(await names()).sort(), await folders()], [['a', 'b', 'there/e'], ['there']])
  const again = await restoreDeletion(undone.json.deletedWith)
  t.match(again.json, { restored: 3, kept: [] })
  await put('box/empty/new')
  t.match((await takeBack(again.json.placed)).json, { done: 2, refused: [{ name: 'box', code: 'precondition_failed' }] })
  t.strictSame((await names()).sort(), ['a', 'b', 'box/d', 'box/empty/new', 'box/in/c', 'there/e'])
})

t.test('folders that are made for what is restored are taken back with it', async t => {
  const { put, removeFolder, deletions, trashAll, takeBack, restoreDeletion, names, folders } = await openAccount()
  for (const name of ['p/q/r/1', 'p/q/r/2', 'p/q/s']) await put(name)
  const { json: { deletedWith } } = await trashAll('p/q/r/1', 'p/q/r/2')
  await removeFolder('p', { recursive: 'true' })
  const { json: { placed } } = await restoreDeletion(deletedWith)
  t.match(placed, [{ name: 'p' }])
  t.equal(placed.length, 1)
  const [ofFolder] = await deletions()
  t.match((await restoreDeletion(ofFolder?.deletedWith)).json, { restored: 1, placed: [{ name: 'p/q/s' }] })
  t.match((await takeBack(placed)).json, { done: 0, refused: [{ name: 'p', code: 'precondition_failed' }] })
  t.strictSame([(await names()).length, await folders('p')], [3, ['p/q']])
})

t.test('a deletion is restored with its empty folders, and what can\'t be stays', async t => {
  const { put, make, removeFolder, deletions, restoreDeletion, restoreFile, trash, folders, names, usage, ...account } =
    await openAccount()
  const { id, dataDir, send } = account
  for (const name of ['box/b', 'box/in/c']) await put(name)
  await make('box/empty/deep')
  const before = await usage()
  await removeFolder('box', { recursive: 'true' })
  t.match(await usage(), { files: 0, folders: 0 })
  const deletedWith = (await deletions())[0]?.deletedWith
  await put('box', 'a file')
  t.strictSame((await restoreDeletion(deletedWith)).json.kept.map(({ name, code }: { name: string, code: string }) => `${name} ${code}`).sort(), ['box', 'box/b', 'box/empty', 'box/empty/deep', 'box/in', 'box/in/c'].map(name => `${name} name_taken`))
  await send('DELETE', '/uploads/box?permanent=true')
  await setQuotas({ id, dataDir }, { files: 1 })
  t.strictSame((await restoreDeletion(deletedWith)).json.kept.map(({ code }: { code: string }) => code), Array(5).fill('quota_exceeded'), 'all but the outermost folder')
  await setQuotas({ id, dataDir }, {})
  t.match(await deletions(), [{ files: 2, folders: 3 }])
  const [entry] = await trash()
  await restoreFile(String(entry?.id))
  t.match(await deletions(), [{ files: 1 }], 'a file that is restored alone leaves it')
  await setLock(dataDir, 'box')
  t.ok((await restoreDeletion(deletedWith)).json.kept.some(({ code }: { code: string }) => code === 'file_locked'))
  await send('DELETE', '/api/folders/box/lock')
  t.match((await restoreDeletion(deletedWith)).json, { restored: 1, kept: [] })
  t.strictSame([(await names()).sort(), await folders('box'), await folders('box/empty')], [['box/b', 'box/in/c'], ['box/empty', 'box/in'], ['box/empty/deep']])
  t.strictSame([await usage(), await deletions()], [before, []])
  refused(t, await restoreDeletion(deletedWith), 404, 'not_found', 'nothing is left')
})

t.test('a deletion is deleted for good as one, and goes with the last of what it had', async t => {
  const { put, make, trashAll, deletions, removeDeletion, removeFromTrash, emptyTrash, trash, usage } =
    await openAccount()
  for (const name of ['a', 'a', 'box/b', 'stays', 'c', 'd/e']) await put(name)
  await put('a', 'new')
  await make('box/empty')
  const { json: { deletedWith } } = await trashAll('a', 'box')
  await trashAll('c', 'd/e')
  refused(t, await removeDeletion(NONE), 404, 'not_found')
  refused(t, await removeDeletion('x'), 404, 'not_found')
  t.match(await removeDeletion(deletedWith), { status: 204, text: '' })
  refused(t, await removeDeletion(deletedWith), 404, 'not_found', 'again')
  t.match(await deletions(), [{ name: '', files: 2 }])
  for (const { id } of await trash()) t.equal((await removeFromTrash(id)).status, 204)
  t.strictSame([await deletions(), (await usage()).keptBytes], [[], 0])
  await make('only/folders')
  await trashAll('only', 'stays')
  await trashAll('d')
  t.equal((await deletions()).length, 2)
  t.equal((await emptyTrash()).status, 204)
  t.strictSame(await deletions(), [], 'folders are in the trash too')
})

t.test('what is in the trash expires with its deletion', async t => {
  const { put, make, trashAll, deletions, open, restoreDeletion, id, dataDir, server } = await openAccount()
  await put('box/b')
  await make('box/empty')
  const { json: { deletedWith } } = await trashAll('box')
  await runSql(dataDir, `UPDATE kept SET kept_at = 1 WHERE owner_id = ${id}`)
  await runSql(dataDir, `UPDATE deletions SET deleted_at = 1 WHERE owner_id = ${id}`)
  t.strictSame(await deletions(), [])
  for (const act of [open, restoreDeletion]) refused(t, await act(deletedWith), 404, 'not_found')
  await server.runHousekeeping()
  for (const table of ['kept', 'deletions']) t.strictSame(await runSql(dataDir, `SELECT owner_id FROM ${table} WHERE owner_id = ${id}`), [], table)
  const [account] = await runSql(dataDir, `SELECT kept_contents AS n FROM accounts WHERE id = ${id}`)
  t.equal(Number(account?.n), 0)
})

t.test('where nothing is kept, and after a deletion for good, the trash has nothing', async t => {
  const keepsNothing = await openAccount({ KEEP_DAYS: '0' })
  await keepsNothing.put('box/b')
  t.match((await keepsNothing.trashAll('box')).json, { done: 1 })
  t.strictSame(await keepsNothing.deletions(), [])
  const { put, removeFolder, deletions } = await openAccount()
  await put('box/b')
  await removeFolder('box', { recursive: 'true', permanent: 'true' })
  t.strictSame(await deletions(), [])
})

t.test('an account is deleted with its deletions', async t => {
  const { put, trashAll, user, server, id, dataDir } = await openAccount()
  await put('box/b')
  await trashAll('box')
  t.equal((await server.send('DELETE', '/api/account', { user })).status, 204)
  for (const table of ['kept', 'deletions', 'folders']) {
    t.ok(await eventually(async () => (await runSql(dataDir, `SELECT owner_id FROM ${table} WHERE owner_id = ${id}`)).length === 0), table)
  }
})

t.test('after all that, the bytes of files are stored, and nothing else', t => areTidy(t, {}, { KEEP_DAYS: '0' }))
