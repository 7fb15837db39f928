import type { Test } from 'tap'
import { type LinkedFolder, type LinkedPage, type LinkRecord, MAX_LINK_NETWORKS, MAX_LINKS, type NewLink } from '#src/metadata/link-records.ts'
import type { FileRecord, FolderRecord } from '#src/metadata/records.ts'
import { HOUR } from './kit/durations.ts'
import { hex, newFile, newLink, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { suite as uploadsSuite } from './link-uploads.contract.ts'
import { openStory } from './uploads.contract.ts'

const upload = { kind: 'upload', maxFiles: 9, maxBytes: 99 } as const

/** The contract in src/metadata/links.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { ownerId, metadata: { accounts, folders, links } } = story
    return {
      ...story,
      addFolder: async (path: string) => (await folders.add(ownerId, path, unlimited)).folder,
      add: (name: string, fields: Partial<NewLink> = {}) => links.add(newLink(ownerId, name, fields)),
      open: ({ secretHash }: Pick<LinkRecord, 'secretHash'>) => links.findBySecret(secretHash),
      list: (page: Partial<Parameters<typeof links.list>[1]> = {}) =>
        links.list(ownerId, { beforeId: undefined, limit: 100, ...page }),
      disable: (at: number | null) => accounts.setDisabled(ownerId, at)
    }
  }

  t.test('a link is as it was made, found by its owner and by its secret, also after a restart', async t => {
    const { metadata, clock, ownerId, otherId, put, addFolder, add, reopen } = await start(t)
    const { links, accounts, folders } = metadata
    const file = await put('a/b.txt')
    await addFolder('c/d')
    const folder = await folders.find(ownerId, 'c/d') as FolderRecord
    const wanted = newLink(ownerId, 'c/d', {
      ...upload, expiresAt: clock.now() + HOUR, passwordHash: 'hash', showsOwner: false
    })
    const made = await links.add(wanted)
    const unused = { usedFiles: 0, usedBytes: 0, uses: 0, lastUsedAt: null }
    t.strictSame(made, { ...wanted, ...unused, id: made.id, fileId: null, folderId: folder.id, createdAt: clock.now() })
    const ofFile = await add('a/b.txt')
    t.match(ofFile, { name: 'a/b.txt', kind: 'download', fileId: file.id, folderId: null, maxFiles: null, expiresAt: null, showsOwner: true })
    const account = await accounts.find(ownerId)
    for (const reopened of [false, true]) {
      const each = reopened ? (await reopen()).links : links
      t.strictSame(await each.find(ownerId, made.id), made)
      t.equal(await each.find(otherId, made.id), undefined)
      t.equal(await each.find(ownerId, 999), undefined)
      const now = clock.now()
      t.strictSame(await each.findBySecret(wanted.secretHash), { link: made, account, file: undefined, folder, now })
      t.strictSame(await each.findBySecret(ofFile.secretHash), { link: ofFile, account, file, folder: undefined, now })
      t.equal(await each.findBySecret(hex(32)), undefined)
    }
  })

  t.test('a link needs a file or a folder of its account, and one for uploads a folder', async t => {
    const { metadata: { links, accounts }, ownerId, otherId, put, add } = await start(t)
    await put('a/b')
    await put('0')
    t.strictSame(await outcomes([add('missing'), add(''), add('a/c'), links.add(newLink(otherId, 'a/b'))]), { not_found: 4 })
    t.strictSame(await outcomes([add('a/b', upload)]), { validation_failed: 1 })
    t.match(await add('a', upload), { kind: 'upload', maxFiles: 9, maxBytes: 99 })
    await accounts.remove(ownerId, 1)
    t.strictSame(await outcomes([add('a/b')]), { not_found: 1 })
  })

  t.test('a link of a file follows it when that is renamed, moved, replaced or restored to a version', async t => {
    const { metadata, ownerId, put, add, open, rename, move, list } = await start(t)
    const first = await put('a')
    const link = await add('a')
    const follows = async (name: string, { blobId }: Pick<FileRecord, 'blobId'>) => {
      const file = { id: first.id, name, blobId }
      t.match(await open(link), { link: { id: link.id, name }, file, folder: undefined })
      t.match(await list({ name }), [{ id: link.id, name }])
    }
    await rename('a', 'b')
    await follows('b', first)
    await rename('b', 'in/b')
    await move('in', 'out')
    await follows('out/b', first)
    const next = await put('out/b')
    await follows('out/b', next)
    await metadata.versions.restore(ownerId, 'out/b', first.blobId, { quota: unlimited, precondition: {} })
    await follows('out/b', first)
    t.strictSame(await list({ name: 'a' }), [])
    const other = await put('other')
    const ended = await add('other')
    await rename('other', 'out/b', { overwrites: true })
    await follows('out/b', other)
    t.equal(await open(ended), undefined, 'the link of a file that becomes the content of another one ends')
  })

  t.test('a link ends with the deletion of its file or folder, alone or with all around it', async t => {
    const { metadata, ownerId, put, addFolder, add, open, remove, removeTree, list } = await start(t)
    const { folders, links } = metadata
    for (const name of ['a', 'in/a', 'in/b/c', 'in/d']) await put(name)
    await addFolder('empty')
    const all = []
    for (const name of ['a', 'empty', 'in', 'in/a', 'in/b', 'in/b/c', 'in/d', 'a']) all.push(await add(name))
    await remove('a')
    await folders.remove(ownerId, 'empty')
    const [ofFile, ofEmpty, ...below] = all as [LinkRecord, LinkRecord, ...LinkRecord[]]
    for (const link of [ofFile, ofEmpty]) t.equal(await open(link), undefined)
    t.equal((await list()).length, 5)
    await removeTree('in', { limit: 2 })
    for (const link of below) t.equal(await open(link), undefined)
    t.strictSame(await list(), [])
    t.strictSame(await outcomes(all.map(({ id }) => links.remove(ownerId, id))), { not_found: 8 })
  })

  t.test('a restored file, or another one of its name, does not revive a link', async t => {
    const { metadata, ownerId, put, add, open, remove, removeTree, trash, list } = await start(t)
    const file = await put('a')
    await put('in/b')
    const links = [await add('a'), await add('in/b'), await add('in')]
    await remove('a')
    await removeTree('in', { deletedWith: 'deletion', limit: 2 })
    const [entry] = (await trash()).filter(({ name }) => name === 'a')
    const restored = await metadata.trash.restore(ownerId, entry?.id ?? '', { name: undefined, quota: unlimited })
    t.equal(restored.id, file.id, 'although it has the same id')
    await metadata.trash.restoreDeletion(ownerId, 'deletion', { quota: unlimited, after: undefined, limit: 9 })
    for (const link of links) t.equal(await open(link), undefined)
    t.strictSame(await list(), [])
    await remove('a', true)
    await put('a')
    t.equal(await open(links[0] as LinkRecord), undefined)
  })

  t.test('a link rests while its account is disabled, and ends with it', async t => {
    const { metadata: { accounts, links }, ownerId, put, add, open, list, disable, clock } = await start(t)
    await put('a')
    const link = await add('a')
    await disable(clock.now())
    t.equal(await open(link), undefined)
    t.strictSame(await list(), [link], 'its owner still has it')
    await disable(null)
    t.match(await open(link), { link })
    await accounts.remove(ownerId, clock.now())
    t.equal(await open(link), undefined)
    while (await accounts.purgeDeleted(10));
    t.equal(await links.find(ownerId, link.id), undefined)
  })

  t.test('links are listed newest first, page by page, and end, one, all of a file or folder, or all of an account', async t => {
    const { metadata: { files, links }, ownerId, otherId, put, add, open, list } = await start(t)
    for (const name of ['a', 'in/b']) await put(name)
    await files.put(newFile(otherId, 'a'), unlimited, {})
    const theirs = await links.add(newLink(otherId, 'a'))
    const names = ['a', 'in', 'in/b', 'a', 'in', 'in/b', 'a']
    const all: LinkRecord[] = []
    for (const name of names) all.unshift(await add(name))
    for (const limit of [1, 2, 3, 7, 100]) {
      for (const name of [undefined, 'a', 'in', 'in/b', 'none']) {
        const seen: LinkRecord[] = []
        for (let beforeId: number | undefined; ;) {
          const page = await list({ name, beforeId, limit })
          if (page.length === 0) break
          seen.push(...page)
          beforeId = page.at(-1)?.id
        }
        t.strictSame(seen, all.filter(link => name === undefined || link.name === name), `${name} by ${limit}`)
      }
    }

    const first = all.at(-1) as LinkRecord
    t.strictSame(await outcomes([links.remove(otherId, first.id), links.remove(ownerId, 999)]), { not_found: 2 })
    await links.remove(ownerId, first.id)
    t.equal(await open(first), undefined)
    t.strictSame(await outcomes([links.remove(ownerId, first.id)]), { not_found: 1 })
    t.equal(await links.removeAll(ownerId, 'none'), 0)
    t.equal(await links.removeAll(ownerId, 'a'), 2)
    t.strictSame((await list()).map(({ name }) => name), ['in/b', 'in', 'in/b', 'in'])
    t.equal(await links.removeAll(ownerId), 4)
    t.equal(await links.removeAll(ownerId), 0)
    t.strictSame(await list(), [])
    t.match(await open(theirs), { link: theirs })
  })

  t.test(`an account has ${MAX_LINKS} links at most, however many are made at once`, async t => {
    const { metadata: { files, links }, ownerId, otherId, put, add, list } = await start(t)
    await put('a')
    await files.put(newFile(otherId, 'a'), unlimited, {})
    for (let made = 0; made < MAX_LINKS - 2; made += 2) await Promise.all([add('a', { expiresAt: 1 }), add('a')])
    t.strictSame(await outcomes(Array.from({ length: 8 }, () => add('a'))), { ok: 2, too_many_links: 6 })
    t.strictSame(await outcomes([links.add(newLink(otherId, 'a'))]), { ok: 1 })
    await links.remove(ownerId, (await list())[0]?.id ?? 0)
    t.strictSame(await outcomes([add('a'), add('a')]), { ok: 1, too_many_links: 1 })
    t.equal(await links.removeAll(ownerId), MAX_LINKS)
    await add('a')
  })

  t.test('the terms and the secret of a link change, and nothing else; uses are added up, and not to a link that has ended', async t => {
    const { metadata: { links }, clock, ownerId, otherId, addFolder, add, open } = await start(t)
    await addFolder('in')
    let link = await add('in', upload)
    const other = await add('in', upload)
    const terms = [
      { expiresAt: clock.now() + 5 }, { passwordHash: 'hash' }, { maxFiles: 3, maxBytes: 5 }, { showsOwner: false },
      { passwordHash: null, maxFiles: undefined }, { secretHash: hex(32) }, {}
    ]
    for (const changes of terms) {
      const defined = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
      const expected = { ...link, ...defined }
      t.strictSame(await links.change(ownerId, link.id, changes as object), expected, JSON.stringify(changes))
      if (changes.secretHash !== undefined) t.equal(await open(link), undefined, 'the old secret finds nothing')
      link = expected
      t.strictSame((await open(link))?.link, link)
    }
    const others = [links.change(otherId, link.id, { maxFiles: 1 }), links.change(ownerId, 999, { maxFiles: 1 })]
    t.strictSame(await outcomes(others), { not_found: 2 })
    t.strictSame(await links.find(ownerId, other.id), other)
    await links.recordUses(link.id, { count: 3, at: 5000 })
    await Promise.all([1, 2, 3].map(count => links.recordUses(link.id, { count, at: 6000 })))
    t.match(await open(link), { link: { uses: 9, lastUsedAt: 6000 } })
    t.match(await links.find(ownerId, other.id), { uses: 0, lastUsedAt: null })
    await links.remove(ownerId, link.id)
    await links.recordUses(link.id, { count: 1, at: 7000 })
    t.equal(await links.find(ownerId, link.id), undefined)
  })

  t.test(`the latest ${MAX_LINK_NETWORKS} networks that unlocked a link are known, until it has another password`, async t => {
    const { metadata: { links }, ownerId, put, add } = await start(t)
    await put('a')
    const [link, other] = [await add('a', { passwordHash: 'hash' }), await add('a', { passwordHash: 'hash' })]
    const known = async (...networks: string[]) =>
      Promise.all(networks.map(network => links.isKnownNetwork(link.id, network)))
    for (let at = 0; at <= MAX_LINK_NETWORKS; at++) await links.addKnownNetwork(link, `network ${at}`, at)
    await links.addKnownNetwork(link, 'network 1', 999)
    await links.addKnownNetwork(other, 'other', 1)
    await links.addKnownNetwork({ ...link, passwordHash: 'former' }, 'late', 999)
    await links.addKnownNetwork({ ...link, id: 999 }, 'network', 999)
    t.strictSame(await known('network 0', 'network 1', 'network 100', 'other', 'late'), [false, true, true, false, false])
    await links.change(ownerId, link.id, { showsOwner: false })
    t.strictSame(await known('network 1'), [true])
    await links.change(ownerId, link.id, { passwordHash: 'hash' })
    t.strictSame(await known('network 1'), [false])
    t.ok(await links.isKnownNetwork(other.id, 'other'))
  })

  t.test('what lies below a linked folder is found from its id, and nothing beside it', async t => {
    const { metadata: { files, links }, ownerId, otherId, put, addFolder, add, move } = await start(t)
    for (const name of ['a/1', 'a/2', 'a/b/3', 'a/b/c/4', 'ab/1', 'a b/5', 'b/3']) await put(name)
    await addFolder('a/empty')
    const { folderId } = await add('a') as { folderId: number }
    // Names that begin with the id, as a key for both would.
    await put(`${folderId}/1`)
    await put(`${folderId}/other`)
    const at: LinkedFolder = { ownerId, folderId }
    const page = (folder: string, fields: Partial<LinkedPage> = {}) =>
      ({ folder, after: undefined, limit: 9, ...fields })
    const filesIn = async (folder: string, fields: Partial<LinkedPage> = {}) =>
      (await links.listFiles(at, page(folder, fields))).map(({ name }: FileRecord) => name)
    const foldersIn = async (folder: string, fields: Partial<LinkedPage> = {}) =>
      (await links.listFolders(at, page(folder, fields))).map(({ path }: FolderRecord) => path)
    const found = async (name: string) => (await links.findFile(at, name))?.name

    for (const [path, next] of [['a', 'moved'], ['moved', 'x/y'], ['x/y', 'a'], ['a', 'end']] as const) {
      t.strictSame(await filesIn(''), [`${path}/1`, `${path}/2`])
      t.strictSame(await filesIn('', { limit: 1 }), [`${path}/1`])
      t.strictSame(await filesIn('', { after: '1' }), [`${path}/2`])
      t.strictSame(await filesIn('', { after: '2' }), [])
      t.strictSame(await foldersIn(''), [`${path}/b`, `${path}/empty`])
      t.strictSame(await foldersIn('', { after: 'b', limit: 1 }), [`${path}/empty`])
      t.strictSame(await foldersIn('', { after: 'empty' }), [])
      t.strictSame([await filesIn('b'), await foldersIn('b')], [[`${path}/b/3`], [`${path}/b/c`]])
      t.strictSame([await filesIn('b/c'), await foldersIn('b/c')], [[`${path}/b/c/4`], []])
      t.strictSame([await filesIn('empty'), await foldersIn('empty')], [[], []])
      for (const name of ['1', 'b/3', 'b/c/4']) t.equal(await found(name), `${path}/${name}`)
      for (const name of ['3', 'b', 'b/1', 'c/4', 'other', 'ab/1', '5', '']) t.equal(await found(name), undefined, name)
      for (const folder of ['c', 'B', '1', 'b/d', '/b', 'b/']) {
        t.strictSame(await outcomes([filesIn(folder), foldersIn(folder)]), { not_found: 2 }, folder)
      }
      t.equal((await files.find(ownerId, `${folderId}/1`))?.name, `${folderId}/1`)
      t.equal((await files.find(ownerId, `${folderId}/other`))?.name, `${folderId}/other`)
      await move(path, next)
    }
    t.equal(await links.findFile({ ownerId: otherId, folderId }, '1'), undefined)
    const [gone, theirs] = [{ ownerId, folderId: 999 }, { ownerId: otherId, folderId }]
    t.strictSame(await outcomes([links.listFiles(gone, page('')), links.listFolders(theirs, page('b'))]), { not_found: 2 })
  })

  uploadsSuite(t, open)
}
