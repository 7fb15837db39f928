import fc from 'fast-check'
import type { Test } from 'tap'
import type { FolderRemovalPosition } from '#src/metadata/folder-repository.ts'
import type { RestoredFiles } from '#src/metadata/kept-repository.ts'
import type { Metadata } from '#src/metadata/metadata.ts'
import type { AccountRecord, FileRecord } from '#src/metadata/records.ts'
import { failures, Problem } from '#src/problems.ts'
import { createKeptModel, type KeptModel, type ModelContent, type ModelUpload } from './kept-model.ts'
import { createTestClock, type TestClock } from './kit/clock.ts'
import { sha256Of } from './kit/digests.ts'
import { HOUR } from './kit/durations.ts'
import { SEED } from './kit/random.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { sizes } from './kit/sizes.ts'

/** Every number chooses among what there is at that time, so that shrinking keeps an operation possible. */
const pick = fc.nat({ max: 7 })
const name = fc.constantFrom('a', 'b', 'a/a', 'a/b', 'b/a', 'a/b/a', 'c/a')
const folder = fc.constantFrom('a', 'b', 'a/a', 'a/b', 'a/b/a', 'c')
// Few sizes and contents, so that there are ties, the same bytes, and quotas that are met exactly.
const content = fc.record({ size: fc.nat({ max: 4 }), text: fc.constantFrom('x', 'y', 'z') })

const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), name, content }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), name, isPermanent: fc.constantFrom(false, false, false, true) }) },
  fc.record({ kind: fc.constant('rename' as const), name, to: name }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('add folder' as const), folder }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('move folder' as const), pick, to: folder }) },
  fc.record({ kind: fc.constant('remove folder' as const), pick }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove tree' as const), pick, isPermanent: fc.constantFrom(false, false, true) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore deletion' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore version' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore file' as const), name: fc.option(name, { nil: undefined }), pick }) },
  fc.record({ kind: fc.constant('remove version' as const), pick }),
  fc.record({ kind: fc.constant('remove from trash' as const), pick }),
  fc.record({ kind: fc.constant('empty trash' as const), limit: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('sweep' as const), limit: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('full disk' as const), bytes: fc.nat({ max: 6 }), limit: fc.integer({ min: 1, max: 3 }) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('begin upload' as const), name, length: fc.option(fc.nat({ max: 4 }), { nil: null }), isConditional: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('append' as const), pick, bytes: fc.nat({ max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), pick, text: fc.constantFrom('x', 'y', 'z') }) },
  fc.record({ kind: fc.constant('cancel' as const), pick }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), milliseconds: fc.nat({ max: 4 }) }) },
  fc.record({ kind: fc.constant('quota' as const), quota: fc.record({ bytes: fc.option(fc.nat({ max: 16 }), { nil: undefined }), files: fc.constantFrom(undefined, undefined, 3, 6) }) })
)

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

/**
 * Random operations, each of which must have the outcome of a model that keeps everything in lists, and leave the same
 * behind.
 */
export function suite (t: Test, open: OpenMetadata): void {
  t.test('after whatever operations, what is kept is what a simple model says', async t => {
    const keeping = { milliseconds: 12, versions: 2, contents: 5, deletions: 2 }
    const clock = createTestClock()
    const metadata = await open(t.testdir(), { keeping, clock: clock.now })
    t.teardown(() => metadata.close())
    let runs = 0
    const counts: Counts = new Map()
    await fc.assert(fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 80, size: 'max' }), async operations => {
      const username = `run ${++runs}`
      const { id: ownerId } = await metadata.accounts.add({ username, usernameKey: username, passwordHash: '' })
      clock.set(Date.now())
      const run = createRun({ metadata, clock, ownerId, model: createKeptModel(keeping), number: runs, counts })
      try {
        for (const each of operations) await run.perform(each)
        await run.checkBlobs()
      } finally {
        // What one run leaves must not be swept by the next.
        await metadata.accounts.remove(ownerId, Date.now())
        while (await metadata.accounts.purgeDeleted(100));
      }
    }), { seed: SEED, numRuns: sizes.keptModelRuns })
    t.pass(`${runs} runs`)
    t.comment(Array.from(counts).sort().map(([what, count]) => `${what}: ${count}`).join(', '))
  })
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

  function contentOf ({ size, text }: { size: number, text: string }, blobId = newBlob()): ModelContent {
    return { size, sha256: sha256Of(text), blobId }
  }

  const choose = <T>(items: readonly T[], pick: number) => items[pick % items.length]

  /** A version, and its file; sometimes that of another file. */
  function chooseVersion (pick: number): { name: string, version: string } {
    const version = choose(model.kept().filter(({ name }) => name === undefined || pick === 7), pick)
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
    const type = 'text/plain'
    switch (operation.kind) {
      case 'put': {
        const { name } = operation
        const content = contentOf(operation.content)
        const file = { ownerId, name, type, ...content, modifiedAt: null, isLeased: false }
        return [() => metadata.files.put(file, quota, {}), () => model.put(name, content, now)]
      }
      case 'remove':
        return [() => metadata.files.remove(
          ownerId, operation.name, { precondition: {}, isPermanent: operation.isPermanent }
        ), () => model.remove(operation.name, operation.isPermanent, now)]
      case 'rename':
        return [() => metadata.files.rename(ownerId, operation.name, operation.to, quota), () =>
          model.rename(operation.name, operation.to, now)]
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
        return [() => metadata.kept.restoreVersion(ownerId, name, version, { quota, precondition: {} }), () =>
          model.restoreVersion(name, version, now)]
      }
      case 'remove version': {
        const { name, version } = chooseVersion(operation.pick)
        return [
          () => metadata.kept.removeVersion(ownerId, name, version), () => model.removeVersion(name, version, now)
        ]
      }
      case 'restore file': {
        const entry = chooseEntry(operation.pick)
        return [() => metadata.kept.restoreFile(ownerId, entry, { name: operation.name, quota }), () =>
          model.restoreFile(entry, operation.name, now)]
      }
      case 'remove from trash': {
        const entry = chooseEntry(operation.pick)
        return [() => metadata.kept.removeFromTrash(ownerId, entry), () => model.removeFromTrash(entry, now)]
      }
      case 'empty trash':
        return [() => metadata.kept.emptyTrash(ownerId, operation.limit), () => model.emptyTrash(operation.limit)]
      case 'sweep':
        return [() => metadata.kept.removeExpired(operation.limit), () => model.sweep(operation.limit, now)]
      case 'full disk':
        return [() => metadata.kept.removeOldest(operation.bytes, operation.limit), () =>
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
        const content = contentOf({ size, text: operation.text }, upload.blobId)
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

  const page = { after: undefined, limit: 100 }

  async function listFiles (): Promise<FileRecord[]> {
    const files = await metadata.files.list(ownerId, { order: 'name', folder: undefined, prefix: undefined, ...page })
    return files.sort((a, b) => a.name < b.name ? -1 : 1)
  }

  /** All folders, each before those below. */
  async function listFolders (path = ''): Promise<{ path: string, createdAt: number }[]> {
    const found = await metadata.folders.list(ownerId, path, page)
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
      from = await metadata.folders.removeSome(ownerId, path, { ...removal, from, limit: 2 })
      const after = new Set((await listFiles()).map(({ blobId }) => blobId))
      const taken = before.map(({ blobId }) => blobId).filter(blobId => !after.has(blobId))
      // One of two may have left the trash at once, and then it was the first.
      const inTrash = (await metadata.kept.listTrash(ownerId, page)).map(({ id }) => id).reverse()
      acts.push(taken.sort((a, b) => inTrash.indexOf(a) - inTrash.indexOf(b)))
      before = before.filter(({ blobId }) => after.has(blobId))
      if (from === undefined) break
    }
    return acts
  }

  async function restoreDeletion (deletedWith: string) {
    const all = { restored: 0, kept: [] as RestoredFiles['kept'][number][] }
    for (let after: RestoredFiles['last']; ;) {
      const { restored, kept, last } =
        await metadata.kept.restoreDeletion(ownerId, deletedWith, { quota: model.quota, after, limit: 2 })
      all.restored += restored
      all.kept.push(...kept)
      if (last === undefined) return all
      after = last
    }
  }

  async function compare (): Promise<void> {
    const files = await listFiles()
    const of = ({ name, size, sha256, blobId, createdAt, updatedAt, storedAt }: Omit<FileRecord, 'id'>) => ({ name, size, sha256, blobId, createdAt, updatedAt, storedAt })
    const found = {
      files: files.map(of),
      versions: (await Promise.all(
        files.map(file => metadata.kept.listVersions(ownerId, file.id, page))
      )).map(versions => versions.map(({ id, storedAt, keptAt }) => ({ id, storedAt, keptAt }))),
      folders: (await listFolders()).sort((a, b) => a.path < b.path ? -1 : 1),
      trash: (await metadata.kept.listTrash(ownerId, page))
        .map(({ id, name, storedAt, keptAt, deletedWith, versions }) =>
          ({ id, name, storedAt, keptAt, deletedWith, versions })),
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
      const discarded = new Set(await metadata.blobs.claimDiscarded(100_000, 0))
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
