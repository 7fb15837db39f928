import fc from 'fast-check'
import type { Test } from 'tap'
import type { FolderRemovalPosition } from '#src/metadata/folder-records.ts'
import type {
  ContentPage, ContentPosition, DeletionRecord, RestoredDeletion, TrashRecord, VersionRecord
} from '#src/metadata/retention-records.ts'
import type { Metadata } from '#src/metadata/metadata.ts'
import type { AccountRecord, FileRecord } from '#src/metadata/records.ts'
import { failures, Problem } from '#src/problems.ts'
import { ACT, createKeptModel, type KeptModel, type ModelContent, type ModelUpload } from './kept-model.ts'
import { createTestClock, type TestClock } from './kit/clock.ts'
import { sha256Of } from './kit/digests.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { SEED } from './kit/random.ts'
import { newFile, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { sizes } from './kit/sizes.ts'

/** Every number chooses among what there is at that time, so that shrinking keeps an operation possible. */
const pick = fc.nat({ max: 7 })
const name = fc.constantFrom('a', 'b', 'a/a', 'a/b', 'b/a', 'a/b/a', 'c/a')
const folder = fc.constantFrom('a', 'b', 'a/a', 'a/b', 'a/b/a', 'c')
// Few sizes and contents, so that there are ties, the same bytes, and quotas that are met exactly.
const content = fc.record({
  size: fc.nat({ max: 4 }), text: fc.constantFrom('x', 'y', 'z'), type: fc.constantFrom('a/x', 'a/y')
})

const operation = fc.oneof(
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('put' as const), name, content }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove' as const), pick, isPermanent: fc.constantFrom(false, false, false, true) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename' as const), pick, to: name, overwrites: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('add folder' as const), folder }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('move folder' as const), pick, to: folder }) },
  fc.record({ kind: fc.constant('remove folder' as const), pick }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove tree' as const), pick, isPermanent: fc.constantFrom(false, false, true) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore deletion' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('restore version' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('restore file' as const), name: fc.option(name, { nil: undefined }), pick }) },
  fc.record({ kind: fc.constant('find version' as const), pick }),
  fc.record({ kind: fc.constant('remove version' as const), pick }),
  fc.record({ kind: fc.constant('remove from trash' as const), pick }),
  fc.record({ kind: fc.constant('empty trash' as const), limit: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('sweep' as const), limit: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('full disk' as const), bytes: fc.nat({ max: 6 }), limit: fc.integer({ min: 1, max: 3 }) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('begin upload' as const), name, length: fc.option(fc.nat({ max: 4 }), { nil: null }), isConditional: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('append' as const), pick, bytes: fc.nat({ max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), pick, text: fc.constantFrom('x', 'y', 'z') }) },
  fc.record({ kind: fc.constant('cancel' as const), pick }),
  // A clock may be set back.
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), milliseconds: fc.integer({ min: -3, max: 4 }) }) },
  fc.record({ kind: fc.constant('quota' as const), quota: fc.record({ bytes: fc.option(fc.nat({ max: 16 }), { nil: undefined }), files: fc.constantFrom(undefined, undefined, 3, 6) }) })
)

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

/**
 * Random operations, each of which must have the outcome of a model that keeps everything in lists, and leave the same
 * behind.
 */
export function suite (t: Test, open: OpenMetadata): void {
  t.test('after whatever operations, what is kept is what a simple model says', async t => {
    const retentionPolicy = { milliseconds: 12, versions: 2, contents: 5, deletions: 2 }
    const clock = createTestClock()
    const metadata = await open(t.testdir(), { retentionPolicy, clock: clock.now })
    t.teardown(() => metadata.close())
    const otherId = await addBystander(metadata, clock)
    const stateOfOther = async () => {
      const { files, accounts } = metadata
      const [file] = await files.list(otherId, { order: 'name', folder: '', prefix: undefined, ...page })
      return [
        file, await metadata.versions.list(otherId, file?.id ?? 0, page), await metadata.trash.list(otherId, page),
        await accounts.find(otherId)
      ]
    }
    const before = await stateOfOther()
    let runs = 0
    const counts: Counts = new Map()
    await fc.assert(fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 80, size: 'max' }), async operations => {
      const username = `run ${++runs}`
      const { id: ownerId } = await metadata.accounts.add({ username, usernameKey: username, passwordHash: '' })
      clock.set(Date.now())
      const run = createRun({ metadata, clock, ownerId, model: createKeptModel(retentionPolicy), number: runs, counts })
      try {
        for (const each of operations) await run.perform(each)
        await run.checkBlobs()
      } finally {
        // What one run leaves must not be swept by the next.
        await metadata.accounts.remove(ownerId, Date.now())
        while (await metadata.accounts.purgeDeleted(100));
      }
    }), { seed: SEED, numRuns: sizes.keptModelRuns })
    t.strictSame(await stateOfOther(), before, 'another account is left alone')
    t.comment(Array.from(counts).sort().map(([what, count]) => `${what}: ${count}`).join(', '))
  })
}

const PAGES = [1, 2, 3, 100]
const page = { after: undefined, limit: 100 }

/** An account with a version and a deleted file that are newer than all others, and so do not expire. */
async function addBystander ({ accounts, files }: Metadata, clock: TestClock): Promise<number> {
  const { id } = await accounts.add({ username: 'other', usernameKey: 'other', passwordHash: '' })
  clock.set(Date.now() + DAY)
  for (const name of ['a', 'a', 'b']) await files.put(newFile(id, name), unlimited, {})
  await files.remove(id, 'b', { precondition: {}, isPermanent: false })
  return id
}

/** How often each operation had each outcome. */
type Counts = Map<string, number>

interface RunOptions {
  readonly metadata: Metadata
  readonly clock: TestClock
  readonly ownerId: number
  readonly model: KeptModel
  readonly number: number
  readonly counts: Counts
}

interface Run { perform (operation: Operation): Promise<void>, checkBlobs (): Promise<void> }

function createRun ({ metadata, clock, ownerId, model, number, counts }: RunOptions): Run {
  let blobs = 0
  let comparisons = 0
  /**
   * In no order, because ties are decided by it, but in the same one in every run, so that a failure can be repeated.
   */
  const id = () => sha256Of(`${++blobs}`).slice(0, 24) + number.toString(16).padStart(8, '0')
  const used: string[] = []
  const deletions: string[] = []

  function newBlob (): string {
    const blobId = id()
    used.push(blobId)
    return blobId
  }

  function contentOf (
    { size, text, type }: { size: number, text: string, type: string }, blobId = newBlob()
  ): ModelContent {
    return { size, type, sha256: sha256Of(text), blobId }
  }

  const choose = <T>(items: readonly T[], pick: number) => items[pick % items.length]

  /** A file, sometimes one that is not there. */
  function chooseFile (pick: number): string {
    return pick === 7 ? 'b/a' : choose(model.names(), pick) ?? 'a'
  }

  /** A version, and its file; sometimes that of another file. */
  function chooseVersion (pick: number): { name: string, version: string } {
    const isOffered = ({ name, fileId }: { name: string | undefined, fileId: number }) =>
      pick === 7 || (name === undefined && (pick > 4 || model.nameOf(fileId) !== undefined))
    const version = choose(model.kept().filter(isOffered), pick)
    return { version: version?.blobId ?? 'none', name: (version && model.nameOf(version.fileId)) ?? 'a' }
  }

  /** A folder, sometimes one that is not there. */
  function chooseFolder (pick: number): string {
    return choose(model.folders(), pick)?.path ?? 'a'
  }

  /** A deleted file, sometimes a version. */
  function chooseEntry (pick: number): string {
    return choose(model.kept().filter(({ name }) => name !== undefined || pick === 7), pick)?.blobId ?? 'none'
  }

  const changeOf = ({ id, name, length }: ModelUpload, offset: number) =>
    ({ id, ownerId, name, generation: 1, offset, state: null, length, lifetimeMilliseconds: HOUR })

  async function callsFor (operation: Operation): Promise<[() => Promise<unknown>, () => unknown] | undefined> {
    const { quota } = model
    const now = clock.now()
    const type = 'a/x'
    switch (operation.kind) {
      case 'put': {
        const { name } = operation
        const content = contentOf(operation.content)
        const file = { ownerId, name, ...content, modifiedAt: null, isLeased: false }
        return [() => metadata.files.put(file, quota, {}), () => model.put(name, content, now)]
      }
      case 'remove': {
        const name = chooseFile(operation.pick)
        const { isPermanent } = operation
        return [() => metadata.files.remove(ownerId, name, { precondition: {}, isPermanent }), () =>
          model.remove(name, isPermanent, now)]
      }
      case 'rename': {
        const name = chooseFile(operation.pick)
        const { to, overwrites } = operation
        return [() => metadata.files.rename(ownerId, name, to, quota, { overwrites }), () =>
          model.rename(name, to, { overwrites, now })]
      }
      case 'add folder':
        return [() => metadata.folders.add(ownerId, operation.folder, quota), () =>
          model.addFolder(operation.folder, now)]
      case 'move folder': {
        const path = chooseFolder(operation.pick)
        return [() => metadata.folders.move(ownerId, path, operation.to, quota), () =>
          model.moveFolder(path, operation.to, now)]
      }
      case 'remove folder': {
        const path = chooseFolder(operation.pick)
        return [() => metadata.folders.remove(ownerId, path), () => model.removeFolder(path)]
      }
      case 'remove tree': {
        const { isPermanent } = operation
        const path = chooseFolder(operation.pick)
        const removal = { isPermanent, deletedWith: id() }
        deletions.push(removal.deletedWith)
        let acts: string[][] = []
        return [async () => { acts = await removeTree(path, removal) }, () =>
          model.removeTree(path, { ...removal, acts, now })]
      }
      case 'restore deletion': {
        const deletedWith = choose(deletions, operation.pick) ?? 'none'
        return [async () => JSON.stringify(await restoreDeletion(deletedWith)), () =>
          JSON.stringify(model.restoreDeletion(deletedWith, now))]
      }
      // What has expired, or is beyond the newest few, is chosen too.
      case 'restore version': {
        const { name, version } = chooseVersion(operation.pick)
        return [() => metadata.versions.restore(ownerId, name, version, { quota, precondition: {} }), () =>
          model.restoreVersion(name, version, now)]
      }
      case 'find version': {
        const { name, version } = chooseVersion(operation.pick)
        return [async () => (await metadata.versions.find(ownerId, name, version))?.version.id ?? 'none', () =>
          model.findVersion(name, version, now)?.blobId ?? 'none']
      }
      case 'remove version': {
        const { name, version } = chooseVersion(operation.pick)
        return [
          () => metadata.versions.remove(ownerId, name, version), () => model.removeVersion(name, version, now)
        ]
      }
      case 'restore file': {
        const entry = chooseEntry(operation.pick)
        return [() => metadata.trash.restore(ownerId, entry, { name: operation.name, quota }), () =>
          model.restoreFile(entry, operation.name, now)]
      }
      case 'remove from trash': {
        const entry = chooseEntry(operation.pick)
        return [() => metadata.trash.remove(ownerId, entry), () => model.removeFromTrash(entry, now)]
      }
      case 'empty trash':
        return [() => metadata.trash.empty(ownerId, operation.limit), () => model.emptyTrash(operation.limit)]
      case 'sweep':
        return [() => metadata.retention.removeExpired(operation.limit), () => model.sweep(operation.limit, now)]
      case 'full disk':
        return [() => metadata.retention.removeOldest(operation.bytes, operation.limit, ownerId), () =>
          model.removeOldest(operation.bytes, operation.limit)]
      case 'begin upload': {
        const { name, length, isConditional } = operation
        const upload = { id: id(), name, length, isConditional, blobId: newBlob(), offset: 0 }
        const { offset: _offset, isConditional: _isConditional, ...fields } = upload
        return [
          () => metadata.uploads.add({ ...fields, ownerId, linkId: null, type, method: 'PUT', precondition: isConditional ? { 'if-match': '*' } : {}, uploadMetadata: null, reprDigest: null, modifiedAt: null, lifetimeMilliseconds: HOUR }, { maxUploads: 99, quota }),
          () => model.beginUpload(upload)
        ]
      }
      case 'append': {
        const upload = choose(model.uploads(), operation.pick)
        if (upload === undefined) return undefined
        const offset = Math.min(upload.offset + operation.bytes, upload.length ?? Infinity)
        const change = changeOf(upload, offset)
        return [() => metadata.uploads.save(change, { isAppending: true, quota }), () => model.append(upload, offset)]
      }
      case 'finish': {
        const upload = choose(model.uploads(), operation.pick)
        if (upload === undefined) return undefined
        const size = upload.length ?? upload.offset
        const content = contentOf({ size, text: operation.text, type }, upload.blobId)
        const change = changeOf(upload, size)
        return [async () => await metadata.uploads.finish(change, { sha256: content.sha256, quota }) ?? 'refused', () => model.finish(upload, content, now)]
      }
      case 'cancel': {
        const upload = choose(model.uploads(), operation.pick)
        return upload && [() => metadata.uploads.remove(ownerId, upload.id), () => model.cancel(upload)]
      }
      case 'wait':
        clock.advance(operation.milliseconds)
        return undefined
      case 'quota':
        model.quota = operation.quota
        return undefined
    }
  }

  async function listFiles (): Promise<FileRecord[]> {
    const files = await metadata.files.list(ownerId, { order: 'name', folder: undefined, prefix: undefined, ...page })
    return files.sort((a, b) => a.name < b.name ? -1 : 1)
  }

  /** All folders, each before those below. */
  async function listFolders (path = ''): Promise<{ path: string, createdAt: number }[]> {
    const found = await metadata.folders.list(ownerId, path, { order: 'name', ...page })
    const withThoseBelow = found.map(async ({ path, createdAt }) => [{ path, createdAt }, ...await listFolders(path)])
    return (await Promise.all(withThoseBelow)).flat()
  }

  /** Deletes a folder in acts of two files. Returns the blobs that each act took, in its order. */
  async function removeTree (
    path: string, removal: { isPermanent: boolean, deletedWith: string }
  ): Promise<string[][]> {
    const acts: string[][] = []
    let before = await listFiles()
    for (let from: FolderRemovalPosition | undefined; ;) {
      from = await metadata.folders.removeSome(ownerId, path, { ...removal, from, limit: ACT })
      const after = new Set((await listFiles()).map(({ blobId }) => blobId))
      const taken = before.map(({ blobId }) => blobId).filter(blobId => !after.has(blobId))
      // One of two may have left the trash at once, and then it was the first.
      const inTrash = (await metadata.trash.list(ownerId, page)).map(({ id }) => id).reverse()
      acts.push(taken.sort((a, b) => inTrash.indexOf(a) - inTrash.indexOf(b)))
      before = before.filter(({ blobId }) => after.has(blobId))
      if (from === undefined) break
    }
    return acts
  }

  async function restoreDeletion (deletedWith: string) {
    const all = { restored: 0, kept: [] as RestoredDeletion['kept'][number][] }
    for (let after: RestoredDeletion['last']; ;) {
      const { restored, kept, last } =
        await metadata.trash.restoreDeletion(ownerId, deletedWith, { quota: model.quota, after, limit: 2 })
      all.restored += restored.filter(({ file }) => file !== undefined).length
      all.kept.push(...kept)
      if (last === undefined) return all
      after = last
    }
  }

  /** Reads a list in pages of another size each time. */
  async function all<T extends { keptAt: number, id: string }> (
    list: (page: ContentPage) => Promise<T[]>
  ): Promise<T[]> {
    const limit = PAGES[comparisons % PAGES.length] as number
    const seen: T[] = []
    for (let after: ContentPosition | undefined; ;) {
      const found = await list({ after, limit })
      seen.push(...found)
      const last = found.at(-1)
      if (last === undefined || found.length < limit) return seen
      after = { key: last.keptAt, id: last.id }
    }
  }

  async function compare (): Promise<void> {
    comparisons++
    const files = await listFiles()
    const of = ({ name, size, type, sha256, blobId, createdAt, updatedAt, storedAt }: Omit<FileRecord, 'id'>) => ({ name, size, type, sha256, blobId, createdAt, updatedAt, storedAt })
    const found = {
      files: files.map(of),
      versions: (await Promise.all(
        files.map(file => all<VersionRecord>(page => metadata.versions.list(ownerId, file.id, page)))
      )).map(versions => versions.map(({ id, size, type, sha256, storedAt, keptAt, expiresAt }) =>
        ({ id, size, type, sha256, storedAt, keptAt, expiresAt }))),
      folders: (await listFolders()).sort((a, b) => a.path < b.path ? -1 : 1),
      trash: (await all<TrashRecord>(page => metadata.trash.list(ownerId, page)))
        .map(({ id, size, type, sha256, storedAt, keptAt, expiresAt, name, deletedWith, versions }) =>
          ({ id, size, type, sha256, storedAt, keptAt, expiresAt, name, deletedWith, versions })),
      deletions: (await all<DeletionRecord>(page => metadata.trash.listDeletions(ownerId, page)))
        .map(({ id, kind, name, files, folders, size, keptAt }) => ({ id, kind, name, files, folders, size, keptAt })),
      usage: await metadata.accounts.find(ownerId).then(account => {
        const { usedBytes, usedFiles, usedFolders, keptBytes } = account as AccountRecord
        return { usedBytes, usedFiles, usedFolders, keptBytes }
      }),
      uploads: await metadata.uploads.usage(ownerId)
    }
    expectSame(found, model.state(clock.now()))
  }

  return {
    async perform (operation) {
      const both = await callsFor(operation)
      if (both !== undefined) {
        const outcome = await outcomeOf(both[0])
        expectSame(outcome, await outcomeOf(async () => both[1]()))
        const what = `${operation.kind}${typeof outcome === 'string' && outcome in failures ? ` ${outcome}` : ''}`
        counts.set(what, 1 + (counts.get(what) ?? 0))
      }
      await compare()
    },

    async checkBlobs () {
      expectSame(await metadata.accounts.usageMismatches(), [])
      expectSame(await metadata.folders.listFaults(), [])
      // Each blob is in use or discarded, and none is both.
      const inUse = model.blobs()
      expectSame(Array.from(await metadata.blobs.findKnown(used)).sort(), inUse.stored)
      // A blob is given out from the time when it was discarded, which may be later than now.
      clock.advance(1000)
      const discarded = new Set(await metadata.blobs.takeDiscarded(100_000, 0))
      expectSame([...inUse.stored, ...inUse.uploads].filter(blobId => discarded.has(blobId)), [])
      expectSame(model.discarded().filter(blobId => !discarded.has(blobId)), [])
    }
  }
}

/** The result, unless it is a file, which is compared anyway; or the code of a problem. */
async function outcomeOf (operation: () => Promise<unknown>): Promise<unknown> {
  try {
    const result = await operation() ?? 'ok'
    return typeof result === 'object' && !('bytes' in result) ? 'ok' : result
  } catch (error) {
    if (error instanceof Problem) return error.code
    throw error
  }
}

function expectSame (found: unknown, wanted: unknown): void {
  const [left, right] = [JSON.stringify(found, null, 1), JSON.stringify(wanted, null, 1)]
  if (left !== right) throw new Error(`found ${left}, but the model has ${right}`)
}
