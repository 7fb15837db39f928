import { and, count, eq, getTableColumns, gt, or, sql } from 'drizzle-orm'
import { Problem } from '../problems.ts'
import type { Conditions, StateList } from './conditions.ts'
import type { Engine } from './engine.ts'
import { hasPath, isBelow } from './columns.ts'
import { type FolderRow, type TreeSlot, requireFree } from './folder-tree.ts'
import type { Ids } from './ids.ts'
import { type LockRecord, MAX_LOCKS, MAX_LOCKS_PER_PATH, type NewLock } from './lock-records.ts'
import type { Owner } from './owners.ts'
import { ancestorsOf, boundsBelow, splitPath } from './paths.ts'
import { entityTag, FOLDER_VALIDATORS, permits } from './preconditions.ts'
import type { FileRecord } from './records.ts'
import { matching, pipeline, placeholders, prepared, query, type Rule } from './rule.ts'

/** Seconds after which one of many locks may have ended. */
const RETRY_SECONDS = 60

/** In a `folderId`. No id is so short. */
const ROOT = 'root'

/**
 * The time of a look-up that has no clock: it searches if the account ever had a lock. Queries exclude expired locks.
 */
export const UNKNOWN_TIME = 0

/** Who changes something, and when. */
export interface LockContext { readonly owner: Pick<Owner, 'id' | 'lockedUntil'>, readonly time: number }

/** What the precondition is about: a file, a folder, or nothing. */
export interface Subject {
  readonly current?: FileRecord | undefined
  readonly folder?: FolderRow | undefined
}

/** The same, and where it is to be. */
interface PlacedSubject extends Subject { readonly place?: Pick<TreeSlot, 'folderId' | 'missing'> | undefined }

interface Change extends LockContext, Subject {
  /** Where something new belongs. */
  readonly place?: TreeSlot | undefined
}

/** The paths whose locks may refuse a change. */
export interface LockTargets {
  /** Files and folders with other content or members. */
  readonly paths: readonly string[]
  /** Files and folders that go, with all that is below them. */
  readonly trees: readonly string[]
}

/** Other content or properties. */
export function targetsOf (...paths: string[]): LockTargets {
  return { paths, trees: [] }
}

/** A new file or folder, and the folder that gets it. */
export function targetsOfNew (path: string, { parent }: TreeSlot): LockTargets {
  return { paths: [path, parent], trees: [] }
}

/** A file or folder that goes from its folder. */
export function targetsOfRemoval (path: string): LockTargets {
  return { paths: [path, splitPath(path).folder], trees: [path] }
}

/** A file that an upload or a copy adds or replaces. */
export function targetsOfStored (
  path: string, { current, place }: { current: FileRecord | undefined, place: TreeSlot }
): LockTargets {
  return current === undefined ? targetsOfNew(path, place) : targetsOf(path)
}

/** Admits changes in the current transaction, which has locked the owner's account. */
export function createLockGuard (engine: Engine, ids: Ids) {
  const { tables, clock, isAmong } = engine
  const { accounts, files, locks } = tables
  const { ownerId: _ownerId, ...columns } = getTableColumns(locks)
  const isLive = and(matching(locks, 'ownerId'), gt(locks.expiresAt, clock))
  const queries = prepared('locks', {
    onPaths: db => db.select(columns).from(locks).where(and(isLive, isAmong(locks.path, 'paths'))),
    below: db => db.select(columns).from(locks)
      .where(and(isLive, isBelow(locks, placeholders('ownerId', 'from', 'to'))))
  })

  const countLocks = (ownerId: number) => query(db => db.select({ locks: count() }).from(locks)
    .where(and(eq(locks.ownerId, ownerId), gt(locks.expiresAt, clock))), ([row]) => Number(row?.locks))

  /** The locks of paths and of the folders above them, and the locks below trees. */
  function * find ({ owner, time }: LockContext, { paths, trees }: LockTargets): Rule<LockRecord[]> {
    if (owner.lockedUntil <= time) return []
    const all = Array.from(new Set(paths.flatMap(path => [...ancestorsOf(path), path])))
    const found = yield * pipeline(
      queries.onPaths({ ownerId: owner.id, paths: all }),
      ...trees.map(tree => queries.below({ ownerId: owner.id, ...boundsBelow(tree) }))
    )
    return Array.from(new Map((found as LockRecord[][]).flat().map(lock => [lock.token, lock])).values())
  }

  /** Whether one of the lists holds. */
  function * evaluate (ownerId: number, lists: readonly StateList[], locks: readonly LockRecord[]): Rule<boolean> {
    const tagged = lists.filter(({ path, conditions }) =>
      path !== undefined && conditions.some(condition => 'tag' in condition))
    const paths = Array.from(new Set(tagged.map(({ path = '' }) => path)))
    const found = yield * pipeline(...paths.map(path => query(db => db.select({ sha256: files.sha256 }).from(files)
      .where(hasPath(tables, { ownerId, ...splitPath(path) })), ([file]) => file && entityTag(file.sha256))))
    const tags = new Map(paths.map((path, index) => [path, found[index]]))
    const byToken = new Map(locks.map(lock => [lock.token, lock]))
    const isLockedBy = (token: string, path: string) => {
      const lock = byToken.get(token)
      return lock !== undefined && covers(lock, path)
    }
    return lists.some(({ path, conditions }) => conditions.every(condition => {
      const isTrue = path !== undefined && ('tag' in condition
        ? tags.get(path) === condition.tag
        : isLockedBy(condition.token, path))
      return isTrue !== condition.isNegated
    }))
  }

  /** Whether the precondition permits a change. */
  function isPermitted ({ current, folder, place }: PlacedSubject, conditions: Conditions): boolean {
    const { id, folderId } = conditions
    const found = current === undefined ? folder && ids.folder(folder.id) : ids.file(current.id)
    if (id !== undefined && id !== found) return false
    const parent = place?.missing.length === 0 ? ids.folder(place.folderId) ?? ROOT : undefined
    if (folderId !== undefined && folderId !== parent) return false
    return permits(conditions, current ?? (folder && FOLDER_VALIDATORS))
  }

  /** Checks the precondition alone. @throws precondition_failed. */
  function requirePrecondition (subject: PlacedSubject, conditions: Conditions): void {
    if (!isPermitted(subject, conditions)) throw new Problem('precondition_failed')
  }

  /** Records until when an account has locks. */
  function updateLockedUntil (ownerId: number) {
    const latest = sql`coalesce((SELECT max(l.expires_at) FROM locks l WHERE l.owner_id = accounts.id), 0)`
    return query(db => db.update(accounts).set({ lockedUntil: latest }).where(eq(accounts.id, ownerId)))
  }

  return {
    find,
    requirePrecondition,
    isPermitted,
    updateLockedUntil,

    /**
     * Checks the conditions and locks of a change.
     * @throws parent_missing, name_taken, precondition_failed, file_locked.
     */
    * admit (change: Change, conditions: Conditions, ...targets: LockTargets[]): Rule<void> {
      const { lists, tokens = [], needsParent = false } = conditions
      const { place } = change
      if (needsParent && place !== undefined && place.missing.length > 0) throw new Problem('parent_missing')
      if (place !== undefined) requireFree(place)
      const listed = lists?.flatMap(({ path }) => path ?? []) ?? []
      const paths = targets.flatMap(({ paths }) => paths)
      const trees = targets.flatMap(({ trees }) => trees)
      const locks = yield * find(change, { paths: [...paths, ...listed], trees })
      if (lists !== undefined && !(yield * evaluate(change.owner.id, lists, locks))) {
        throw new Problem('precondition_failed')
      }
      requirePrecondition(change, conditions)
      const submitted = new Set(tokens)
      const inTrees = locks.filter(({ path }) => trees.some(tree => path.startsWith(`${tree}/`)))
      const refusing = Array.from(new Set([...paths, ...inTrees.map(({ path }) => path)]))
        .map(createCovering(locks))
        .filter(covering => covering.length > 0 && !covering.some(({ token }) => submitted.has(token)))
      refuseLocked(refusing.flat())
    },

    /** @throws file_locked if another lock is in the way, too_many_locks. */
    * add (context: LockContext, lock: NewLock, isFolder = false): Rule<LockRecord> {
      const { owner: { id: ownerId }, time } = context
      const { path, isDeep, isExclusive, seconds } = lock
      const found = yield * find(context, { paths: [path], trees: isDeep ? [path] : [] })
      const isInTheWay = (other: LockRecord) => covers(other, path) || other.path.startsWith(`${path}/`)
      const inTheWay = found.filter(isInTheWay)
      refuseLocked(inTheWay.filter(other => isExclusive || other.isExclusive))
      if (inTheWay.length >= MAX_LOCKS_PER_PATH) {
        refuseMore(`A file or folder may have at most ${MAX_LOCKS_PER_PATH} locks.`)
      }
      if ((yield * countLocks(ownerId)) >= MAX_LOCKS) refuseMore(`An account may have at most ${MAX_LOCKS} locks.`)
      const added = { ...lock, isFolder, expiresAt: time + seconds * 1000 }
      yield * pipeline(query(db => db.insert(locks).values({ ...added, ownerId })), updateLockedUntil(ownerId))
      return added
    },

    /** Ends the locks of files and folders that go or are overwritten, and of all below them. */
    * end ({ owner, time }: LockContext, ...paths: string[]): Rule<void> {
      if (owner.lockedUntil <= time) return
      const { id: ownerId } = owner
      yield * pipeline(...paths.map(path => query(db => db.delete(locks).where(or(
        and(eq(locks.ownerId, ownerId), eq(locks.path, path)),
        isBelow(locks, { ownerId, ...boundsBelow(path) })
      )))))
    }
  }
}

/** Finds those of some locks that cover a path. They are looked up: comparing each with each takes the square. */
export function createCovering (locks: readonly LockRecord[]): (path: string) => LockRecord[] {
  const byRoot = new Map<string, LockRecord[]>()
  for (const lock of locks) byRoot.set(lock.path, [...byRoot.get(lock.path) ?? [], lock])
  return path => [...ancestorsOf(path), path].flatMap(root => byRoot.get(root) ?? []).filter(lock => covers(lock, path))
}

/** Whether a lock locks what has this path. */
export function covers (lock: LockRecord, path: string): boolean {
  return lock.path === path || (lock.isDeep && path.startsWith(`${lock.path}/`))
}

function refuseMore (detail: string): never {
  throw new Problem('too_many_locks', { detail, retrySeconds: RETRY_SECONDS })
}

/** @throws file_locked if there are locks. */
export function refuseLocked (locks: readonly LockRecord[]): void {
  const pathsOf = (locks: readonly LockRecord[]) => Array.from(new Set(locks.map(({ path }) => path))).sort()
  const locked = pathsOf(locks)
  if (locked.length === 0) return
  const lockedFolders = pathsOf(locks.filter(({ isFolder }) => isFolder))
  throw new Problem('file_locked', { detail: `${locked[0]} is locked.`, members: { locked, lockedFolders } })
}
