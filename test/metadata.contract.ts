import type { Test } from 'tap'
import type { AttemptLimit, NewAttempt } from '#src/metadata/attempt-records.ts'
import type { Metadata } from '#src/metadata/metadata.ts'
import { sortKeyOf } from '#src/metadata/paths.ts'
import {
  fileOrders, type AccountRecord, type FileOrder, type FilePage, type FileRecord, type NewFile, type NewToken
} from '#src/metadata/records.ts'
import { suite as changesSuite } from './changes.contract.ts'
import { suite as connectionsSuite } from './connections.contract.ts'
import { suite as factorsSuite } from './factors.contract.ts'
import { suite as identitiesSuite } from './identities.contract.ts'
import { suite as foldersSuite } from './folders.contract.ts'
import { suite as keptSuite } from './kept.contract.ts'
import { countFailures, recordFailure } from './kit/attempts.ts'
import { createTestClock, type TestClock } from './kit/clock.ts'
import { DAY } from './kit/durations.ts'
import { count, endsOf as outcomes, hex, newFile, setPassword, unlimited } from './kit/records.ts'
import { openFresh, type OpenMetadata } from './kit/reopening.ts'
import { suite as linksSuite } from './links.contract.ts'
import { suite as locksSuite } from './locks.contract.ts'
import { suite as ordersSuite } from './orders.contract.ts'
import { suite as picturesSuite } from './pictures.contract.ts'
import { suite as searchSuite } from './search.contract.ts'
import { suite as starsSuite } from './stars.contract.ts'
import { suite as timelinesSuite } from './timelines.contract.ts'
import { newToken, suite as uploadsSuite } from './uploads.contract.ts'

const always = {}
/** Permits no change: there is no such version, but there is one. */
const never = { 'if-match': '"other"' }
const removal = { precondition: always, isPermanent: false }

function newAccount (name: string) {
  return { username: name.toUpperCase(), usernameKey: name, passwordHash: `hash of ${name}`, createdAt: 1000 }
}

const all: FilePage = { order: 'name', folder: '', prefix: undefined, limit: 1000, after: undefined }

const keyOf: Record<FileOrder, (file: FileRecord) => string | number> = {
  name: file => file.name,
  '-name': file => file.name,
  natural: file => file.name,
  '-natural': file => file.name,
  newest: file => file.createdAt,
  oldest: file => file.createdAt,
  changed: file => file.changedAt,
  '-changed': file => file.changedAt,
  largest: file => file.size,
  smallest: file => file.size
}

/**
 * The contract in src/metadata/metadata.ts, for the backend that `open` opens at a path; reopening a path gives the
 * same records.
 */
export function suite (t: Test, open: OpenMetadata): void {
  /** A new metadata store, closed when the test ends. */
  async function fresh (t: Test, clock?: TestClock) {
    const { opened: metadata, reopen } = await openFresh(t, place => open(place, clock && { clock: clock.now }))
    return { metadata, reopen }
  }

  async function withAccount (t: Test, clock?: TestClock) {
    const store = await fresh(t, clock)
    return { ...store, id: (await store.metadata.accounts.add(newAccount('ada'))).id }
  }

  async function usage (metadata: Metadata, id: number) {
    const { usedBytes, usedFiles } = await metadata.accounts.find(id) as AccountRecord
    return { bytes: usedBytes, files: usedFiles }
  }

  uploadsSuite(t, open)
  foldersSuite(t, open)
  changesSuite(t, open)
  linksSuite(t, open)
  locksSuite(t, open)
  factorsSuite(t, open)
  identitiesSuite(t, open)
  connectionsSuite(t, open)
  keptSuite(t, open)
  searchSuite(t, open)
  ordersSuite(t, open)
  starsSuite(t, open)
  picturesSuite(t, open)
  timelinesSuite(t, open)

  t.test('the id of an installation and those of its files stay, and no two have the same', async t => {
    const { metadata, reopen } = await fresh(t)
    const { installationId } = metadata
    const idsOf = ({ ids }: Metadata) => [ids.file(1), ids.file(2), ids.folder(1), ids.epochId]
    const ids = idsOf(metadata)
    t.ok(installationId.length >= 16)
    const again = await reopen()
    t.equal(again.installationId, installationId)
    t.strictSame(idsOf(again), ids)
    const other = await open(t.testdir({ other: {} }) + '/other')
    t.not(other.installationId, installationId)
    t.equal(new Set([...ids, ...idsOf(other)]).size, 8)
    await other.close()
  })

  t.test('ids of accounts count from 1, are never used twice, and everybody is listed by them, page by page', async t => {
    const { metadata, reopen } = await fresh(t)
    const [ada, bob] = [await metadata.accounts.add(newAccount('ada')), await metadata.accounts.add(newAccount('bob'))]
    t.equal(ada.id, 1)
    await metadata.accounts.remove(bob.id, 2000)
    while (await metadata.accounts.purgeDeleted(100));
    const again = await reopen()
    for (const name of ['c', 'b', 'a']) t.ok((await again.accounts.add(newAccount(name))).id > bob.id)
    const list = async (after: number) => (await again.accounts.listAfter(after, 3)).map(account => account.usernameKey)
    t.strictSame([await list(0), await list(ada.id), await list(bob.id + 1)], [['ada', 'c', 'b'], ['c', 'b', 'a'], ['b', 'a']])
  })

  t.test('an account is found by id and by key as it was added, without quotas of its own and without files', async t => {
    const { metadata } = await fresh(t)
    const added = await metadata.accounts.add(newAccount('ada'))
    t.strictSame(added, { id: 1, ...newAccount('ada'), quotaBytes: null, quotaFiles: null, usedBytes: 0, usedFiles: 0, usedFolders: 0, keptBytes: 0, lockedUntil: 0, factorCount: 0, factorVersion: 0, disabledAt: null, providerSignInAt: null })
    t.strictSame(await metadata.accounts.find(1), added)
    t.strictSame(await metadata.accounts.findByKey('ada'), added)
    t.equal(await metadata.accounts.find(2), undefined)
    t.equal(await metadata.accounts.findByKey('ADA'), undefined)
    const attempt = { kind: 'registration', network: 'n1', usernameKey: 'bob', isKnownNetwork: false, at: Date.now() } as const
    t.strictSame((await outcomes([metadata.accounts.add(newAccount('bob'), attempt), metadata.accounts.add(newAccount('bob'), attempt)])).sort(), ['ok', 'username_taken'])
    t.equal(await countFailures(metadata, { kind: 'registration', network: 'n1' }), 1, 'counted with the account, and not where there is none')
  })

  t.test('of fifty users who want one name at once, exactly one gets it, and those who want another get theirs', async t => {
    const { metadata } = await fresh(t)
    const same = Array.from({ length: 50 }, () => newAccount('ada'))
    const others = Array.from({ length: 50 }, (_, index) => newAccount(`other-${index}`))
    const ends =
      await outcomes(same.flatMap((one, index) => [one, others[index] ?? one]).map(one => metadata.accounts.add(one)))
    t.strictSame(count(ends), { ok: 51, username_taken: 49 })
    t.strictSame(count(ends.filter((_, index) => index % 2 === 1)), { ok: 50 })
  })

  t.test('password, quota and exclusion of one account are set, a new password ends its tokens if asked to, and others are left alone', async t => {
    const { metadata, id } = await withAccount(t)
    const bob = await metadata.accounts.add(newAccount('bob'))
    await setPassword(metadata, id, 'new')
    await metadata.accounts.setQuota(id, { bytes: 100, files: 3 })
    await metadata.accounts.setDisabled(id, 7000)
    t.match(await metadata.accounts.find(id), { passwordHash: 'new', quotaBytes: 100, quotaFiles: 3, disabledAt: 7000 })
    t.strictSame(await metadata.accounts.find(bob.id), bob)
    await metadata.accounts.setQuota(id, { bytes: null, files: 0 })
    await metadata.accounts.setDisabled(id, null)
    t.match(await metadata.accounts.find(id), { quotaBytes: null, quotaFiles: 0, disabledAt: null })
    const mine = await metadata.tokens.add(newToken(id))
    const other = await metadata.tokens.add(newToken(bob.id))
    await setPassword(metadata, id, 'new')
    t.ok(await metadata.tokens.find(mine.id))
    await setPassword(metadata, id, 'newer', true)
    t.equal(await metadata.tokens.find(mine.id), undefined)
    t.ok(await metadata.tokens.find(other.id))
  })

  t.test('of many who replace one password at once exactly one does, and nobody replaces one that is not there any more', async t => {
    const { metadata, id } = await withAccount(t)
    const present = await metadata.accounts.find(id) as AccountRecord
    const hashes = ['one', 'two', 'three']
    const ends = await outcomes(
      hashes.map(hash => metadata.accounts.setPasswordHash(present, hash, { revokesTokens: false }))
    )
    t.strictSame(count(ends), { ok: 1, credentials_wrong: 2 })
    t.equal((await metadata.accounts.find(id))?.passwordHash, hashes[ends.indexOf('ok')])
    const removed = await metadata.accounts.find(id) as AccountRecord
    await metadata.accounts.remove(id, 9000)
    t.strictSame(await outcomes([metadata.accounts.setPasswordHash({ ...removed, passwordHash: '' }, 'late', { revokesTokens: false })]), ['credentials_wrong'])
  })

  t.test('an account that was removed is gone for everybody at once, its name is free, and its files follow', async t => {
    const { metadata, id } = await withAccount(t)
    const bob = await metadata.accounts.add(newAccount('bob'))
    const token = await metadata.tokens.add(newToken(id, { secretHash: 'secret' }))
    const mine = Array.from({ length: 5 }, (_, index) => newFile(id, `${index}`))
    for (const file of mine) await metadata.files.add(file, unlimited)
    const theirs = await metadata.files.add(newFile(bob.id, 'theirs'), unlimited)
    await metadata.accounts.remove(id, 9000)

    t.equal(await metadata.accounts.find(id), undefined)
    t.equal(await metadata.accounts.findByKey('ada'), undefined)
    t.strictSame((await metadata.accounts.listAfter(0, 10)).map(account => account.id), [bob.id])
    t.equal(await metadata.tokens.find(token.id), undefined)
    t.equal(await metadata.tokens.findBySecret('secret'), undefined)
    t.strictSame(await outcomes([metadata.files.add(newFile(id, 'late'), unlimited), metadata.files.put(newFile(id, '0'), unlimited, always)]), ['not_found', 'not_found'], 'an upload that was under way finds nobody')
    const successor = await metadata.accounts.add(newAccount('ada'))
    t.not(successor.id, id)
    while (await metadata.accounts.purgeDeleted(2));
    t.strictSame((await metadata.blobs.takeDiscarded(100, 0)).sort(), mine.map(file => file.blobId).sort())
    t.strictSame(await metadata.files.find(bob.id, 'theirs'), theirs.file)
  })

  t.test('a token is found with its account, by id and by secret, also after a restart, and its owner alone ends it and its children', async t => {
    const { metadata, reopen, id } = await withAccount(t)
    const parent = await metadata.tokens.add(newToken(id, { kind: 'personal', name: 'backup', secretHash: 'abc', expiresAt: null }))
    const child = await metadata.tokens.add(newToken(id, { parentId: parent.id }))
    t.strictSame(parent, { ...newToken(id, { kind: 'personal', name: 'backup', secretHash: 'abc', expiresAt: null }), id: parent.id, lastUsedAt: null })
    const again = await reopen()
    const account = await again.accounts.find(id)
    for (const [found, token] of [[await again.tokens.find(child.id), child], [await again.tokens.findBySecret('abc'), parent]] as const) {
      t.strictSame({ token: found?.token, account: found?.account }, { token, account })
      t.ok(Math.abs(Date.now() - Number(found?.now)) < 60_000)
    }
    t.equal(await again.tokens.find(child.id + 1), undefined)
    t.equal(await again.tokens.findBySecret('abd'), undefined)

    const { accounts, tokens } = again
    const bob = await accounts.add(newAccount('bob'))
    const other = await tokens.add(newToken(id))
    t.strictSame(await outcomes([tokens.remove(bob.id, parent.id), tokens.remove(id, 999)]), ['not_found', 'not_found'])
    await tokens.remove(id, parent.id)
    t.strictSame(await outcomes([tokens.remove(id, parent.id)]), ['not_found'])
    t.strictSame([await tokens.find(parent.id), await tokens.find(child.id)], [undefined, undefined])
    t.strictSame(await outcomes([tokens.add(newToken(id, { parentId: parent.id }))]), ['token_revoked'], 'nothing is issued for it any more')
    t.ok(await tokens.find(other.id))
    await tokens.removeAll(bob.id)
    t.ok(await tokens.find(other.id))
    await tokens.removeAll(id)
    t.equal(await tokens.find(other.id), undefined)
  })

  t.test('the valid tokens are listed, the newest first, each once, and expired ones of one kind go', async t => {
    const clock = createTestClock()
    const { metadata, id } = await withAccount(t, clock)
    const bob = await metadata.accounts.add(newAccount('bob'))
    await metadata.tokens.add(newToken(bob.id))
    const tokens = []
    for (const expiresAt of [100, 200, null, 300, 200]) {
      tokens.push(await metadata.tokens.add(newToken(id, { expiresAt })))
    }
    const valid = tokens.filter(token => token.expiresAt === null || token.expiresAt > 200).map(token => token.id)
      .reverse()
    const list = () => metadata.tokens.list(id, { beforeId: undefined, limit: 10 })
    clock.set(200)
    const first = await metadata.tokens.list(id, { beforeId: undefined, limit: 1 })
    const rest = await metadata.tokens.list(id, { beforeId: first[0]?.id, limit: 10 })
    t.strictSame([...first, ...rest].map(token => token.id), valid)
    await Promise.all([metadata.tokens.recordUse(valid[0] ?? 0, 150), metadata.tokens.recordUse(valid[1] ?? 0, 160)])
    t.match(await list(), [{ lastUsedAt: 150 }, { lastUsedAt: 160 }])
    // When none had expired.
    clock.set(0)
    const sweeps = [[200, 10, false, 4], [1000, 2, true, 2], [1000, 2, false, 1]] as const
    for (const [before, limit, mayBeMore, left] of sweeps) {
      t.equal(await metadata.tokens.removeExpired({ kind: 'access', before }, limit), mayBeMore)
      t.equal((await list()).length, left)
    }
    t.match(await list(), [{ expiresAt: null }], 'a token without an end never expires')
    const personal = await metadata.tokens.add(newToken(id, { kind: 'personal', expiresAt: 100 }))
    const session = await metadata.tokens.add(newToken(id, { kind: 'session', secretHash: 'abc', expiresAt: 100 }))
    t.equal(await metadata.tokens.removeExpired({ kind: 'access', before: 200 }, 10), false)
    t.match(await metadata.tokens.findBySecret('abc'), { token: session }, 'none of another kind')
    t.equal(await metadata.tokens.removeExpired({ kind: 'session', before: 200 }, 10), false)
    t.strictSame((await list()).map(({ id }) => id), [personal.id, valid[1]])
  })

  t.test('the time is that of the backend if no clock is given, and a token has its lifetime from then on', async t => {
    let options: { clock?: () => number } = { clock: () => Date.now() + 600_000 }
    const { opened: ahead, reopen } = await openFresh(t, place => open(place, options))
    const { id: ada } = await ahead.accounts.add(newAccount('ada'))
    const { file: future } = await ahead.files.add(newFile(ada, 'future'), unlimited)
    options = {}
    const metadata = await reopen()
    const start = await metadata.now()
    t.ok(future.updatedAt > start + 500_000)
    const { createdAt: _createdAt, ...account } = newAccount('bob')
    const { id, createdAt } = await metadata.accounts.add(account, { kind: 'registration', network: 'n1', usernameKey: 'bob', isKnownNetwork: false })
    const { createdAt: _, expiresAt: __, ...token } = newToken(id)
    const add = (expiresAt: number | null, lifetimeMilliseconds?: number) =>
      metadata.tokens.add({ ...token, expiresAt }, {
        withEvent: { event: { accountId: id, kind: 'token_issued', network: 'n1', requestId: 'r1' }, keep: { all: 1, ofKind: 1 } },
        ...(lifetimeMilliseconds !== undefined && { lifetimeMilliseconds })
      })
    const [short, capped, endless, expired] = [
      await add(null, 5000), await add(start + 3000, 600_000), await add(null), await add(start - 1)
    ]
    t.equal(short.expiresAt, short.createdAt + 5000)
    t.strictSame([capped.expiresAt, endless.expiresAt, expired.expiresAt], [start + 3000, null, start - 1])
    const listed = await metadata.tokens.list(id, { beforeId: undefined, limit: 9 })
    t.strictSame(listed.map(({ id }) => id), [endless.id, capped.id, short.id])
    const file = newFile(id, 'a')
    const { file: added } = await metadata.files.add(file, unlimited)
    const { file: replaced } =
      await metadata.files.put({ ...file, sha256: hex(32), blobId: hex(16) }, unlimited, always)
    const renamed = await metadata.files.rename(id, 'a', 'b', unlimited)
    await metadata.files.correctDate(ada, 'future')
    const corrected = await metadata.files.find(ada, 'future')
    await metadata.events.add({ accountId: id, kind: 'disabled', network: 'n1', requestId: 'r2' }, { all: 9, ofKind: 9 })
    const events = await metadata.events.list(id, { beforeId: undefined, limit: 9 })
    t.strictSame(events.map(({ requestId }) => requestId), ['r2', 'r1'])
    const { id: claim = 0 } = await metadata.attempts.begin({ kind: 'sign_in', network: 'n1', usernameKey: 'bob', isKnownNetwork: false }, []) as { id?: number }
    await metadata.attempts.finish(claim, 'failed')
    for (const kind of ['sign_in', 'registration'] as const) t.equal(await countFailures(metadata, { kind, network: 'n1' }), 1)
    const times = [
      createdAt, short.createdAt, added.createdAt, replaced.updatedAt, renamed.updatedAt, Number(corrected?.updatedAt),
      ...events.map(({ at }) => at)
    ]
    t.ok(times.every(time => time >= start && time <= Date.now() + 60_000), times.join())
    t.equal(replaced.createdAt, added.createdAt)
  })

  t.test('the oldest access token of a full account ends for a new token; a personal one and a session never do', async t => {
    const clock = createTestClock(1000)
    const { metadata, id } = await withAccount(t, clock)
    const bob = await metadata.accounts.add(newAccount('bob'))
    const theirs = await metadata.tokens.add(newToken(bob.id), { maxTokens: 1 })
    const add = (fields: Partial<NewToken>) => metadata.tokens.add(newToken(id, fields), { maxTokens: 3 })
    const idsOf = async () =>
      (await metadata.tokens.list(id, { beforeId: undefined, limit: 10 })).map(token => token.id)
    const personal = await add({ kind: 'personal' })
    const [, second] = [await add({}), await add({})]
    const third = await add({})
    t.strictSame(await idsOf(), [third.id, second.id, personal.id])
    const other = await add({ kind: 'personal' })
    const last = await add({ kind: 'session' })
    t.strictSame(await idsOf(), [last.id, other.id, personal.id])
    t.strictSame(await outcomes([add({}), add({ kind: 'personal' }), add({ kind: 'session' })]), ['too_many_tokens', 'too_many_tokens', 'too_many_tokens'])
    t.strictSame(await idsOf(), [last.id, other.id, personal.id])
    t.ok(await metadata.tokens.find(theirs.id), 'another account is left alone')
  })

  const attempt = (network: string, usernameKey: string, fields: Partial<NewAttempt> = {}): NewAttempt => ({ kind: 'sign_in', network, usernameKey, isKnownNetwork: false, ...fields })

  t.test('failures are counted by network, by name from it, and by name from unknown networks; a success ends those of its pair', async t => {
    const { metadata } = await withAccount(t)
    for (const failed of [
      attempt('n1', 'ada', { isKnownNetwork: true }), attempt('n1', 'bob'), attempt('n2', 'ada'), attempt('n3', 'ada'), attempt('n1', 'ada', { kind: 'registration' })
    ]) await recordFailure(metadata, failed)
    t.equal(await countFailures(metadata, { kind: 'sign_in', network: 'n1' }), 2)
    t.equal(await countFailures(metadata, { kind: 'registration', network: 'n1' }), 1)
    t.equal(await countFailures(metadata, { kind: 'sign_in', network: 'n1', usernameKey: 'ada' }), 1)
    t.equal(await countFailures(metadata, { kind: 'sign_in', usernameKey: 'ada', isKnownNetwork: false }), 2)
    const claim = await metadata.attempts.begin(attempt('n1', 'ada'), [])
    if (claim.state !== 'granted') return t.fail()
    await metadata.attempts.finish(claim.id, 'succeeded')
    t.equal(await countFailures(metadata, { kind: 'sign_in', network: 'n1' }), 1)
    t.equal(await countFailures(metadata, { kind: 'registration', network: 'n1' }), 1, 'a sign-in forgives no registration')
    await recordFailure(metadata, attempt('n1', 'ada', { kind: 'second_factor' }))
    const codes = () => countFailures(metadata, { kind: 'second_factor', network: 'n1' })
    const all = { since: Date.now() + 1000, codesSince: Date.now() - 1000, until: Date.now() + 1000 }
    t.ok(await metadata.attempts.removeOutside({ ...all, limit: 1 }), 'there may be more')
    while (await metadata.attempts.removeOutside({ ...all, limit: 1 }));
    t.equal(await countFailures(metadata, { kind: 'sign_in', network: 'n1' }), 0)
    t.equal(await countFailures(metadata, { kind: 'sign_in', network: 'n2' }), 0)
    t.equal(await codes(), 1, 'wrong codes are remembered for longer')
    await metadata.attempts.removeOutside({ ...all, codesSince: all.since, limit: 9 })
    t.equal(await codes(), 0)
  })

  t.test('a limit that is reached refuses for as long as its latest failures count', async t => {
    const clock = createTestClock(5000)
    const { metadata } = await withAccount(t, clock)
    const matching = { kind: 'sign_in', network: 'n1' } as const
    const claim = (...limits: AttemptLimit[]) => metadata.attempts.begin(attempt('n1', 'ada'), limits)
    for (let count = 0; count < 2; count++) await recordFailure(metadata, attempt('n1', 'ada'))
    t.strictSame(await claim({ matching, limit: 5, seconds: 900 }, { matching, limit: 2, seconds: 900 }), { state: 'refused', retrySeconds: 900 })
    clock.advance(999)
    t.strictSame(await claim({ matching, limit: 1, seconds: 1 }), { state: 'refused', retrySeconds: 1 })
    clock.advance(1)
    t.match(await claim({ matching, limit: 1, seconds: 1 }), { state: 'granted' })
  })

  t.test('of twenty attempts at once only as many go on as may still fail, and each outcome decides about the others', async t => {
    const { metadata } = await withAccount(t)
    const limits = [{ matching: { kind: 'sign_in', network: 'n1', usernameKey: 'ada' }, limit: 3, seconds: 900 }] as const
    const claims = await Promise.all(Array.from({ length: 20 }, () => metadata.attempts.begin(attempt('n1', 'ada'), limits)))
    t.strictSame(count(claims.map(({ state }) => state)), { granted: 3, busy: 17 })
    const [first = 0, second = 0, third = 0] = claims.flatMap(claim => claim.state === 'granted' ? [claim.id] : [])
    t.match(await metadata.attempts.begin(attempt('n1', 'bob'), [{ matching: { kind: 'sign_in', network: 'n1', usernameKey: 'bob' }, limit: 1, seconds: 900 }]), { state: 'granted' }, 'another name')
    await metadata.attempts.finish(first, 'failed')
    t.strictSame(await metadata.attempts.begin(attempt('n1', 'ada'), limits), { state: 'busy' })
    await metadata.attempts.finish(second, 'released')
    const next = await Promise.all([1, 2].map(() => metadata.attempts.begin(attempt('n1', 'ada'), limits)))
    t.strictSame(count(next.map(({ state }) => state)), { granted: 1, busy: 1 })
    await metadata.attempts.finish(third, 'succeeded')
    t.match(await metadata.attempts.begin(attempt('n1', 'ada'), limits), { state: 'granted' }, 'a success forgives the failure')
  })

  t.test('a lease ends with the write that adds its file, which needs it', async t => {
    const { metadata, id } = await withAccount(t)
    const leased = async (name: string) => {
      const file = newFile(id, name, { isLeased: true })
      await metadata.blobs.lease(file.blobId, 60)
      return file
    }
    const [added, put, replacing, ended] = [await leased('a'), await leased('b'), await leased('b'), await leased('c')]
    t.strictSame(await outcomes([metadata.files.add(added, unlimited)]), ['ok'])
    t.strictSame(await outcomes([metadata.files.put(put, unlimited, always)]), ['ok'])
    t.strictSame(await outcomes([metadata.files.put(replacing, unlimited, always)]), ['ok'])
    await metadata.blobs.endLease(ended.blobId)
    t.strictSame(await outcomes([metadata.files.add(ended, unlimited), metadata.files.put({ ...ended, name: 'a' }, unlimited, always)]), ['unavailable', 'unavailable'])
    t.strictSame((await metadata.files.list(id, all)).map(file => file.blobId), [added.blobId, replacing.blobId])
    t.strictSame(await metadata.blobs.takeAbandoned(10), [])
  })

  t.test('a blob whose lease ran out is given out to be deleted, once more a day later, and no file can use it any more', async t => {
    const clock = createTestClock(5000)
    const { metadata, reopen, id } = await withAccount(t, clock)
    const [paused, renewed, other] =
      [1, 2, 3].map(() => newFile(id, hex(4), { isLeased: true })) as [NewFile, NewFile, NewFile]
    for (const { blobId } of [paused, renewed, other]) await metadata.blobs.lease(blobId, 1)
    await metadata.blobs.renewLeases([renewed.blobId], 60)
    clock.advance(999)
    t.strictSame(await metadata.blobs.takeAbandoned(10), [])
    clock.advance(1)
    const first = await metadata.blobs.takeAbandoned(1)
    const rest = await Promise.all([metadata.blobs.takeAbandoned(10), metadata.blobs.takeAbandoned(10)])
    const abandoned = [paused.blobId, other.blobId].sort()
    t.strictSame([...first, ...rest.flat()].sort(), abandoned)
    await metadata.blobs.renewLeases([paused.blobId], 60)
    t.strictSame(await outcomes([metadata.files.add(paused, unlimited), metadata.files.add(renewed, unlimited)]), ['unavailable', 'ok'])
    await metadata.blobs.clearAbandoned(abandoned)
    const again = await reopen()
    clock.advance(DAY - 1)
    t.strictSame(await again.blobs.takeAbandoned(10), [])
    t.strictSame(await outcomes([again.files.add(paused, unlimited)]), ['unavailable'])
    clock.advance(1)
    t.strictSame((await again.blobs.takeAbandoned(10)).sort(), abandoned)
    await again.blobs.clearAbandoned(abandoned)
    clock.advance(DAY)
    t.strictSame(await again.blobs.takeAbandoned(10), [])
    t.strictSame(await outcomes([again.files.add(paused, unlimited)]), ['unavailable'])
  })

  t.test('a network is new to an account once', async t => {
    const { metadata, id } = await withAccount(t)
    const bob = await metadata.accounts.add(newAccount('bob'))
    t.notOk(await metadata.attempts.isKnownNetwork('ada', 'n1'))
    t.strictSame((await Promise.all([1, 2, 3].map(at => metadata.attempts.addKnownNetwork({ id, factorVersion: 0 }, 'n1', at)))).sort(), [false, false, true])
    t.ok(await metadata.attempts.isKnownNetwork('ada', 'n1'))
    t.notOk(await metadata.attempts.isKnownNetwork('ada', 'n2'))
    t.notOk(await metadata.attempts.isKnownNetwork('bob', 'n1'))
    t.ok(await metadata.attempts.addKnownNetwork(bob, 'n1', 4))
  })

  t.test('of the events of an account the latest stay, and are listed the latest first', async t => {
    const { metadata, id } = await withAccount(t)
    const keep = (all: number) => ({ all, ofKind: 1 })
    const { username } = await metadata.accounts.find(id) ?? {}
    const bob = await metadata.accounts.add(newAccount('bob'))
    const event = { accountId: id, kind: 'signed_in', network: 'n1', requestId: 'r' }
    const stored = { ...event, username, details: null }
    await metadata.events.add({ ...event, accountId: bob.id, at: 0 }, keep(3))
    for (const at of [1, 2, 3, 4, 5]) await metadata.events.add({ ...event, at }, keep(3))
    const page = await metadata.events.list(id, { beforeId: undefined, limit: 2 })
    t.strictSame(page.map(({ id, ...fields }) => fields), [{ ...stored, at: 5 }, { ...stored, at: 4 }])
    t.strictSame((await metadata.events.list(id, { beforeId: page.at(-1)?.id, limit: 2 })).map(({ at }) => at), [3])
    t.equal((await metadata.events.list(bob.id, { beforeId: undefined, limit: 2 })).length, 1)
    await metadata.tokens.add(newToken(id), { withEvent: { event: { ...event, at: 6 }, keep: keep(3) } })
    t.strictSame((await metadata.events.list(id, { beforeId: undefined, limit: 9 })).map(({ at }) => at), [6, 5, 4], 'also those that are told with a token')
    await t.rejects(metadata.tokens.add(newToken(999), { withEvent: { event: { ...event, at: 7 }, keep: keep(3) } }), { code: 'token_revoked' })
    t.equal((await metadata.events.list(id, { beforeId: undefined, limit: 9 })).length, 3, 'and only where that is added')
    for (let at = 1; at <= 410; at++) await metadata.events.add({ accountId: id, kind: 'k', network: 'n', requestId: 'r', at }, keep(400))
    const kept = await metadata.events.list(id, { beforeId: undefined, limit: 500 })
    t.ok(kept.length >= 400, `${kept.length}: of many a few more are kept`)
    t.equal(kept[0]?.at, 410)
    t.equal(kept.filter(({ kind }) => kind === 'signed_in').length, 3, 'another kind is not pushed out')
    for (let at = 1; at <= 9; at++) await metadata.events.add({ ...event, at }, { all: 1, ofKind: 4 })
    const rest = await metadata.events.list(id, { beforeId: undefined, limit: 500 })
    t.strictSame(rest.filter(({ kind }) => kind === 'signed_in').map(({ at }) => at), [9, 8, 7, 6], 'so many of its own kind stay')
  })

  t.test('events outlive their account, and are found by its name, also those of the whole store', async t => {
    const { metadata } = await withAccount(t)
    const bob = await metadata.accounts.add(newAccount('bob'))
    const event = { network: 'operator', requestId: '-' }
    await metadata.events.add({ ...event, accountId: bob.id, kind: 'quota_changed', details: { quotaBytes: 5, quotaFiles: null }, at: 1 }, { all: 9, ofKind: 9 })
    await metadata.events.add({ ...event, accountId: null, kind: 'backup_made', at: 2 }, { all: 1, ofKind: 1 })
    await metadata.events.add({ ...event, accountId: null, kind: 'backup_failed', details: { reason: 'full' }, at: 3 }, { all: 1, ofKind: 1 })
    await metadata.events.add({ ...event, accountId: null, kind: 'keys_rotated', at: 4 }, { all: 1, ofKind: 1 })
    await metadata.accounts.remove(bob.id, 5)
    await metadata.events.add({ ...event, accountId: bob.id, username: bob.username, kind: 'account_removed', at: 6 }, { all: 9, ofKind: 9 })
    const again = await metadata.accounts.add(newAccount('bob'))
    await metadata.events.add({ ...event, accountId: again.id, kind: 'disabled', at: 7 }, { all: 9, ofKind: 9 })
    const listed = async (afterId: number, selection: object = {}) =>
      (await metadata.events.listAfter(afterId, { limit: 9, ...selection })).map(({ at }) => at)
    const first = (await metadata.events.listAfter(0, { limit: 1 }))[0]
    const { id, ...fields } = first ?? { id: 0 }
    t.strictSame(fields, { ...event, accountId: bob.id, username: bob.username, kind: 'quota_changed', details: { quotaBytes: 5, quotaFiles: null }, at: 1 })
    t.strictSame(await listed(0), [1, 2, 3, 4, 6, 7])
    t.strictSame(await listed(id, { limit: 2 }), [2, 3])
    t.strictSame(await listed(0, { since: 4 }), [4, 6, 7])
    t.strictSame(await listed(0, { account: { id: again.id, username: again.username } }), [1, 6, 7])
    t.strictSame(await listed(0, { account: { id: undefined, username: 'nobody' } }), [])
    t.match(await metadata.events.findLatest(['backup_made', 'backup_failed']), { kind: 'backup_failed', details: { reason: 'full' }, at: 3 })
    t.equal(await metadata.events.findLatest(['store_restored']), undefined)
    t.equal(await metadata.events.removeBefore(4, 1), true, 'there may be more')
    while (await metadata.events.removeBefore(8, 9));
    t.strictSame(await listed(0), [2, 3, 4], 'the latest of each kind of the store stays')
  })

  t.test('a file is found as it was added, by its owner alone, also after a restart', async t => {
    const clock = createTestClock(5000)
    const { metadata, reopen, id } = await withAccount(t, clock)
    const bob = await metadata.accounts.add(newAccount('bob'))
    const wanted = newFile(id, 'a.txt', { size: 123 })
    const { file, isNew } = await metadata.files.add(wanted, unlimited)
    const { isLeased, ...fields } = wanted
    const times = { createdAt: 5000, updatedAt: 5000, storedAt: 5000, changedAt: 5000 }
    const facts = { takenAt: null, hasThumbnail: false, taken: 5000, isStarred: false }
    t.strictSame(file, { id: file.id, folderId: 0, ...fields, ...times, ...facts })
    clock.set(6000)
    t.ok(isNew)
    t.strictSame(await metadata.files.find(id, 'a.txt'), file)
    t.equal(await metadata.files.find(bob.id, 'a.txt'), undefined)
    t.strictSame(await outcomes([metadata.files.rename(bob.id, 'a.txt', 'b', unlimited)]), ['not_found'])
    t.strictSame(await metadata.files.rename(id, 'a.txt', 'a.txt', unlimited), file, 'to its own name: nothing changes')
    t.strictSame(await usage(metadata, id), { bytes: 123, files: 1 })
    t.ok((await metadata.files.add(newFile(bob.id, 'a.txt'), unlimited)).isNew, 'two accounts may use the same name')
    t.strictSame(await (await reopen()).files.find(id, 'a.txt'), file)
  })

  t.test('the same bytes under the same name change nothing; other bytes are refused', async t => {
    const clock = createTestClock(5000)
    const { metadata, id } = await withAccount(t, clock)
    const first = newFile(id, 'a', { sha256: 'aa', size: 5 })
    const { file } = await metadata.files.add(first, { bytes: 5, files: 1 })
    clock.set(9000)
    t.strictSame(await metadata.files.add({ ...first, blobId: hex(16), type: 'text/html' }, { bytes: 5, files: 1 }), { file, isNew: false })
    t.strictSame(await outcomes([
      metadata.files.add({ ...first, blobId: hex(16), sha256: 'bb' }, unlimited),
      metadata.files.add({ ...first, blobId: hex(16), size: 6 }, unlimited)
    ]), ['name_taken', 'name_taken'])
    t.strictSame(await metadata.files.list(id, all), [file])
    t.strictSame(await usage(metadata, id), { bytes: 5, files: 1 })
    t.strictSame(await metadata.blobs.takeDiscarded(10, 0), [])
  })

  t.test('what the condition does not permit leaves everything as it was, and of twenty who replace one version one wins', async t => {
    const { metadata, id } = await withAccount(t)
    t.strictSame(await outcomes([metadata.files.put(newFile(id, 'a'), unlimited, never)]), ['precondition_failed'])
    const { file } = await metadata.files.put(newFile(id, 'a'), unlimited, always)
    t.strictSame(await outcomes([metadata.files.put(newFile(id, 'a'), unlimited, never), metadata.files.remove(id, 'a', { ...removal, precondition: never })]), ['precondition_failed', 'precondition_failed'])
    t.strictSame(await metadata.files.list(id, all), [file])
    t.strictSame(await metadata.blobs.takeDiscarded(10, 0), [])
    t.strictSame(await usage(metadata, id), { bytes: 10, files: 1 })
    const isThatVersion = { 'if-match': `"${file.sha256}"` }
    const writers = Array.from({ length: 20 }, () => newFile(id, 'a'))
    const ends = await outcomes(writers.map(writer => metadata.files.put(writer, unlimited, isThatVersion)))
    t.strictSame(count(ends), { ok: 1, precondition_failed: 19 })
    t.equal((await metadata.files.find(id, 'a'))?.blobId, writers[ends.indexOf('ok')]?.blobId)
  })

  t.test('a removed file is gone, and its blob is discarded until it is forgotten', async t => {
    const { metadata, reopen, id } = await withAccount(t)
    const files = Array.from({ length: 5 }, (_, index) => newFile(id, `${index}`))
    for (const file of files) await metadata.files.add(file, unlimited)
    t.strictSame(await outcomes([metadata.files.remove(id, 'nothing', removal), metadata.files.remove(id + 1, '0', removal)]), ['not_found', 'not_found'])
    for (const file of [...files].reverse()) await metadata.files.remove(id, file.name, removal)
    t.equal(await metadata.files.find(id, '0'), undefined)
    t.strictSame(await usage(metadata, id), { bytes: 0, files: 0 })
    const again = await reopen()
    const discarded = files.map(file => file.blobId).reverse()
    t.strictSame(await again.blobs.takeDiscarded(10, 60), [], 'before their grace is over')
    t.strictSame(await again.blobs.takeDiscarded(10, 0), discarded)
    t.strictSame(await again.blobs.takeDiscarded(2, 0), discarded.slice(0, 2))
    await again.blobs.postponeDiscarded([String(discarded[0]), 'unknown'])
    t.strictSame(await again.blobs.takeDiscarded(10, 0), [...discarded.slice(1), discarded[0]], 'one that can\'t be deleted now is the last')
    await again.blobs.clearDiscarded(discarded.slice(0, 2))
    t.strictSame(await again.blobs.takeDiscarded(10, 0), discarded.slice(2))
  })

  t.test('recovery and fsck are told which blobs have a file, and fsck which are discarded or being written as well', async t => {
    const { metadata, id } = await withAccount(t)
    const [kept, removed, leased, never] = [newFile(id, 'kept'), newFile(id, 'removed'), hex(16), hex(16)]
    for (const file of [kept, removed]) await metadata.files.add(file, unlimited)
    await metadata.files.remove(id, 'removed', removal)
    await metadata.blobs.lease(leased, 60)
    const many = Array.from({ length: 496 }, () => hex(16))
    const asked = [kept.blobId, removed.blobId, leased, never, ...many]
    t.strictSame(await metadata.blobs.findKnown(asked), new Set([kept.blobId]))
    t.strictSame(await metadata.blobs.findReferenced(asked), new Set([kept.blobId, removed.blobId, leased]))
    t.strictSame(await metadata.blobs.findKnown([]), new Set())
    t.strictSame(await metadata.checkIntegrity(), [])
  })

  t.test('a write that fails takes no other with it, though they share a commit', async t => {
    const { metadata, reopen, id } = await withAccount(t)
    for (const name of ['taken', 'kept']) await metadata.files.add(newFile(id, name), unlimited)
    const ends = await outcomes([
      metadata.files.add(newFile(id, 'a'), unlimited),
      metadata.accounts.add(newAccount('ada')),
      metadata.files.add(newFile(id, 'taken'), unlimited),
      metadata.files.add(newFile(id, 'b', { size: 5000 }), { bytes: 100, files: undefined }),
      metadata.files.rename(id, 'kept', 'taken', unlimited),
      metadata.tokens.add(newToken(id)),
      metadata.files.remove(id, 'nothing', removal),
      metadata.files.put(newFile(id, 'c'), unlimited, always),
      metadata.tokens.add(newToken(999)),
      metadata.accounts.add(newAccount('bob'))
    ])
    t.strictSame(ends, ['ok', 'username_taken', 'name_taken', 'quota_exceeded', 'name_taken', 'ok', 'not_found', 'ok', 'token_revoked', 'ok'])
    const again = await reopen()
    t.strictSame((await again.files.list(id, all)).map(file => file.name), ['a', 'c', 'kept', 'taken'])
    t.ok(await again.accounts.findByKey('bob'))
    t.strictSame(await again.accounts.usageMismatches(), [])
    t.strictSame(await again.blobs.takeDiscarded(10, 0), [])
  })

  t.test('two hundred writes at once are all done, one after the other', async t => {
    const { metadata, reopen, id } = await withAccount(t)
    const sizes = Array.from({ length: 200 }, (_, index) => index)
    const put = await Promise.all(sizes.map(size => metadata.files.put(newFile(id, 'a', { size }), unlimited, always)))
    t.strictSame(put.map(({ file }) => file.size), sizes)
    t.strictSame(count(put.map(({ isNew }) => String(isNew))), { true: 1, false: 199 })
    const again = await reopen()
    const last = await again.files.find(id, 'a')
    const discarded = await again.blobs.takeDiscarded(400, 0)
    t.equal(discarded.length, 199)
    t.strictSame(new Set([...discarded, last?.blobId]), new Set(put.map(({ file }) => file.blobId)), 'every other one was replaced')
    t.strictSame(await usage(again, id), { bytes: last?.size, files: 1 })
  })

  t.test('what is stored is summed up over everybody who is not gone, by their own limits where they have some', async t => {
    const { metadata, id } = await withAccount(t)
    const { id: ben } = await metadata.accounts.add(newAccount('ben'))
    const { id: deleted } = await metadata.accounts.add(newAccount('gone'))
    for (const [owner, size] of [[id, 90], [ben, 89], [deleted, 1000]] as const) await metadata.files.add(newFile(owner, 'a', { size }), unlimited)
    await metadata.accounts.remove(deleted, 6000)
    const totals = { accounts: 2, files: 2, folders: 0, bytes: 179, keptBytes: 0, accountsNearQuota: 0 }
    t.strictSame(await metadata.accounts.totals(unlimited), totals)
    t.equal((await metadata.accounts.totals({ bytes: 100, files: undefined })).accountsNearQuota, 1)
    t.equal((await metadata.accounts.totals({ bytes: undefined, files: 1 })).accountsNearQuota, 2)
    await metadata.accounts.setQuota(id, { bytes: 1000, files: 1000 })
    await metadata.accounts.setQuota(ben, { bytes: Number.MAX_SAFE_INTEGER, files: Number.MAX_SAFE_INTEGER })
    t.equal((await metadata.accounts.totals({ bytes: 1, files: 1 })).accountsNearQuota, 0)
  })

  t.test('a probe commits, changes nothing that can be asked for, and observers hear of each commit', async t => {
    const { metadata, id, reopen } = await withAccount(t)
    const commits: { writes: number, seconds: number }[] = []
    metadata.watchCommits(commit => commits.push(commit))
    const before = await metadata.accounts.find(id)
    for (let round = 0; round < 3; round++) await metadata.probe()
    t.equal(commits.length, 3)
    await Promise.all([metadata.probe(), metadata.probe(), metadata.tokens.add(newToken(id))])
    t.equal(commits.reduce((sum, { writes }) => sum + writes, 0), 6)
    t.ok(commits.length <= 6, 'concurrent writes may share one')
    t.ok(commits.every(({ seconds }) => seconds > 0))
    t.strictSame(await (await reopen()).accounts.find(id), before)
  })

  t.test('an observer hears of a commit that left bytes to delete, and of no other', async t => {
    const { metadata, id } = await withAccount(t)
    let removals = 0
    metadata.watchRemovals(() => { removals++ })
    const steps: [number, () => Promise<unknown>][] = [
      [0, () => metadata.files.put(newFile(id, 'a'), unlimited, always)],
      [0, () => metadata.files.rename(id, 'a', 'b', unlimited)],
      [1, () => metadata.files.put(newFile(id, 'b'), unlimited, always)],
      [1, () => metadata.files.put(newFile(id, 'b'), unlimited, never).catch(() => {})],
      [2, () => metadata.files.remove(id, 'b', removal)],
      [3, () => metadata.accounts.remove(id, 1)]
    ]
    for (const [count, step] of steps) {
      await step()
      t.equal(removals, count)
    }
  })

  for (const order of fileOrders) {
    t.test(`a listing in the order ${order} is total, shows each file once, and loses none while others come and go`, async t => {
      const clock = createTestClock()
      const { metadata, id } = await withAccount(t, clock)
      const bob = await metadata.accounts.add(newAccount('bob'))
      await metadata.files.add(newFile(bob.id, 'theirs'), unlimited)
      // Many files have the same size and date.
      async function add (name: string, index: number) {
        clock.set(1000 + index % 4)
        const modifiedAt = index % 5 === 0 ? 500 : null
        await metadata.files.add(newFile(id, name, { size: index % 3, modifiedAt }), unlimited)
      }
      for (let index = 0; index < 30; index++) await add(`stays-${(index * 7) % 30}`, index)
      for (let index = 0; index < 8; index++) await add(`goes-${index}`, index)
      const seen: FileRecord[] = []
      for (let turn = 0; ; turn++) {
        const last = seen.at(-1)
        const after = last && { key: keyOf[order](last), id: last.id }
        const page = await metadata.files.list(id, { ...all, order, limit: 4, after })
        if (page.length === 0) break
        seen.push(...page)
        if (turn < 8) await metadata.files.remove(id, `goes-${turn}`, removal)
        if (turn < 20) await add(`comes-${turn}`, turn)
      }
      t.equal(new Set(seen.map(file => file.id)).size, seen.length, 'none twice')
      t.equal(seen.filter(file => file.name.startsWith('stays')).length, 30, 'all that stay')
      const keys = seen.map(keyOf[order]).map(key => order.endsWith('natural') ? sortKeyOf(String(key)) : key)
      const sorted = [...keys].sort((a, b) => typeof a === 'number' ? a - Number(b) : a < b ? -1 : 1)
      const isAscending = ['name', 'natural', 'oldest', 'changed', 'smallest'].includes(order)
      t.strictSame(keys, isAscending ? sorted : sorted.reverse(), 'in order')
    })
  }
}
