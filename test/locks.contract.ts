import type { Test } from 'tap'
import type { Conditions, StateCondition } from '#src/metadata/conditions.ts'
import { MAX_LOCKS, MAX_LOCKS_PER_PATH, type NewLock } from '#src/metadata/lock-records.ts'
import { MAX_PROPERTIES } from '#src/metadata/property-records.ts'
import type { UploadRecord } from '#src/metadata/upload-records.ts'
import { hex, newFile, outcomes, removeFolder, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { changeOf, newUpload, openStory } from './uploads.contract.ts'

/** Conditions that submit tokens. */
const withTokens = (...tokens: string[]): Conditions => ({ tokens })

/** Conditions of one list about a path. */
const when = (path: string | undefined, ...conditions: StateCondition[]): Conditions =>
  ({ lists: [{ path, conditions }] })

const has = (state: { tag: string } | { token: string }): StateCondition => ({ isNegated: false, ...state })
const hasNot = (state: { tag: string } | { token: string }): StateCondition => ({ isNegated: true, ...state })

/** The contract in src/metadata/locks.ts, conditions.ts and properties.ts, and copies of files. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata, ownerId } = story
    const { files, folders, locks } = metadata
    const lock = (path: string, fields: Partial<NewLock> = {}, conditions: Conditions = {}) => locks.add(ownerId, {
      token: `urn:uuid:${hex(16)}`, path, isDeep: false, isExclusive: true, owner: null, seconds: 3600, ...fields
    }, conditions)
    return {
      ...story,
      lock,
      copy: async (name: string, newName: string, destination = {}) => {
        const source = await files.find(ownerId, name)
        return files.copy({ name, blobId: source?.blobId ?? '' }, newFile(ownerId, newName, { sha256: source?.sha256 ?? '' }), unlimited, destination)
      },
      add: (path: string, destination = {}) => folders.add(ownerId, path, unlimited, destination),
      remove: (name: string, precondition: Conditions = {}) =>
        files.remove(ownerId, name, { precondition, isPermanent: false }),
      removeFolder: (path: string, conditions: Conditions = {}) =>
        removeFolder(metadata, ownerId, path, { limit: 10, isPermanent: false, deletedWith: hex(16), conditions }),
      set: (path: string, name: string, xml: string | null, conditions: Conditions = {}) =>
        metadata.properties.change(ownerId, path, { properties: [{ namespace: 'x:', name, xml }] }, conditions),
      find: (name: string) => files.find(ownerId, name),
      /** Those of the paths in these tests that are locked. */
      paths: async () => (await locks.listFor({ id: ownerId, lockedUntil: Infinity }, ['a', 'b', 'c', 'f/a', 'f/g', 'ff', 'h/a'])).map(({ path }) => path).sort()
    }
  }

  const locked = (...roots: string[]) => ({ code: 'file_locked', options: { members: { locked: roots } } })

  t.test('a lock is found by its owner until it expires, swept or not', async t => {
    const { metadata: { locks }, clock, ownerId, otherId, lock, put } = await start(t)
    await put('a')
    const added = await lock('a', { owner: '<b/>', seconds: 60, isDeep: true, isExclusive: false })
    t.match(added, { path: 'a', isDeep: true, isExclusive: false, owner: '<b/>', seconds: 60, expiresAt: clock.now() + 60_000 })
    t.strictSame(await locks.listFor({ id: ownerId, lockedUntil: Infinity }, ['a']), [added])
    t.strictSame(await locks.listFor({ id: otherId, lockedUntil: Infinity }, ['a']), [])
    t.strictSame(await locks.listFor({ id: ownerId, lockedUntil: 0 }, ['a']), [], 'the account has no locks')
    t.equal(await locks.removeExpired(1), false)
    clock.set(clock.now() + 59_999)
    t.strictSame(await locks.listFor({ id: ownerId, lockedUntil: Infinity }, ['a']), [added])
    clock.set(clock.now() + 1)
    t.strictSame(await locks.listFor({ id: ownerId, lockedUntil: Infinity }, ['a']), [])
    t.equal(await locks.removeExpired(1), true)
    t.equal(await locks.removeExpired(1), false)
    await put('a')
  })

  t.test('what does not exist can\'t be locked; a free name gets an empty file and its lock in one act', async t => {
    const { metadata: { files }, ownerId, lock, paths, put } = await start(t)
    await t.rejects(lock('a'), { code: 'not_found' })
    const file = newFile(ownerId, 'a', { size: 0 })
    const wanted = { token: 'urn:uuid:1', path: 'a', isDeep: false, isExclusive: true, owner: null, seconds: 60 }
    t.match(await files.put(file, unlimited, {}, wanted), { isNew: true })
    t.strictSame(await paths(), ['a'])
    await put('b')
    await t.rejects(files.put(newFile(ownerId, 'b'), unlimited, {}, { ...wanted, token: 'urn:uuid:2', path: 'b' }), { code: 'name_taken' })
    await t.rejects(files.put(newFile(ownerId, 'x/y'), unlimited, { needsParent: true }, { ...wanted, token: 'urn:uuid:3', path: 'x/y' }), { code: 'parent_missing' })
    t.strictSame(await paths(), ['a'])
  })

  t.test('an exclusive lock excludes all, shared ones only exclusive ones, also above and below', async t => {
    const { lock, put, add, paths } = await start(t)
    await add('f')
    await put('f/a')
    const shared = { isExclusive: false }
    await lock('f/a', shared)
    await lock('f/a', shared)
    await t.rejects(lock('f/a'), locked('f/a'))
    await t.rejects(lock('f', { isDeep: true }), locked('f/a'))
    await lock('f', { isDeep: true, ...shared })
    await lock('f', shared)
    t.strictSame(await paths(), ['f', 'f', 'f/a', 'f/a'])
    await put('b')
    await lock('b')
    await t.rejects(lock('b', shared), locked('b'))
    await add('g')
    await put('g/a')
    await lock('g')
    await lock('g/a')
    await add('h/i')
    await put('h/i/a')
    await lock('h', { isDeep: true })
    await t.rejects(lock('h/i/a', shared), locked('h'))
  })

  t.test('a file or folder has a limited number of locks, with those above and below, and so has an account', async t => {
    const { lock, put, clock } = await start(t)
    const share = (path: string, count: number, isDeep = false) =>
      Promise.all(Array.from({ length: count }, () => lock(path, { isExclusive: false, isDeep, seconds: 60 })))
    await put('f/a')
    await put('b')
    await share('f', 60, true)
    await share('f/a', MAX_LOCKS_PER_PATH - 60)
    await share('f', 1)
    for (const [path, isDeep] of [['f/a', false], ['f', true]] as const) await t.rejects(share(path, 1, isDeep), { code: 'too_many_locks' })
    for (let locks = 101; locks < MAX_LOCKS; locks += 99) {
      await put(`${locks}`)
      await share(`${locks}`, Math.min(99, MAX_LOCKS - locks))
    }
    await t.rejects(lock('b'), { code: 'too_many_locks', options: { headers: { 'retry-after': '60' } } })
    clock.set(clock.now() + 60_000)
    await lock('b')
  })

  t.test('a locked file is changed with the token alone', async t => {
    const { metadata, ownerId, lock, put, remove, rename, copy, set, paths } = await start(t)
    const { files, uploads } = metadata
    await put('a')
    const stored = await put('a')
    const [version] = await metadata.versions.list(ownerId, stored.id, { after: undefined, limit: 1 })
    const { token } = await lock('a')
    await put('b')
    const upload = newUpload(ownerId, 'a', { method: 'PUT' })
    const changes: [string, (conditions: Conditions) => Promise<unknown>][] = [
      ['a put', conditions => put('a', {}, conditions)],
      ['an upload', () => uploads.add(upload, { maxUploads: 10, quota: unlimited })],
      ['a version', () => metadata.versions.restore(ownerId, 'a', version?.id ?? '', { quota: unlimited, precondition: {} })],
      ['a property', conditions => set('a', 'p', '<p/>', conditions)],
      ['a copy onto it', conditions => copy('b', 'a', { ...conditions, overwrites: true })],
      ['a move onto it', conditions => rename('b', 'a', { ...conditions, overwrites: true })],
      ['a move', conditions => rename('a', 'c', conditions)],
      ['a deletion', conditions => remove('a', conditions)]
    ]
    for (const [name, change] of changes) await t.rejects(change({}), locked('a'), name)
    for (const [name, change] of changes) await t.rejects(change(withTokens('urn:uuid:other')), locked('a'), name)
    await t.rejects(files.findPlace(ownerId, 'a', { conditions: {}, lockedUntil: 1 }), locked('a'))
    t.match(await files.findPlace(ownerId, 'a', { conditions: withTokens(token), lockedUntil: 1 }), { file: { name: 'a' } })
    t.match(await files.findPlace(ownerId, 'a', { conditions: {}, lockedUntil: 0 }), { file: { name: 'a' } }, 'the account has no locks')
    await t.rejects(files.add(newFile(ownerId, 'a'), unlimited), { code: 'name_taken' })
    await copy('a', 'free')
    await put('a', {}, withTokens('urn:uuid:other', token))
    await set('a', 'p', '<p/>', withTokens(token))
    t.strictSame(await paths(), ['a'], 'it lives on')
    await rename('a', 'c', withTokens(token))
    t.strictSame(await paths(), [], 'it does not move')
    await put('c')
  })

  t.test('a locked folder protects its members, and with depth infinity all below; of shared locks one token is enough', async t => {
    const { metadata, ownerId, lock, put, remove, rename, add, move, removeFolder, trash, set } = await start(t)
    const { files, folders } = metadata
    for (const name of ['f/old', 'f/g/old', 'other', 'f/trashed']) await put(name)
    await remove('f/trashed')
    const [entry] = await trash()
    const restore = () => metadata.trash.restore(ownerId, entry?.id ?? '', { quota: unlimited, name: undefined })
    const { token } = await lock('f')
    const changes: ((conditions: Conditions) => Promise<unknown>)[] = [
      conditions => put('f/new', {}, conditions),
      conditions => put('f/x/new', {}, conditions),
      conditions => add('f/x/y', conditions),
      conditions => rename('other', 'f/other', conditions),
      conditions => rename('f/old', 'moved', conditions),
      conditions => move('f/g', 'moved', conditions),
      conditions => remove('f/old', conditions),
      conditions => removeFolder('f/g', conditions),
      conditions => removeFolder('f', conditions),
      conditions => move('f', 'moved', conditions),
      conditions => set('f', 'p', '<p/>', conditions),
      () => folders.remove(ownerId, 'f/g'),
      () => files.add(newFile(ownerId, 'f/new'), unlimited),
      restore
    ]
    for (const [index, change] of changes.entries()) await t.rejects(change({}), locked('f'), String(index))
    await put('f/old', { size: 7 })
    await put('f/g/new')
    await set('f/old', 'p', '<p/>')
    await put('f/new', {}, withTokens(token))
    await removeFolder('f/g', withTokens(token))
    await add('d/e')
    await put('d/e/a')
    const { token: deep } = await lock('d', { isDeep: true })
    await t.rejects(put('d/e/a'), locked('d'))
    await t.rejects(put('d/e/x/b'), locked('d'))
    await put('d/e/x/b', {}, withTokens(deep))
    await put('dd')
    await put('s/a')
    const [{ token: one }] = [await lock('s/a', { isExclusive: false }), await lock('s', { isExclusive: false, isDeep: true })]
    await t.rejects(put('s/a'), locked('s', 's/a'))
    await put('s/a', {}, withTokens(one))
    await t.rejects(put('s/b', {}, withTokens(one)), locked('s'))
  })

  t.test('a folder goes only with the tokens of all locks below, which end with it', async t => {
    const { lock, put, move, removeFolder, paths, metadata, ownerId } = await start(t)
    for (const name of ['f/a', 'f/g/b', 'f/c', 'ff']) await put(name)
    const tokens = [(await lock('f/a')).token, (await lock('f/g', { isDeep: true })).token]
    await lock('ff')
    for (const conditions of [{}, withTokens(tokens[0] ?? ''), withTokens(tokens[1] ?? '')]) {
      t.strictSame(await outcomes([move('f', 'h', conditions), removeFolder('f', conditions)]), { file_locked: 2 })
    }
    t.strictSame(await removeFolder('f').catch(error => error.options.members.locked.sort()), ['f/a', 'f/g'])
    t.strictSame((await metadata.files.list(ownerId, { folder: 'f', order: 'name', prefix: undefined, limit: 9, after: undefined })).length, 2, 'nothing has changed')
    await move('f', 'h', withTokens(...tokens))
    t.strictSame(await paths(), ['ff'])
    const again = (await lock('h/a')).token
    await removeFolder('h', withTokens(again))
    t.strictSame(await paths(), ['ff'])
  })

  t.test('a lock stops a recursive deletion that has begun; its conditions are judged once', async t => {
    const { metadata: { folders }, ownerId, lock, put, remove } = await start(t)
    for (const name of ['f/a', 'f/b', 'f/c']) await put(name)
    const removal = { limit: 2, isPermanent: false, deletedWith: hex(16) }
    const tagged = when('f/a', has({ tag: `"${(await put('f/a')).sha256}"` }))
    const from = await folders.removeSome(ownerId, 'f', { ...removal, conditions: tagged })
    const next = await folders.removeSome(ownerId, 'f', { ...removal, from, conditions: tagged })
    await put('f/d')
    const { token } = await lock('f/d')
    await t.rejects(folders.removeSome(ownerId, 'f', { ...removal, from: next }), locked('f/d'))
    await remove('f/d', withTokens(token))
    t.equal(await folders.removeSome(ownerId, 'f', { ...removal, from: next }), undefined)
  })

  t.test('a folder that is to be replaced is not deleted if what replaces it is locked, or fails the precondition', async t => {
    const { metadata: { folders }, ownerId, lock, put, find } = await start(t)
    for (const name of ['f/a', 'source']) await put(name)
    const { token } = await lock('source')
    const remove = (conditions: Conditions, isMoved: boolean) => folders.removeSome(ownerId, 'f', {
      limit: 10, isPermanent: false, deletedWith: hex(16), conditions, replacedBy: { path: 'source', copy: isMoved ? undefined : { isDeep: true, quota: unlimited } }
    })
    await t.rejects(remove({}, true), locked('source'))
    for (const isMoved of [true, false]) {
      await t.rejects(remove({ 'if-match': '"x"', tokens: [token] }, isMoved), { code: 'precondition_failed' })
    }
    await t.rejects(folders.removeSome(ownerId, 'f', {
      limit: 10, isPermanent: false, deletedWith: hex(16), replacedBy: { path: 'moved', copy: undefined }
    }), { code: 'not_found' }, 'it may just have come here')
    t.match(await find('f/a'), { name: 'f/a' })
    await remove({}, false)
    t.equal(await find('f/a'), undefined)
    await put('f/a')
    await remove({ tokens: [token] }, true)
    t.equal(await find('f/a'), undefined)
  })

  t.test('`If` is evaluated whole: lists are alternatives, the conditions of a list go together', async t => {
    const { lock, put, add, remove, rename, move } = await start(t)
    const { sha256 } = await put('a')
    await add('f')
    const { token } = await lock('a')
    const [tag, other] = [{ tag: `"${sha256}"` }, { tag: `"${hex(32)}"` }]
    const [own, foreign] = [{ token }, { token: 'urn:uuid:other' }]
    const holding: Conditions[] = [
      when('a', has(tag)), when('a', has(own)), when('a', has(tag), has(own), hasNot(other), hasNot(foreign)),
      when('b', hasNot(tag), hasNot(own)), when(undefined, hasNot(tag), hasNot(own)), when('', hasNot(tag)), when('f', hasNot(tag)),
      { lists: [{ path: 'a', conditions: [has(other)] }, { path: 'a', conditions: [has(tag)] }] }
    ]
    const failing: Conditions[] = [
      { lists: [] }, when('a', has(other)), when('a', has(foreign)), when('a', has(tag), has(other)), when('a', hasNot(tag)), when('a', hasNot(own)),
      when('b', has(tag)), when('b', has(own)), when(undefined, has(tag)), when(undefined, has(own)), when('', has(tag)), when('f', has(tag)),
      when('a', has({ tag: `W/"${sha256}"` }))
    ]
    for (const conditions of [...holding, ...failing]) {
      const isHolding = holding.includes(conditions)
      const all = { ...conditions, tokens: [token] }
      const changes = [() => put('new', {}, all), () => add('made', all), () => rename('nothing', 'x', all), () => move('nothing', 'x', all), () => remove('nothing', all)]
      const [stored, made, ...missing] = await Promise.all(changes.map(change => outcomes([change()])))
      const expected = isHolding ? { ok: 1 } : { precondition_failed: 1 }
      t.strictSame([stored, made], [expected, expected], JSON.stringify(conditions))
      for (const outcome of missing) t.strictSame(outcome, { not_found: 1 }, 'what does not exist comes first')
      if (isHolding) {
        await remove('new')
        await move('made', `gone-${hex(4)}`)
      }
    }
  })

  t.test('the order: what is needed exists, `If`, the precondition, then the locks', async t => {
    const { lock, put, rename, copy, move, add, metadata: { locks }, ownerId } = await start(t)
    const { sha256 } = await put('a')
    await lock('a')
    const fails = when('a', hasNot({ tag: `"${sha256}"` }))
    const wrongTag = { 'if-match': '"x"' }
    await t.rejects(put('x/y', {}, { needsParent: true, ...fails }), { code: 'parent_missing' })
    await t.rejects(rename('a', 'x/y', { needsParent: true, ...fails }), { code: 'parent_missing' })
    await t.rejects(copy('a', 'x/y', { needsParent: true }), { code: 'parent_missing' })
    await t.rejects(add('x/y', { needsParent: true }), { code: 'parent_missing' })
    await add('f')
    await t.rejects(move('f', 'x/y', { needsParent: true }), { code: 'parent_missing' })
    await t.rejects(put('a', {}, { ...fails }), { code: 'precondition_failed' })
    await t.rejects(put('a', {}, wrongTag), { code: 'precondition_failed' })
    await t.rejects(rename('a', 'b', wrongTag), { code: 'precondition_failed' })
    await t.rejects(copy('a', 'b', wrongTag), { code: 'precondition_failed' })
    await t.rejects(put('a', {}, { 'if-match': `"${sha256}"` }), locked('a'))
    await t.rejects(locks.add(ownerId, { token: 'urn:uuid:1', path: 'a', isDeep: false, isExclusive: true, owner: null, seconds: 1 }, fails), { code: 'precondition_failed' })
  })

  t.test('a lock is refreshed by its token, ends by it, and its owner breaks it without', async t => {
    const { metadata: { locks, accounts }, clock, ownerId, otherId, lock, add, put, paths } = await start(t)
    await add('f')
    await put('f/a')
    const { token } = await lock('f', { isDeep: true, seconds: 60 })
    clock.set(clock.now() + 30_000)
    for (const conditions of [{}, withTokens('urn:uuid:other'), { ...when('f', hasNot({ token })), tokens: [token] }]) {
      await t.rejects(locks.refresh(ownerId, 'f', 60, conditions), { code: 'precondition_failed' })
    }
    await t.rejects(locks.refresh(ownerId, 'g', 60, withTokens(token)), { code: 'precondition_failed' })
    t.match(await locks.refresh(ownerId, 'f/a', 90, withTokens(token)), { token, path: 'f', seconds: 90, expiresAt: clock.now() + 90_000 })
    t.match(await locks.listFor({ id: ownerId, lockedUntil: Infinity }, ['f/a']), [{ seconds: 90, expiresAt: clock.now() + 90_000 }])
    t.equal((await accounts.find(ownerId))?.lockedUntil, clock.now() + 90_000)
    for (const [path, given] of [['f', 'urn:uuid:other'], ['g', token]] as const) {
      await t.rejects(locks.remove(ownerId, path, given), { code: 'lock_token_mismatch' })
    }
    await t.rejects(locks.remove(otherId, 'f', token), { code: 'lock_token_mismatch' })
    await t.rejects(locks.remove(ownerId, 'f', token, when('f', hasNot({ token }))), { code: 'precondition_failed' })
    await locks.remove(ownerId, 'f/a', token)
    t.strictSame(await paths(), [])
    t.equal((await accounts.find(ownerId))?.lockedUntil, 0)
    await lock('f', { isExclusive: false })
    await lock('f', { isExclusive: false })
    await t.rejects(locks.break(ownerId, 'f/a'), { code: 'not_found' })
    await t.rejects(locks.break(otherId, 'f'), { code: 'not_found' })
    await locks.break(ownerId, 'f')
    await t.rejects(locks.break(ownerId, 'f'), { code: 'not_found' })
  })

  t.test('what is locked of a recursive deletion stays in the trash; an upload under a lock stays', async t => {
    const { metadata, metadata: { uploads }, ownerId, lock, put, removeFolder, trash, add } = await start(t)
    for (const name of ['f/a', 'f/g/b']) await put(name)
    await removeFolder('f')
    await add('f/g')
    const { token } = await lock('f/g')
    const deletedWith = String((await trash())[0]?.deletedWith)
    const all = { quota: unlimited, after: undefined, limit: 10 }
    t.match(await metadata.trash.restoreDeletion(ownerId, deletedWith, all), { restored: { length: 3 }, kept: [{ name: 'f/g/b', code: 'file_locked' }] })
    const begin = (name: string, method: 'POST' | 'PUT') =>
      uploads.add(newUpload(ownerId, name, { method }), { maxUploads: 10, quota: unlimited })
    const [posting, putting] = [await begin('up', 'POST'), await begin('other', 'PUT')]
    const finish = (upload: UploadRecord) => uploads.finish(changeOf(upload), { sha256: hex(32), quota: unlimited })
    await put('up')
    await put('other')
    const { token: later } = await lock('up')
    const { token: last } = await lock('other')
    t.equal(await finish(posting), undefined, 'another file has the name')
    await t.rejects(finish(putting), locked('other'))
    t.match(await uploads.find(ownerId, putting.id), { offset: 0, isRefused: false, result: undefined })
    t.not(token, later)
    await put('other', {}, withTokens(last))
  })

  t.test('a copy has its own bytes, the time and the dead properties of its source, and replaces only if it may; of a folder it is alone', async t => {
    const { metadata, ownerId, put, copy, set, rename, add, lock, paths, trash, move } = await start(t)
    const { files, folders, properties, accounts } = metadata
    const source = await put('a', { size: 5 })
    await set('a', 'p', '<p/>')
    const first = await copy('a', 'f/b')
    t.match(first, { isNew: true, file: { name: 'f/b', size: 10 } })
    t.not(first?.file.id, source.id)
    t.strictSame((await properties.ofFiles(ownerId, [first?.file.id ?? 0])).get(first?.file.id ?? 0), [{ namespace: 'x:', name: 'p', xml: '<p/>' }])
    t.match(await accounts.find(ownerId), { usedFiles: 2, usedFolders: 1 })
    await t.rejects(copy('a', 'f/b'), { code: 'name_taken' })
    await t.rejects(copy('a', 'f'), { code: 'name_taken' })
    await t.rejects(copy('nothing', 'c'), { code: 'not_found' })
    t.equal(await files.copy({ name: 'a', blobId: hex(16) }, newFile(ownerId, 'c'), unlimited, {}), undefined, 'it has other bytes')
    const target = await put('c')
    await set('c', 'q', '<q/>')
    const { token } = await lock('c')
    const replaced = await copy('a', 'c', { overwrites: true, tokens: [token] })
    t.match(replaced, { isNew: false, file: { id: target.id } })
    t.strictSame(await paths(), [])
    t.strictSame((await properties.ofFiles(ownerId, [target.id])).get(target.id)?.map(({ name }) => name), ['p'])
    await t.rejects(rename('a', 'c'), { code: 'name_taken' })
    await put('b', { modifiedAt: 5 })
    await set('b', 'r', '<r/>')
    t.match(await rename('b', 'c', { overwrites: true }), { id: target.id, name: 'c', modifiedAt: 5, createdAt: target.createdAt })
    t.strictSame((await properties.ofFiles(ownerId, [target.id])).get(target.id)?.map(({ name }) => name), ['r'])
    t.match(await rename('a', 'c', { overwrites: true, modifiedAt: 6 }), { id: target.id, modifiedAt: 6 })
    t.strictSame([await files.find(ownerId, 'a'), await trash()], [undefined, []])
    await put('d')
    await t.rejects(add('d'), { code: 'name_taken' })
    await add('d', { overwrites: true })
    await put('e')
    await t.rejects(move('d', 'e'), { code: 'name_taken' })
    await move('d', 'e', { overwrites: true })
    t.match((await trash()).map(({ name }) => name).sort(), ['d', 'e'])

    await set('f', 'p', '<p/>')
    const copied = await folders.copy(ownerId, 'f', 'x/g', unlimited)
    t.match(copied, { path: 'x/g' })
    t.strictSame((await properties.ofFolders(ownerId, [copied.id])).get(copied.id), [{ namespace: 'x:', name: 'p', xml: '<p/>' }])
    t.strictSame(await outcomes([folders.copy(ownerId, 'f', 'x/g', unlimited), folders.copy(ownerId, 'nothing', 'y', unlimited)]), { name_taken: 1, not_found: 1 })
    await folders.remove(ownerId, 'x/g')
  })

  t.test('dead properties change together, move with their file, go to the trash with it, and have a limit', async t => {
    const { metadata, ownerId, otherId, put, add, set, rename, remove, move, trash } = await start(t)
    const { properties } = metadata
    const { id } = await put('a')
    const of = async () => (await properties.ofFiles(ownerId, [id])).get(id)?.map(({ xml }) => xml)
    t.equal(await of(), undefined)
    await properties.change(ownerId, 'a', {
      properties: [
        { namespace: 'x:', name: 'p', xml: '<p>1</p>' }, { namespace: 'y:', name: 'p', xml: '<p>2</p>' },
        { namespace: 'x:', name: 'p', xml: null }, { namespace: '', name: 'p', xml: '<p>é</p>' }
      ],
      modifiedAt: 7
    }, {})
    t.strictSame(await of(), ['<p>2</p>', '<p>é</p>'])
    t.match(await rename('a', 'f/b'), { modifiedAt: 7 })
    await remove('f/b')
    await set('f', 'p', '<p/>')
    const [entry] = await trash()
    await metadata.trash.restore(ownerId, entry?.id ?? '', { quota: unlimited, name: undefined })
    t.strictSame(await of(), ['<p>2</p>', '<p>é</p>'])
    await t.rejects(set('f/b', 'large', `<p>${'x'.repeat(16 * 1024)}</p>`), { code: 'properties_too_large' })
    const many = (length: number) => properties.change(ownerId, 'f/b', { properties: Array.from({ length }, (_, index) => ({ namespace: '', name: `p${index}`, xml: '<p/>' })) }, {})
    await t.rejects(many(MAX_PROPERTIES - 1), { code: 'properties_too_large' })
    await many(MAX_PROPERTIES - 2)
    await t.rejects(set('nothing', 'p', '<p/>'), { code: 'not_found' })
    await t.rejects(set('f/b', 'p', '<p/>', { 'if-match': '"x"' }), { code: 'precondition_failed' })
    const { folder } = await add('f')
    await move('f', 'g')
    t.strictSame((await properties.ofFolders(ownerId, [folder.id])).size, 1)
    t.strictSame((await properties.ofFolders(otherId, [folder.id])).size, 0)
    await set('g', 'p', null)
    t.strictSame((await properties.ofFolders(ownerId, [folder.id])).size, 0)
  })
}
