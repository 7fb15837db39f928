import { conflictName, lastOf, parentOf } from './names.ts'

/*
 * What to do so that a folder on this computer and the store become equal. `base` is what both had when they were equal
 * last, `local` what is on this computer, `mirror` what is on the server. The plan is first the moves, one folder or
 * some files at a time: they are made, written into the three trees, and planned again. When there are none, the plan
 * is this table, for each path:
 *
 * | here \ server  | as base              | changed or new               | gone                                       |
 * |----------------|----------------------|------------------------------|--------------------------------------------|
 * | as base        | nothing              | download; make the folder    | to `kept`; a folder once it is empty; if   |
 * |                |                      |                              | something stays in it: made there again    |
 * | changed or new | upload; make the     | the same bytes, two folders: | upload; make the folder                    |
 * |                | folder               | the base only; else conflict |                                            |
 * | gone           | delete; a folder     | download: a change wins over | forget                                     |
 * |                | once it is empty; if | a deletion                   |                                            |
 * |                | something stays in   |                              |                                            |
 * |                | it: made here again  |                              |                                            |
 *
 * Without a row in the base, a path is new, or nothing is there. A folder is changed only by another kind. A file
 * against a folder: the side that is as the base goes first, a file by its deletion, a folder once it is empty. If none
 * is, or something in the folder stays, the file takes its conflict name, on the side where it is.
 *
 * A deletion waits while its bytes are, under a name that is not agreed, on the side that lacks it: it may be a move
 * that was not recognized. It does not if that name is above, below or at its own, or both would wait for ever; and if
 * such deletions are all that waits, and nothing could be done, one on this computer is made: they wait for each other,
 * as when a file and a folder have changed places there.
 */

export type Kind = 'file' | 'folder'

/** What both sides had when they were equal last. */
export interface BaseRow {
  /** Of the local file. */
  readonly path: string
  readonly id: string
  readonly kind: Kind
  /** Of a file; '' for a folder. */
  readonly sha256: string
  /** Which file or folder it is here: device, inode and time of birth. */
  readonly inode: string
  /** `inode`, and of a file its size and times: while it is the same, the bytes are. */
  readonly stamp: string
}

/** A file or folder on this computer. */
export interface LocalEntry {
  readonly path: string
  /** `other`: what is not carried, and stays as it is: a link, a special file, a folder of another device. */
  readonly kind: Kind | 'other'
  /** '' for a folder; undefined for a file that changed just now. */
  readonly sha256: string | undefined
  readonly inode: string
  readonly stamp: string
  readonly size: number
  /** Whether what this folder lacks is absent: it was read, and nobody changed it at that time. */
  readonly isSettled: boolean
  /** Whether this folder has something that is not synchronized. */
  readonly hasIgnored: boolean
}

/** A file or folder on the server. */
export interface MirrorEntry {
  readonly path: string
  readonly id: string
  readonly kind: Kind
  readonly sha256: string
  readonly size: number
  readonly hasIgnored: boolean
}

/** By {@link Trees.keyOf} of the path; `local` and `mirror` have their root at ''. */
export interface Trees {
  readonly base: ReadonlyMap<string, BaseRow>
  readonly local: ReadonlyMap<string, LocalEntry>
  readonly mirror: ReadonlyMap<string, MirrorEntry>
  readonly keyOf: (path: string) => string
}

export interface PlanOptions {
  /** Ids of what the server or the disk refused to move in this run. */
  readonly refused: ReadonlySet<string>
  /** Keys of what waits for the next run, with all that is below. */
  readonly waiting: ReadonlySet<string>
  /** Whether nothing could be done before, and only deletions waited for bytes. */
  readonly isStuck: boolean
  /** How many files may be deleted on a side, even if they are many. */
  readonly allowedDeletions: number
}

/** `here` is this computer, `there` the server. `settle` and `forget` write the base only. */
export type ActKind = 'move' | 'move here' | 'move there' | 'make here' | 'make there' | 'settle' | 'forget' |
  'download' | 'upload' | 'conflict here' | 'conflict there' | 'delete here' | 'delete there'

export interface Act {
  readonly what: ActKind
  readonly key: string
  readonly row: BaseRow | undefined
  readonly local: LocalEntry | undefined
  readonly mirror: MirrorEntry | undefined
  /** The new path of what is moved. */
  readonly to?: string
  /** The id of what will be moved into the folder that is made. */
  readonly mover?: string
  /** Of what is settled: the key of its former row, at which something else is here now. */
  readonly former?: string | undefined
}

interface Moved extends Omit<Act, 'what'> {
  readonly row: BaseRow
  readonly local: LocalEntry
  readonly mirror: MirrorEntry
}

/** Why nothing is done about a path. */
export type WaitReason = 'changing' | 'unknown' | 'refused' | 'bytes elsewhere' | 'many deletions'

export interface Plan {
  /** In order. */
  readonly acts: readonly Act[]
  /** Whether these are moves, or a folder that one needs: after them, everything is planned again. */
  readonly isMoves: boolean
  readonly waits: ReadonlyMap<string, WaitReason>
  /** How many files would be deleted on a side on which that is too many. */
  readonly deletions: number
}

/** Fewer deletions are never too many, nor is a smaller share of all files. */
const FEW_DELETIONS = 10
const DELETED_SHARE = 0.25

/** What is in a folder after the acts of the plan. */
const EMPTY = 0
const ONLY_IGNORED = 1
const WAITS = 2
const STAYS = 3

export function plan (trees: Trees, options: PlanOptions): Plan {
  const moves = planMoves(trees, options)
  return moves.length > 0 ? { acts: moves, isMoves: true, waits: new Map(), deletions: 0 } : planTable(trees, options)
}

/** The next move of a folder, or the folder that it needs, or the next moves of files. */
function planMoves (trees: Trees, { refused, waiting }: PlanOptions): Act[] {
  const { base, local, mirror } = trees
  const findLocal = localPlaces(trees)
  const mirrorKeys = new Map<string, string>()
  for (const [key, { id }] of mirror) mirrorKeys.set(id, key)
  const moves: Act[] = []
  const taken = new Set<string>()

  for (const key of levelsOf(base.keys()).flat()) {
    const row = base.get(key) as BaseRow
    const mirrorKey = mirrorKeys.get(row.id)
    if (mirrorKey === undefined || refused.has(row.id)) continue
    const localKey = findLocal(key, row)
    if (localKey === undefined || (localKey === key && mirrorKey === key)) continue
    const [here, there] = [local.get(localKey) as LocalEntry, mirror.get(mirrorKey) as MirrorEntry]
    if ([key, localKey, mirrorKey].some(place => isBelowAny(waiting, place))) continue
    const act = moveOf({ key, row, local: here, mirror: there }, localKey, mirrorKey)
    if (act === undefined || [localKey, mirrorKey].some(place => taken.has(place))) continue
    if (row.kind === 'folder' || act.what.startsWith('make')) return moves.length > 0 ? moves : [act]
    for (const place of [localKey, mirrorKey]) taken.add(place)
    moves.push(act)
  }
  return moves

  function moveOf (known: Moved, localKey: string, mirrorKey: string): Act | undefined {
    if (localKey === mirrorKey) return { ...known, what: 'move', to: known.local.path }
    const isHere = mirrorKey !== known.key
    const target = isHere ? mirrorKey : localKey
    const [side, other] = isHere ? [local, mirror] : [mirror, local]
    const from = isHere ? localKey : mirrorKey
    const isFree = !side.has(target) && !base.has(target) && (!isHere || isAbsent(local, target))
    if (!isFree || isWithin(target, from) || isWithin(target, known.key)) return undefined
    const parent = side.get(parentOf(target))
    const name = lastOf(isHere ? known.mirror.path : known.local.path)
    if (parent !== undefined) {
      if (parent.kind !== 'folder') return undefined
      return { ...known, what: isHere ? 'move here' : 'move there', to: joined(parent.path, name) }
    }
    const missing = firstMissing(side, parentOf(target))
    if (missing === undefined || other.get(missing)?.kind !== 'folder' || isBelowAny(waiting, missing)) return undefined
    const folder = { key: missing, row: base.get(missing), local: local.get(missing), mirror: mirror.get(missing) }
    return { ...folder, what: isHere ? 'make here' : 'make there', mover: known.row.id }
  }

  /** The uppermost folder above or at the key that this side lacks; undefined if a file is there. */
  function firstMissing (side: ReadonlyMap<string, { kind: string }>, key: string): string | undefined {
    const above = parentOf(key)
    const parent = side.get(above)
    if (parent === undefined) return firstMissing(side, above)
    return parent.kind === 'folder' ? key : undefined
  }
}

/**
 * Finds where a row of the base is on this computer: at its path, also with other bytes, which is how many editors
 * save, but not with those that another file has there on the server; else at the one new path of its inode, of a file
 * with its bytes, because inodes are used again; else, if no other row lost these bytes, at the one new path with them.
 */
function localPlaces ({ base, local, mirror }: Trees): (key: string, row: BaseRow) => string | undefined {
  const byInode = new Map<string, string[]>()
  const byBytes = new Map<string, string[]>()
  const lost = new Map<string, number>()
  for (const [key, { kind, inode, sha256 }] of local) {
    if (key === '' || kind === 'other' || base.has(key)) continue
    addTo(byInode, inode, key)
    if (kind === 'file' && sha256 !== undefined) addTo(byBytes, sha256, key)
  }
  for (const [key, row] of base) {
    if (isLost(key, row) && row.kind === 'file') lost.set(row.sha256, (lost.get(row.sha256) ?? 0) + 1)
  }
  return (key, row) => {
    if (local.get(key)?.kind === row.kind && !isReplaced(key, row)) return key
    if (!isLost(key, row)) return undefined
    const same = (byInode.get(row.inode) ?? []).filter(place => isSame(row, local.get(place)))
    if (same.length > 0 || row.kind === 'folder') return only(same)
    return lost.get(row.sha256) === 1 ? only(byBytes.get(row.sha256) ?? []) : undefined
  }

  function isLost (key: string, row: BaseRow): boolean {
    const entry = local.get(key)
    if (entry === undefined) return isAbsent(local, key)
    return (entry.kind !== row.kind && entry.kind !== 'other') || isReplaced(key, row)
  }

  /** Whether it was downloaded, if the base is older than the folder. */
  function isReplaced (key: string, row: BaseRow): boolean {
    const [here, there] = [local.get(key), mirror.get(key)]
    return there !== undefined && there.id !== row.id && isSame(here, there) && !isSame(row, here)
  }
}

function planTable (trees: Trees, { waiting, allowedDeletions, isStuck }: PlanOptions): Plan {
  const { base, local, mirror } = trees
  const acts: Act[] = []
  const held: Act[] = []
  const waits = new Map<string, WaitReason>()
  const pending = pendingBytes(trees)
  const suspects = suspectedMoves(trees)
  // What is not hashed yet may have been moved just now: its row stays until then.
  const changing = new Set(Array.from(local.values(), ({ sha256, inode }) => sha256 === undefined ? inode : ''))
  const rowKeys = new Map(Array.from(base, ([key, { id }]) => [id, key]))
  const inLocal = new Map<string, number>()
  const inMirror = new Map<string, number>()
  for (const [key, { hasIgnored, isSettled, kind }] of local) {
    if (kind === 'folder') raise(inLocal, key, isSettled ? hasIgnored ? ONLY_IGNORED : EMPTY : WAITS)
  }
  // A folder with such things on the server is not empty.
  for (const [key, { hasIgnored }] of mirror) if (hasIgnored) raise(inMirror, key, STAYS)

  const keys = new Set(base.keys())
  for (const key of [...local.keys(), ...mirror.keys()]) if (key !== '') keys.add(key)
  for (const key of levelsOf(keys).reverse().flat()) {
    const [here, there] = decide(key)
    raise(inLocal, parentOf(key), here)
    raise(inMirror, parentOf(key), there)
  }
  if (isStuck) acts.push(...held.slice(0, 1))
  return { isMoves: false, waits, ...limitDeletions(trees, inOrder(acts), { waits, allowedDeletions }) }

  /** Adds the acts for a path. Returns what is left of it on this computer and on the server. */
  function decide (key: string): [here: number, there: number] {
    const [row, here, there] = [base.get(key), local.get(key), mirror.get(key)]
    const nothing = there === undefined ? EMPTY : WAITS
    if (isBelowAny(waiting, key)) return wait('refused', [WAITS, nothing])
    if (isBelowAny(suspects, key)) return wait('changing', [WAITS, nothing])
    if (here === undefined && !isAbsent(local, key)) return wait('unknown', [WAITS, nothing])
    if (here?.kind === 'file' && here.sha256 === undefined) return wait('changing', [WAITS, nothing])
    if (here?.kind === 'other') return [ONLY_IGNORED, there === undefined ? EMPTY : STAYS]
    const [isAsBase, isMirrorAsBase] = [isSame(row, here), isSame(row, there)]

    if (here === undefined) {
      if (changing.has(String(row?.inode))) return wait('changing', [EMPTY, nothing])
      if (there === undefined) return act('forget', [EMPTY, EMPTY])
      if (!isMirrorAsBase) return act(there?.kind === 'file' ? 'download' : 'make here', [STAYS, STAYS])
      if (row?.kind === 'file') return [EMPTY, removeThere()]
      const rest = inMirror.get(key) ?? EMPTY
      if (rest === STAYS) return act('make here', [STAYS, STAYS])
      return rest === EMPTY ? act('delete there', [EMPTY, EMPTY]) : [EMPTY, WAITS]
    }
    if (there === undefined) {
      if (isAsBase && row?.kind === 'file') return [removeHere(), EMPTY]
      const rest = here.kind === 'folder' ? inLocal.get(key) ?? EMPTY : STAYS
      if (rest === ONLY_IGNORED) return row === undefined ? [rest, EMPTY] : act('forget', [rest, EMPTY])
      // A new folder waits, too: that what it has is ignored may not be known yet.
      if (rest === WAITS) return wait('changing', [WAITS, EMPTY])
      if (isAsBase && rest === EMPTY) return act('delete here', [EMPTY, EMPTY])
      return act(here.kind === 'file' ? 'upload' : 'make there', [STAYS, STAYS])
    }
    if (here.kind === there.kind) {
      if (isSame(here, there)) {
        const isSettled = isAsBase && row?.id === there.id && row.stamp === here.stamp
        return isSettled ? [STAYS, STAYS] : act('settle', [STAYS, STAYS], formerOf(there))
      }
      if (isAsBase) return act('download', [STAYS, STAYS])
      return act(isMirrorAsBase ? 'upload' : 'conflict here', [STAYS, STAYS])
    }
    if (here.kind === 'file') {
      if (isAsBase) return [removeHere(), STAYS]
      const rest = isMirrorAsBase ? inMirror.get(key) ?? EMPTY : STAYS
      if (rest === STAYS) return act('conflict here', [STAYS, STAYS])
      return rest === EMPTY ? act('delete there', [STAYS, EMPTY]) : [STAYS, WAITS]
    }
    if (isMirrorAsBase) return [STAYS, removeThere()]
    const rest = isAsBase ? inLocal.get(key) ?? EMPTY : STAYS
    if (rest === STAYS || rest === ONLY_IGNORED) return act('conflict there', [STAYS, STAYS])
    return rest === EMPTY ? act('delete here', [EMPTY, STAYS]) : [WAITS, STAYS]

    function act (what: ActKind, left: [number, number], former?: string): [number, number] {
      acts.push(conflictOf({ what, key, row, local: here, mirror: there, former }))
      return left
    }

    /** Two rows of one file would make what a person wrote at its former path an edit of it, wherever it moves. */
    function formerOf ({ id }: MirrorEntry): string | undefined {
      const former = String(rowKeys.get(id))
      const other = local.get(former)
      const isOther = former !== key && other?.sha256 !== undefined && !isSame(base.get(former), other)
      return isOther ? former : undefined
    }

    function wait (reason: WaitReason, left: [number, number]): [number, number] {
      waits.set(key, reason)
      return left
    }

    function removeHere (): number {
      if (pending.isThere(row, key)) {
        held.push({ what: 'delete here', key, row, local: here, mirror: there })
        return wait('bytes elsewhere', [WAITS, WAITS])[0]
      }
      return act('delete here', [EMPTY, EMPTY])[0]
    }

    function removeThere (): number {
      if (pending.isHere(there, key)) return wait('bytes elsewhere', [WAITS, WAITS])[1]
      return act('delete there', [EMPTY, EMPTY])[1]
    }
  }

  /** A file with a conflict has a name of its own bytes, so that all computers make the same; a repeat makes none. */
  function conflictOf (act: Act, copy = 1): Act {
    const isHere = act.what === 'conflict here'
    const file = isHere ? act.local : act.what === 'conflict there' ? act.mirror : undefined
    if (file === undefined) return act
    const to = joined(parentOf(file.path), conflictName(lastOf(file.path), String(file.sha256), copy))
    const key = trees.keyOf(to)
    const [here, there] = [local.get(key), mirror.get(key)]
    if (key !== act.key && isHere && isSame(here, file)) return { ...act, what: 'delete here' }
    const isFree = here === undefined && !base.has(key) && (there === undefined || (isHere && isSame(there, file)))
    return isFree ? { ...act, to } : conflictOf(act, copy + 1)
  }
}

/** New paths of what may have been moved there just now: whether its former path is absent is not known yet. */
function suspectedMoves ({ base, local }: Trees): Set<string> {
  const isUnknown = (key: string) => !local.has(key) && !isAbsent(local, key)
  const unknown = new Map<string, Kind>()
  const suspects = new Set<string>()
  for (const [key, { inode, kind }] of base) if (isUnknown(key)) unknown.set(inode, kind)
  for (const [key, { inode, kind }] of local) if (!base.has(key) && unknown.get(inode) === kind) suspects.add(key)
  return suspects
}

/** Whether bytes are on a side under a name that is not agreed; of a file that is not hashed only its size is known. */
function pendingBytes ({ base, local, mirror }: Trees) {
  const here = new Map<string, string[]>()
  const there = new Map<string, string[]>()
  for (const [key, entry] of local) {
    if (entry.kind === 'file' && !isSame(base.get(key), entry)) addTo(here, entry.sha256 ?? `${entry.size}`, key)
  }
  for (const [key, entry] of mirror) {
    if (entry.kind === 'file' && !isSame(base.get(key), entry)) addTo(there, entry.sha256, key)
  }
  const isApart = (key: string) => (other: string) => !isWithin(key, other) && !isWithin(other, key)
  const has = (places: string[] = [], key: string) => places.some(isApart(key))
  return {
    isThere: (row: BaseRow | undefined, key: string) => has(there.get(String(row?.sha256)), key),
    isHere: (entry: MirrorEntry | undefined, key: string) =>
      has(here.get(String(entry?.sha256)), key) || has(here.get(`${entry?.size}`), key)
  }
}

interface DeletionLimit { readonly allowedDeletions: number, readonly waits: Map<string, WaitReason> }

/** None of many deletions on a side is made: a disk that is not mounted and a script that went wrong look the same. */
function limitDeletions (
  { base }: Trees, acts: Act[], { waits, allowedDeletions }: DeletionLimit
): { acts: Act[], deletions: number } {
  const files = Array.from(base.values()).filter(({ kind }) => kind === 'file').length
  const isMany = (count: number) =>
    count > FEW_DELETIONS && count > files * DELETED_SHARE && count > allowedDeletions
  let deletions = 0
  let rest = acts
  for (const what of ['delete here', 'delete there'] as const) {
    const count = acts.filter(act => act.what === what && act.row?.kind === 'file').length
    if (!isMany(count)) continue
    deletions = Math.max(deletions, count)
    for (const { key } of rest.filter(act => act.what === what)) waits.set(key, 'many deletions')
    rest = rest.filter(act => act.what !== what)
  }
  return { acts: rest, deletions }
}

/** Folders are made parents first, and deletions are last, the deepest first. `acts` have the deepest first. */
function inOrder (acts: Act[]): Act[] {
  const isMake = ({ what }: Act) => what === 'make here' || what === 'make there'
  const isDeletion = ({ what }: Act) => what === 'delete here' || what === 'delete there'
  const others = acts.filter(act => !isMake(act) && !isDeletion(act))
  return [...acts.filter(isMake).reverse(), ...others, ...acts.filter(isDeletion)]
}

/**
 * Whether nothing is at a path that is not in the tree. It is not known below what was not read, or changed meanwhile.
 */
export function isAbsent (local: ReadonlyMap<string, LocalEntry>, key: string): boolean {
  const parent = local.get(parentOf(key))
  if (parent === undefined) return isAbsent(local, parentOf(key))
  return parent.kind === 'file' || (parent.kind === 'folder' && parent.isSettled)
}

interface Content { readonly kind: string, readonly sha256: string | undefined }

function isSame (a: Content | undefined, b: Content | undefined): boolean {
  return a !== undefined && b !== undefined && a.kind === b.kind && a.sha256 === b.sha256 && a.sha256 !== undefined
}

/** Whether the path is the other one, or below it. */
export function isWithin (key: string, other: string): boolean {
  return key === other || key.startsWith(`${other}/`)
}

function isBelowAny (keys: ReadonlySet<string>, key: string): boolean {
  return keys.size > 0 && key !== '' && (keys.has(key) || isBelowAny(keys, parentOf(key)))
}

export function joined (folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

/** The keys of each depth, in their order. */
function levelsOf (keys: Iterable<string>): string[][] {
  const levels: string[][] = []
  for (const key of keys) (levels[depthOf(key)] ??= []).push(key)
  return levels
}

function depthOf (key: string): number {
  let depth = 0
  for (let slash = key.indexOf('/'); slash !== -1; slash = key.indexOf('/', slash + 1)) depth++
  return depth
}

function only<T> (values: readonly T[]): T | undefined {
  return values.length === 1 ? values[0] : undefined
}

function addTo (map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key)
  if (values === undefined) map.set(key, [value])
  else values.push(value)
}

function raise (levels: Map<string, number>, key: string, level: number): void {
  if (level > (levels.get(key) ?? EMPTY)) levels.set(key, level)
}
