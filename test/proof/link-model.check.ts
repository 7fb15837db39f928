import fc from 'fast-check'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openPostgresMetadata } from '#src/metadata/postgres/postgres.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import type { Metadata } from '#src/metadata/metadata.ts'
import { Problem } from '#src/problems.ts'
import { createTestClock, type TestClock } from '../kit/clock.ts'
import { SEED } from '../kit/random.ts'
import { sizes } from '../kit/sizes.ts'
import { startPostgres } from '../kit/postgres.ts'
import { hex, newFile, newLink, removeFolder, unlimited } from '../kit/records.ts'
import type { OpenMetadata } from '../kit/reopening.ts'
import { LinkModel } from './link-model.ts'

/** Every number chooses among what there is at that time, so that shrinking keeps an act possible. */
const pick = fc.nat({ max: 9 })
const file = fc.constantFrom('x', 'y', 'a/x', 'a/y', 'a/b/x', 'b/x')
const folder = fc.constantFrom('a', 'b', 'a/b', 'c', 'c/d')
const name = fc.constantFrom('x', 'y', 'z')
const size = fc.nat({ max: 4 })
const max = fc.record({ files: fc.integer({ min: 1, max: 4 }), bytes: fc.nat({ max: 9 }) })

const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), file, size }) },
  fc.record({ kind: fc.constant('rename' as const), pick, file }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move folder' as const), pick, folder }) },
  fc.record({ kind: fc.constant('remove file' as const), pick }),
  fc.record({ kind: fc.constant('remove folder' as const), pick }),
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add link' as const), pick, isUpload: fc.boolean(), max, lasts: fc.option(fc.nat({ max: 12 }), { nil: null }) }) },
  fc.record({ kind: fc.constant('change link' as const), pick, max, lasts: fc.option(fc.nat({ max: 12 }), { nil: null }) }),
  fc.record({ kind: fc.constant('revoke' as const), pick }),
  fc.record({ kind: fc.constant('revoke all of' as const), pick }),
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('store' as const), pick, name, size }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('begin' as const), pick, name, length: fc.option(size, { nil: null }), lasts: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('append' as const), pick, bytes: size, lasts: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('finish' as const), pick }) },
  fc.record({ kind: fc.constant('cancel' as const), pick }),
  fc.record({ kind: fc.constant('housekeep' as const) }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), milliseconds: fc.nat({ max: 4 }) }) },
  fc.record({ kind: fc.constant('quota' as const), quota: fc.record({ bytes: fc.option(fc.nat({ max: 16 }), { nil: undefined }), files: fc.constantFrom(undefined, undefined, 5, 9) }) })
)

type Act = typeof act extends fc.Arbitrary<infer T> ? T : never
type Kind<K extends Act['kind']> = Extract<Act, { kind: K }>

const chooseOf = <T>(all: readonly T[], pick: number): T | undefined => all[pick % Math.max(all.length, 1)]

/** The result of a call, or the code of its problem. */
const outcomeOf = <T>(call: Promise<T>): Promise<T | string> => call.catch((error: unknown) => {
  if (error instanceof Problem) return error.code
  throw error
})

function expectSame (found: unknown, wanted: unknown, what: string): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (left !== right) throw new Error(`${what}: found ${left}, but the model has ${right}`)
}

/** Does acts of one account on a database and on a model of it. */
class Run {
  readonly #model = new LinkModel()
  readonly #metadata: Metadata
  readonly #clock: TestClock
  readonly #ownerId: number

  constructor (metadata: Metadata, clock: TestClock, ownerId: number) {
    this.#metadata = metadata
    this.#clock = clock
    this.#ownerId = ownerId
  }

  async perform (act: Act): Promise<void> {
    await this.#do(act)
    await this.#compare()
  }

  async #do (act: Act): Promise<unknown> {
    const model = this.#model
    switch (act.kind) {
      case 'wait': return this.#clock.advance(act.milliseconds)
      case 'quota': model.quota = act.quota; return undefined
      case 'put': return this.#put(act)
      case 'rename': case 'move folder': return this.#move(act)
      case 'remove file': case 'remove folder': return this.#remove(act)
      case 'add link': return this.#addLink(act)
      case 'change link': case 'revoke': case 'revoke all of': return this.#changeLink(act)
      case 'store': return this.#store(act)
      case 'begin': return this.#begin(act)
      case 'append': case 'finish': case 'cancel': return this.#goOn(act)
      case 'housekeep': {
        while (await this.#metadata.uploads.removeExpired(2));
        return model.housekeep(this.#clock.now())
      }
    }
  }

  async #put ({ file, size }: Kind<'put'>): Promise<void> {
    this.#model.put(file, size)
    await this.#metadata.files.put(newFile(this.#ownerId, file, { size }), unlimited, {})
  }

  async #move (act: Kind<'rename'> | Kind<'move folder'>): Promise<unknown> {
    const isFolder = act.kind === 'move folder'
    const [from, to] = [chooseOf(this.#model.paths(isFolder), act.pick), isFolder ? act.folder : act.file]
    if (from === undefined || this.#model.things.has(to) || to.startsWith(`${from}/`)) return undefined
    this.#model.move(from, to)
    const { files, folders } = this.#metadata
    const mover = isFolder ? folders.move.bind(folders) : files.rename.bind(files)
    return mover(this.#ownerId, from, to, unlimited)
  }

  async #remove ({ kind, pick }: Kind<'remove file'> | Kind<'remove folder'>): Promise<unknown> {
    const path = chooseOf(this.#model.paths(kind === 'remove folder'), pick)
    if (path === undefined) return undefined
    this.#model.remove(path)
    if (kind === 'remove file') return this.#metadata.files.remove(this.#ownerId, path, { precondition: {}, isPermanent: true })
    return removeFolder(this.#metadata, this.#ownerId, path, { limit: 2, isPermanent: true, deletedWith: hex(16) })
  }

  async #addLink ({ pick, isUpload, max, lasts }: Kind<'add link'>): Promise<void> {
    const name = chooseOf(isUpload ? this.#model.paths(true) : Array.from(this.#model.things.keys()), pick)
    const thing = this.#model.things.get(name ?? '')
    if (name === undefined || thing === undefined) return
    const kind = isUpload ? 'upload' : 'download'
    const expiresAt = lasts === null ? null : this.#clock.now() + lasts
    const limits = { maxFiles: isUpload ? max.files : null, maxBytes: isUpload ? max.bytes : null }
    const wanted = newLink(this.#ownerId, name, { kind, expiresAt, ...limits })
    const { id, secretHash } = await this.#metadata.links.add(wanted)
    this.#model.links.push({ id, kind, thing, secretHash, used: { files: 0, bytes: 0 }, max, expiresAt })
  }

  async #changeLink (act: Kind<'change link'> | Kind<'revoke'> | Kind<'revoke all of'>): Promise<unknown> {
    const [model, { links }, now] = [this.#model, this.#metadata, this.#clock.now()]
    const link = chooseOf(model.links, act.pick)
    if (link === undefined) return undefined
    if (act.kind === 'change link') {
      link.expiresAt = act.lasts === null ? null : now + act.lasts
      const terms = { expiresAt: link.expiresAt }
      if (link.kind === 'download') return links.change(this.#ownerId, link.id, terms)
      link.max = act.max
      return links.change(this.#ownerId, link.id, { ...terms, maxFiles: act.max.files, maxBytes: act.max.bytes })
    }
    if (act.kind === 'revoke') {
      model.revoke(link, now)
      return links.remove(this.#ownerId, link.id)
    }
    const path = model.pathOf(link)
    const theirs = model.links.filter(other => other.thing === link.thing)
    for (const other of theirs) model.revoke(other, now)
    return expectSame(await links.removeAll(this.#ownerId, path), theirs.length, 'revoked')
  }

  async #store ({ pick, name, size }: Kind<'store'>): Promise<void> {
    const link = chooseOf(this.#model.links, pick)
    if (link === undefined) return
    const refusal = this.#model.refusal(link, { announced: size }, this.#clock.now())
    const file = newFile(this.#ownerId, name, { size })
    const outcome = await outcomeOf(this.#metadata.links.store(link.id, file, this.#model.quota))
    if (typeof outcome === 'string') return expectSame(outcome, refusal, 'store')
    expectSame(refusal ?? this.#model.store(link, name, size, outcome.file.name), undefined, 'store')
  }

  async #begin ({ pick, name, length, lasts }: Kind<'begin'>): Promise<void> {
    const [now, link] = [this.#clock.now(), chooseOf(this.#model.links, pick)]
    if (link === undefined) return
    const announced = length ?? 0
    const refusal = this.#model.refusal(link, { announced, arrived: Math.min(announced, 1) }, now)
    const outcome = await outcomeOf(this.#metadata.uploads.add({
      id: hex(16), ownerId: this.#ownerId, linkId: link.id, name, type: 'a/b', blobId: hex(16), length, method: 'PUT', precondition: {}, uploadMetadata: null, reprDigest: null, modifiedAt: null, lifetimeMilliseconds: lasts
    }, { maxUploads: 0, quota: this.#model.quota }))
    expectSame(typeof outcome === 'string' ? outcome : undefined, refusal, 'begin')
    if (typeof outcome === 'string') return
    this.#model.uploads.push({ id: outcome.id, link, name, length, offset: 0, expiresAt: now + lasts })
  }

  async #goOn (act: Kind<'append'> | Kind<'finish'> | Kind<'cancel'>): Promise<void> {
    const [model, now, { uploads }, ownerId] = [this.#model, this.#clock.now(), this.#metadata, this.#ownerId]
    const upload = chooseOf(model.uploads, act.pick)
    if (upload === undefined) return
    const { id, link, name, length } = upload
    const isThere = upload.expiresAt > now
    const forget = () => { model.uploads = model.uploads.filter(other => other !== upload) }
    if (act.kind === 'cancel') {
      expectSame(await outcomeOf(uploads.remove(ownerId, id, link.id)), isThere ? undefined : 'not_found', 'cancel')
      if (isThere) forget()
      return
    }
    const isLast = act.kind === 'finish'
    const offset = isLast ? length ?? upload.offset : Math.min(upload.offset + act.bytes, length ?? Infinity)
    const lifetimeMilliseconds = isLast ? 5 : act.lasts
    const change = { id, ownerId, name, generation: 1, offset, state: null, length, lifetimeMilliseconds }
    const refusal = isThere ? model.refusal(link, { announced: length ?? offset, arrived: offset }, now, upload) : 'not_found'
    if (act.kind === 'append') {
      const outcome = await outcomeOf(uploads.save(change, { isAppending: true, quota: model.quota }))
      expectSame(outcome, refusal, 'append')
      if (refusal === undefined) Object.assign(upload, { offset, expiresAt: now + act.lasts })
      return
    }
    const outcome = await outcomeOf(uploads.finish(change, { sha256: hex(32), quota: model.quota }))
    if (typeof outcome === 'string') return expectSame(outcome, refusal, 'finish')
    expectSame(refusal ?? model.store(link, name, offset, outcome?.file.name ?? ''), undefined, 'finish')
    forget()
  }

  /** What the owner sees, and what visitors do. */
  async #compare (): Promise<void> {
    const { links, uploads, accounts } = this.#metadata
    const [model, now, ownerId] = [this.#model, this.#clock.now(), this.#ownerId]
    const found = await links.list(ownerId, { beforeId: undefined, limit: 1000 })
    const factsOf = (name: string, used: unknown) => [name, used]
    expectSame(
      found.reverse().map(({ name, usedFiles, usedBytes }) => factsOf(name, { files: usedFiles, bytes: usedBytes })),
      model.links.map(link => factsOf(model.pathOf(link), link.used)), 'links')
    for (const link of model.links) {
      const open = await links.findBySecret(link.secretHash)
      expectSame(open?.link.id, model.isOpen(link, now) ? link.id : undefined, 'open')
      if (open?.folder !== undefined) await this.#compareFolder(open.folder.id, model.pathOf(link))
      if (open === undefined || link.kind === 'download') continue
      expectSame(await links.room(ownerId, link.id, model.quota), model.room(link, now), 'room')
    }
    const unfinished = model.unfinished(now)
    const received = unfinished.reduce((sum, { offset }) => sum + offset, 0)
    expectSame(await uploads.usage(ownerId), { uploads: 0, bytes: received, receivedBytes: received }, 'uploads')
    for (const { id, link, offset } of unfinished) {
      expectSame((await uploads.find(ownerId, id, link.id))?.offset, offset, 'upload')
    }
    expectSame((await accounts.find(ownerId))?.usedFiles, model.paths(false).length, 'files')
  }

  async #compareFolder (folderId: number, path: string): Promise<void> {
    const page = { folder: '', after: undefined, limit: 1000 }
    const isDirectly = (other: string) => other.startsWith(`${path}/`) && !other.slice(path.length + 1).includes('/')
    const at = { ownerId: this.#ownerId, folderId }
    const { links } = this.#metadata
    const [files, folders] = [await links.listFiles(at, page), await links.listFolders(at, page)]
    expectSame(files.map(({ name }) => name).sort(), this.#model.paths(false).filter(isDirectly), 'files below')
    expectSame(folders.map(({ path }) => path).sort(), this.#model.paths(true).filter(isDirectly), 'folders below')
    const below = this.#model.paths(false).filter(name => name.startsWith(`${path}/`))
    for (const name of below) {
      expectSame((await links.findFile(at, name.slice(path.length + 1)))?.name, name, 'file below')
    }
  }
}

async function check (t: Test, open: OpenMetadata, numRuns: number): Promise<void> {
  const clock = createTestClock(Date.now())
  const metadata = await open(t.testdir(), { clock: clock.now })
  t.teardown(() => metadata.close())
  let runs = 0
  await fc.assert(fc.asyncProperty(fc.array(act, { minLength: 20, maxLength: 80, size: 'max' }), async acts => {
    const username = `run ${++runs}`
    const { id } = await metadata.accounts.add({ username, usernameKey: username, passwordHash: '' })
    const run = new Run(metadata, clock, id)
    for (const each of acts) await run.perform(each)
    await metadata.accounts.remove(id, clock.now())
    while (await metadata.accounts.purgeDeleted(100));
  }), { numRuns, seed: SEED })
  t.strictSame(await metadata.accounts.usageMismatches(), [])
  t.strictSame(await metadata.checkIntegrity(), [])
  t.pass(`${runs} runs`)
}

t.test('after whatever acts, links on SQLite are what a simple model says', async t =>
  check(t, (place, options) => openSqliteMetadata(join(place, 'magicstore.db'), options), sizes.linkModelRuns))

t.test('after whatever acts, links on PostgreSQL are what a simple model says', async t => {
  const server = await startPostgres(t)
  const open: OpenMetadata = async (place, options) =>
    openPostgresMetadata({ url: await server.emptyDatabaseOf(place), ...options })
  await check(t, open, sizes.linkModelRunsOnPostgres)
})
