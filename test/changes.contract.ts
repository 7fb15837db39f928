import type { Test } from 'tap'
import { CHANGES_MILLISECONDS, type ChangePosition, type ChangeRecord } from '#src/metadata/change-records.ts'
import type { UploadRecord } from '#src/metadata/upload-records.ts'
import { HOUR } from './kit/durations.ts'
import { hex, newFile, newLink, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { changeOf, newUpload, openStory } from './uploads.contract.ts'

/** A change in few words. */
const wordsOf = ({ kind, name, fromName }: ChangeRecord) => [kind, ...fromName === null ? [] : [fromName], name].join(' ')

/** The contract in src/metadata/changes.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata, ownerId } = story
    const list = (after: ChangePosition | undefined, limit = 1000) =>
      metadata.changes.list(ownerId, { after, limit })
    let read = (await list(undefined)).next
    return {
      ...story,
      list,
      /** What an act has changed, in its order. */
      async since (act: () => Promise<unknown>): Promise<string[]> {
        await act()
        const page = await list(read)
        read = page.next
        return page.reset === undefined ? page.changes.map(wordsOf) : ['reset']
      }
    }
  }

  t.test('each act on files records what it changes, in its order', async t => {
    const { metadata, ownerId, since, put, rename, remove } = await start(t)
    const { files } = metadata
    t.strictSame(await since(() => put('a/b/c')), ['folder_made a', 'folder_made a/b', 'stored a/b/c'])
    t.strictSame(await since(() => put('a/b/c')), ['stored a/b/c'], 'replaced')
    const d = newFile(ownerId, 'd')
    t.strictSame(await since(() => files.add(d, unlimited)), ['stored d'])
    t.strictSame(await since(() => files.add({ ...d, blobId: hex(16) }, unlimited)), [], 'the same bytes again')
    t.strictSame(await since(() => rename('d', 'e/f')), ['folder_made e', 'moved d e/f'])
    t.strictSame(await since(() => rename('e/f', 'e/f')), [], 'to the same name')
    t.strictSame(await since(() => rename('e/f', 'a/b/c', { overwrites: true })), ['deleted e/f', 'stored a/b/c'])
    const source = await files.find(ownerId, 'a/b/c')
    t.strictSame(await since(() => files.copy({ name: 'a/b/c', blobId: String(source?.blobId) }, newFile(ownerId, 'g'), unlimited, {})), ['stored g'])
    t.strictSame(await since(() => remove('g')), ['deleted g'])
    t.strictSame(await since(() => remove('a/b/c', true)), ['deleted a/b/c'], 'for good')
  })

  t.test('each act on folders records what it changes; the move of a folder is one change', async t => {
    const { metadata, ownerId, since, put, move, removeTree, trash } = await start(t)
    const { folders } = metadata
    t.strictSame(await since(() => folders.add(ownerId, 'a/b', unlimited)), ['folder_made a', 'folder_made a/b'])
    t.strictSame(await since(() => folders.add(ownerId, 'a/b', unlimited)), [], 'it exists')
    await since(async () => { for (const name of ['a/1', 'a/b/2', 'a/b/3', 'file']) await put(name) })
    t.strictSame(await since(() => move('a', 'x/y')), ['folder_made x', 'folder_moved a x/y'])
    t.strictSame(await since(() => move('x/y', 'x/y')), [])
    t.strictSame(await since(() => move('x/y', 'file', { overwrites: true })), ['deleted file', 'folder_moved x/y file'])
    t.strictSame(await since(() => folders.remove(ownerId, 'x')), ['folder_deleted x'])
    t.strictSame(await since(() => folders.copy(ownerId, 'file', 'copy/of', unlimited)), ['folder_made copy', 'folder_made copy/of'])
    const deletedWith = hex(16)
    t.strictSame(await since(() => removeTree('file', { deletedWith })), [
      'deleted file/1', 'deleted file/b/2', 'deleted file/b/3', 'folder_deleted file/b', 'folder_deleted file'
    ])
    const all = { quota: unlimited, after: undefined, limit: 9 }
    const restore = () => metadata.trash.restoreDeletion(ownerId, deletedWith, all)
    const restored = await since(restore)
    t.strictSame(restored.filter(words => words.startsWith('folder_made')), ['folder_made file', 'folder_made file/b'])
    t.strictSame(restored.filter(words => words.startsWith('stored')).sort(), ['stored file/1', 'stored file/b/2', 'stored file/b/3'])
    t.strictSame((await since(() => removeTree('file', { isPermanent: true, limit: 1 }))).sort(), [
      'deleted file/1', 'deleted file/b/2', 'deleted file/b/3', 'folder_deleted file', 'folder_deleted file/b'
    ])
    t.strictSame((await trash()).map(({ name }) => name), ['file'])
  })

  t.test('what is restored is stored', async t => {
    const { metadata, ownerId, since, put, remove, trash } = await start(t)
    const { id } = await put('a/b')
    await put('a/b')
    await since(() => remove('a/b'))
    const [entry] = await trash()
    const restore = { quota: unlimited, name: 'c/d' }
    t.strictSame(await since(() => metadata.trash.restore(ownerId, String(entry?.id), restore)), ['folder_made c', 'stored c/d'])
    const [version] = await metadata.versions.list(ownerId, id, { after: undefined, limit: 9 })
    const change = { quota: unlimited, precondition: {} }
    t.strictSame(await since(() => metadata.versions.restore(ownerId, 'c/d', String(version?.id), change)), ['stored c/d'])
    t.strictSame(await since(() => metadata.versions.remove(ownerId, 'c/d', String(entry?.id))), [])
    await since(() => remove('c/d'))
    t.strictSame(await since(() => metadata.trash.empty(ownerId, 9)), [])
  })

  t.test('an upload in several requests is recorded when it becomes a file, and one by a link for the owner', async t => {
    const { metadata, ownerId, since } = await start(t)
    const { folders, links, uploads } = metadata
    const upload = newUpload(ownerId, 'u/v')
    t.strictSame(await since(() => uploads.add(upload, { maxUploads: 9, quota: unlimited })), [])
    const change = changeOf(await uploads.find(ownerId, upload.id) as UploadRecord)
    t.strictSame(await since(() => uploads.save(change, { isAppending: true, quota: unlimited })), [])
    t.strictSame(await since(() => uploads.finish(change, { sha256: hex(32), quota: unlimited })), ['folder_made u', 'stored u/v'])
    await since(() => folders.add(ownerId, 'in', unlimited))
    const { id } = await links.add(newLink(ownerId, 'in', { kind: 'upload' }))
    t.strictSame(await since(() => links.store(id, newFile(ownerId, 'w'), unlimited)), ['stored in/w'])
  })

  t.test('what is refused records nothing', async t => {
    const { metadata, ownerId, since, put, rename, remove, move, removeTree } = await start(t)
    const { files, folders } = metadata
    const limited = { bytes: 25, files: undefined }
    await since(async () => { for (const name of ['a/1', 'b']) await put(name) })
    t.strictSame(await since(() => outcomes([
      put('a'),
      put('b/below'),
      put('a/1/x/y'),
      files.put(newFile(ownerId, 'new/file', { size: 99 }), limited, {}),
      files.put(newFile(ownerId, 'b', { size: 99 }), limited, {}),
      files.put(newFile(ownerId, 'b'), unlimited, { 'if-match': '"other"' }),
      files.add(newFile(ownerId, 'b'), unlimited),
      rename('b', 'a/1'),
      rename('b', 'a'),
      rename('nothing', 'new/name'),
      remove('nothing'),
      folders.add(ownerId, 'b', unlimited),
      folders.remove(ownerId, 'a'),
      move('a', 'b'),
      move('a', 'a/c'),
      move('nothing', 'new/path'),
      removeTree('nothing')
    ])), [])
  })

  t.test('a change has its time and its file as it is now', async t => {
    const { clock, list, put, rename, remove, move } = await start(t)
    const { next } = await list(undefined)
    const [at, file] = [clock.now(), await put('a/b', { modifiedAt: 5 })]
    clock.advance(1000)
    const renamed = await rename('a/b', 'a/c')
    await put('gone')
    await remove('gone')
    await move('a', 'd')
    const { changes } = await list(next)
    const now = { ...renamed, name: 'd/c' }
    t.match(now, { id: file.id, modifiedAt: 5, updatedAt: at + 1000 })
    t.strictSame(changes.map(({ at, file }) => [at, file]), [
      [at, null], [at, now], [at + 1000, now], [at + 1000, null], [at + 1000, null], [at + 1000, null]
    ])
  })

  t.test('pages follow each other, nobody sees the changes of others, and the newest of accounts are known', async t => {
    const { metadata, ownerId, otherId, list, put } = await start(t)
    const { next } = await list(undefined)
    t.strictSame(await metadata.changes.newest([ownerId, otherId]), new Map([[ownerId, 0], [otherId, 0]]))
    for (const name of ['1', '2', '3']) await put(name)
    await metadata.files.put(newFile(otherId, 'other'), unlimited, {})
    await put('4')
    const first = await list(next, 3)
    t.strictSame(first.changes.map(wordsOf), ['stored 1', 'stored 2', 'stored 3'])
    const second = await list(first.next, 3)
    t.strictSame(second.changes.map(wordsOf), ['stored 4'])
    t.match(await list(second.next), { changes: [], reset: undefined, next: { id: second.next.id } })
    const ofOther = await metadata.changes.list(otherId, { after: { ...next, id: 0, at: 0 }, limit: 9 })
    t.strictSame(ofOther.changes.map(wordsOf), ['stored other'])
    t.match(await metadata.changes.list(otherId, { after: second.next, limit: 9 }), { reset: 'restored' }, 'a position of another account')
    const { accounts, changes } = metadata
    const [mine, theirs] = [second.next.id, ofOther.next.id]
    t.strictSame(await changes.newest([otherId, ownerId, 999]), new Map([[otherId, theirs], [ownerId, mine]]))
    await accounts.remove(ownerId, Date.now())
    t.strictSame(await changes.newest([otherId, ownerId]), new Map([[otherId, theirs]]), 'nothing of one that was deleted')
    while (await accounts.purgeDeleted(1));
    t.match(await list({ ...next, id: 0, at: 0, readAt: Date.now() }), { changes: [] })
  })

  t.test('without a position, or with one that has become worthless, the reader begins again, and learns why', async t => {
    const { metadata, clock, list, put } = await start(t)
    const { epochId } = metadata.ids
    t.match(await list(undefined), { changes: [], reset: 'first', next: { epochId, id: 0, at: 0, readAt: clock.now() } })
    await put('a')
    const { next } = await list(undefined)
    t.match(next, { id: Number, at: clock.now(), readAt: clock.now() })
    await put('b')
    const old = clock.now() - CHANGES_MILLISECONDS - 1
    for (const [position, reset, why] of [
      [{ ...next, epochId: 'other' }, 'restored', 'of a store that was replaced'],
      [{ ...next, id: next.id + 2 }, 'restored', 'a change that never was'],
      [{ ...next, id: next.id + 2, at: old }, 'restored', 'the same, however long the account was idle'],
      [{ ...next, id: next.id - 1 }, 'restored', 'a change that is not there'],
      [{ ...next, at: next.at - 1 }, 'restored', 'another change has its id'],
      [{ ...next, at: next.at - 1, readAt: old }, 'restored', 'that counts first'],
      [{ ...next, readAt: old }, 'expired', 'too old']
    ] as const) t.match(await list(position), { changes: [], reset, next: { id: next.id + 1 } }, why)
    t.match(await list(next), { changes: [{ name: 'b' }], reset: undefined })
    clock.advance(CHANGES_MILLISECONDS)
    t.match(await list(next), { changes: [{ name: 'b' }], reset: undefined })
    clock.advance(1)
    t.match(await list(next), { changes: [], reset: 'expired' })
    t.match(await list({ ...next, readAt: clock.now() }), { reset: undefined }, 'read again since')
  })

  t.test('a position after which more changes followed becomes old with its change', async t => {
    const { clock, list, put } = await start(t)
    const { next } = await list(undefined)
    for (const name of ['a', 'b']) await put(name)
    clock.advance(CHANGES_MILLISECONDS)
    const { next: unread } = await list(next, 1)
    const { next: read } = await list(next, 3)
    t.match([await list(unread), await list(read)], [{ changes: [{ name: 'b' }] }, { changes: [], reset: undefined }])
    clock.advance(1)
    t.match([await list(unread), await list(read)], [{ reset: 'expired' }, { reset: undefined }])
  })

  t.test('changes that no position needs are deleted, some at a time', async t => {
    const { metadata: { changes }, clock, ownerId, list, put } = await start(t)
    const { next: first } = await list(undefined)
    t.notOk(await changes.removeExpired(2))
    for (const name of ['1', '2', '3']) await put(name)
    const { next } = await list(undefined)
    clock.advance(CHANGES_MILLISECONDS)
    const all = () => list({ ...first, readAt: clock.now() })
    t.notOk(await changes.removeExpired(2))
    t.equal((await all()).changes.length, 3)
    await put('4')
    clock.advance(HOUR + 1)
    t.ok(await changes.removeExpired(2))
    t.notOk(await changes.removeExpired(2))
    t.strictSame((await all()).changes.map(wordsOf), ['stored 4'])
    t.match(await list({ ...next, readAt: clock.now() }), { reset: undefined, changes: [{ name: '4' }] })
    t.strictSame(await changes.newest([ownerId]), new Map([[ownerId, next.id + 1]]))
  })
}
