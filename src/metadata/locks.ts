import { eq, lte, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Conditions, StateList } from './conditions.ts'
import type { Engine } from './engine.ts'
import type { FileContents } from './file-contents.ts'
import type { FolderTree } from './folder-tree.ts'
import { alters, covers, type LockGuard, rememberLocks } from './lock-guard.ts'
import type { LockOwner, LockRecord, LockRepository, NewLock } from './lock-repository.ts'
import type { Owner, Owners } from './owners.ts'
import { ask, reading, together, writing, type Rule } from './rule.ts'

const { placeholder } = sql

/** Locks that have expired are not found, whatever the time. */
const ANY_TIME = 0

interface LockOptions {
  readonly engine: Engine
  readonly owners: Owners
  readonly tree: FolderTree
  readonly contents: FileContents
  readonly guard: LockGuard
}

export class LockRules implements LockRepository {
  readonly #engine: Engine
  readonly #queries: ReturnType<typeof queriesOf>
  readonly #owners: Owners
  readonly #tree: FolderTree
  readonly #contents: FileContents
  readonly #guard: LockGuard

  constructor ({ engine, owners, tree, contents, guard }: LockOptions) {
    this.#engine = engine
    this.#queries = queriesOf(engine)
    this.#owners = owners
    this.#tree = tree
    this.#contents = contents
    this.#guard = guard
  }

  listFor (owner: LockOwner, paths: readonly string[]): Promise<LockRecord[]> {
    return this.#engine.read(() => this.#guard.find({ owner, time: ANY_TIME }, alters(...paths)))
  }

  judge (ownerId: number, lists: readonly StateList[]): Promise<void> {
    const moment = { owner: { id: ownerId, lockedUntil: Infinity }, time: ANY_TIME }
    return this.#engine.read(() => this.#guard.admit(moment, { lists }, alters()))
  }

  add (ownerId: number, lock: NewLock, conditions: Conditions): Promise<LockRecord> {
    return this.#engine.transactFor(ownerId, () => this.#add(ownerId, lock, conditions))
  }

  * #add (ownerId: number, lock: NewLock, conditions: Conditions): Rule<LockRecord> {
    const [owner, current, folder, time] = yield * together(
      this.#owners.lock(ownerId),
      this.#contents.find(ownerId, lock.path),
      this.#tree.find(ownerId, lock.path),
      this.#engine.now()
    )
    if (current === undefined && folder === undefined) throw new Problem('not_found')
    yield * this.#guard.admit({ owner, time, current }, conditions, alters())
    return yield * this.#guard.add({ owner, time }, lock, folder !== undefined)
  }

  refresh (ownerId: number, path: string, seconds: number, conditions: Conditions): Promise<LockRecord> {
    return this.#engine.transactFor(ownerId, () => this.#refresh(ownerId, { path, seconds, conditions }))
  }

  * #refresh (
    ownerId: number, { path, seconds, conditions }: { path: string, seconds: number, conditions: Conditions }
  ): Rule<LockRecord> {
    const { tokens = [] } = conditions
    const [owner, time] = yield * this.#begin(ownerId)
    yield * this.#guard.admit({ owner, time }, conditions, alters())
    const locks = yield * this.#guard.find({ owner, time }, alters(path))
    const lock = locks.find(lock => tokens.includes(lock.token) && covers(lock, path))
    if (lock === undefined) throw new Problem('precondition_failed')
    const expiresAt = time + seconds * 1000
    const { restart, remember } = this.#queries
    yield * together(ask(restart, { token: lock.token, seconds, expiresAt }), ask(remember, { ownerId }))
    return { ...lock, seconds, expiresAt }
  }

  #begin (ownerId: number): Rule<[Owner, number]> {
    return together(this.#owners.lock(ownerId), this.#engine.now())
  }

  remove (ownerId: number, path: string, token: string, { lists }: Conditions = {}): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#remove(ownerId, { path, token, lists }))
  }

  * #remove (
    ownerId: number, { path, token, lists }: { path: string, token: string, lists: Conditions['lists'] }
  ): Rule<void> {
    const [owner, time] = yield * this.#begin(ownerId)
    yield * this.#guard.admit({ owner, time }, { lists }, alters())
    const locks = yield * this.#guard.find({ owner, time }, alters(path))
    const lock = locks.find(lock => lock.token === token && covers(lock, path))
    if (lock === undefined) throw new Problem('lock_token_mismatch')
    yield * this.#drop(ownerId, [lock])
  }

  break (ownerId: number, path: string): Promise<void> {
    return this.#engine.transactFor(ownerId, () => this.#break(ownerId, path))
  }

  * #break (ownerId: number, path: string): Rule<void> {
    const [owner, time] = yield * this.#begin(ownerId)
    const locks = yield * this.#guard.find({ owner, time }, alters(path))
    const rooted = locks.filter(lock => lock.path === path)
    if (rooted.length === 0) throw new Problem('not_found')
    yield * this.#drop(ownerId, rooted)
  }

  * #drop (ownerId: number, locks: readonly LockRecord[]): Rule<void> {
    const { remove, remember } = this.#queries
    yield * together(ask(remove, { tokens: locks.map(({ token }) => token) }), ask(remember, { ownerId }))
  }

  async removeExpired (limit: number): Promise<boolean> {
    // Usually there is none, and a write costs a sync.
    if ((await this.#engine.read(() => ask(this.#queries.anyExpired))).length === 0) return false
    return this.#engine.transact(() => this.#removeExpired(limit))
  }

  * #removeExpired (limit: number): Rule<boolean> {
    const { tables: { locks }, clock, skippingLocked } = this.#engine
    // Those that another process is deleting are left to it.
    const expired = yield * ask(reading('', db => skippingLocked(db.select({ token: locks.token }).from(locks)
      .where(lte(locks.expiresAt, clock)).limit(limit))))
    yield * ask(this.#queries.remove, { tokens: expired.map(({ token }) => token) })
    return expired.length === limit
  }
}

function queriesOf ({ tables, clock, isAmong }: Engine) {
  const { locks } = tables
  return {
    restart: writing('restart_lock', db => db.update(locks)
      .set({ seconds: sql`${placeholder('seconds')}`, expiresAt: sql`${placeholder('expiresAt')}` })
      .where(eq(locks.token, placeholder('token')))),
    remove: writing('remove_locks', db => db.delete(locks).where(isAmong(locks.token, 'tokens'))),
    remember: rememberLocks(tables),
    anyExpired: reading('expired_lock', db => db.select({ token: locks.token }).from(locks)
      .where(lte(locks.expiresAt, clock)).limit(1))
  }
}
