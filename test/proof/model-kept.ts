import { sha256Of } from '../kit/digests.ts'
import { UNTOLD } from './model-folders.ts'
import type { KeptContent, Span, State, StoredFile } from './model.ts'

// What the model keeps: versions of files, and deleted files with theirs. Each list has an order, but what has to make
// room is chosen among all lists. The server decides between contents that were kept in the same millisecond by their
// ids, which only its listings show: where these are not known yet, every order is possible.

/** One entry of a listing of versions or of the trash. */
export interface Listed {
  readonly id: string
  readonly name?: string
  readonly size: number
  readonly type: string
  readonly sha256: string
  readonly createdAt?: string
  readonly replacedAt?: string
  readonly deletedAt?: string
  readonly expiresAt: string
  readonly versions?: number
  readonly deletedWith?: string | null
}

/** What a user sees of all that is kept: the versions by the name of the file, and the trash. */
export interface ListedKept {
  readonly versions: ReadonlyMap<string, readonly Listed[]>
  readonly trash: readonly Listed[]
}

type Kept = readonly KeptContent[]

export const bytesOfKept = (kept: Kept): number => kept.reduce((sum, { bytes }) => sum + bytes.length, 0)

export const versionsOf = ({ kept }: Pick<State, 'kept'>, { serial }: { serial: number }): KeptContent[] =>
  newestFirst(kept.filter(content => content.serial === serial && content.name === undefined))

export const trashOf = ({ kept }: Pick<State, 'kept'>): KeptContent[] => newestFirst(kept.filter(({ name }) => name !== undefined))

/** In the order of the listings, as far as it is known. */
function newestFirst (contents: KeptContent[]): KeptContent[] {
  return contents.sort((a, b) => b.keptAt.from - a.keptAt.from || (String(a.id) < String(b.id) ? 1 : -1))
}

/** The content of a file that is replaced or deleted. */
export function contentOf (
  { serial, bytes, type, storedAt, createdAt }: StoredFile, keptAt: Span, name?: string
): KeptContent {
  return { id: undefined, serial, name, bytes, type, storedAt, createdAt, keptAt, deletedWith: null }
}

/** When something is kept that enters a list: after all that is in it. */
export function timeAfter (list: Kept, { from, to }: Span): Span {
  return {
    from: Math.max(from, ...list.map(({ keptAt }) => keptAt.from + 1)),
    to: Math.max(to, ...list.map(({ keptAt }) => keptAt.to + 1))
  }
}

/** Without a content; a deleted file goes with its versions. */
export function withoutContent (kept: Kept, content: KeptContent): Kept {
  return kept.filter(other => other !== content && (content.name === undefined || other.serial !== content.serial))
}

/** Whether the server certainly treats `a` as older than `b`. */
function isBefore (a: KeptContent, b: KeptContent): boolean {
  const isSame = a.keptAt.from === a.keptAt.to && b.keptAt.from === b.keptAt.to && a.keptAt.from === b.keptAt.from
  return a.keptAt.to < b.keptAt.from || (isSame && a.id !== undefined && b.id !== undefined && a.id < b.id)
}

/** Those that may be the oldest. */
function oldestOf (contents: Kept): Kept {
  return contents.filter(content => !contents.some(other => isBefore(other, content)))
}

/** What may be left after the oldest of `among` was deleted, as often as `isEnough` demands. */
function withoutOldest (kept: Kept, among: (left: Kept) => Kept, isEnough: (left: Kept) => boolean): Kept[] {
  const oldest = oldestOf(among(kept))
  if (isEnough(kept) || oldest.length === 0) return [kept]
  return oldest.flatMap(content => withoutOldest(withoutContent(kept, content), among, isEnough))
}

/**
 * What may be left after content was deleted to make room for `usedBytes` of files: `newest` last, and never empty
 * content.
 */
export function afterMakingRoom (
  kept: Kept,
  { usedBytes, quotaBytes, newest }: { usedBytes: number, quotaBytes: number, newest?: KeptContent | undefined }
): Kept[] {
  const isEnough = (left: Kept) => usedBytes + bytesOfKept(left) <= quotaBytes
  function among (left: Kept): Kept {
    const full = left.filter(({ bytes }) => bytes.length > 0)
    const others = full.filter(content => content !== newest)
    return others.length > 0 ? others : full
  }
  return withoutOldest(kept, among, isEnough)
}

/** What is kept after a file got other bytes, and the version that this made: none of the same bytes, and of none. */
export function afterReplacing (
  kept: Kept, { file, bytes, at, keptVersions }: { file: StoredFile, bytes: Buffer, at: number, keptVersions: number }
): { kept: Kept, newest: KeptContent | undefined }[] {
  if (file.bytes.length === 0 || bytes.equals(file.bytes)) return [{ kept, newest: undefined }]
  const newest = contentOf(file, timeAfter(versionsOf({ kept }, file), { from: at, to: at }))
  const others = (left: Kept) => versionsOf({ kept: left }, file).filter(content => content !== newest)
  return withoutOldest([...kept, newest], others, left => others(left).length < keptVersions)
    .map(left => ({ kept: left, newest }))
}

/** The state with the ids and times of the listing; undefined if the listing does not match it. */
export function matchListed (state: State, listed: ListedKept, keptMilliseconds: number): State | undefined {
  let kept: KeptContent[] = [...state.kept]
  const pairs: [contents: KeptContent[], entries: readonly Listed[]][] = [
    ...Array.from(state.files.values(), (file): [KeptContent[], readonly Listed[]] =>
      [versionsOf(state, file), listed.versions.get(file.name) ?? []]),
    [trashOf(state), listed.trash]
  ]
  for (const [contents, entries] of pairs) {
    if (contents.length !== entries.length || !isInOrder(entries)) return undefined
    for (const entry of entries) {
      const at = { from: timeOf(entry), to: timeOf(entry) }
      const fitting = contents.filter(content => fits(content, entry, state, keptMilliseconds))
      const content = fitting.find(({ id }) => id !== undefined) ?? fitting[0]
      if (content === undefined) return undefined
      contents.splice(contents.indexOf(content), 1)
      kept = kept.map(other =>
        other === content ? { ...content, id: entry.id, keptAt: at, deletedWith: entry.deletedWith ?? null } : other)
    }
  }
  return { ...state, kept }
}

const timeOf = ({ replacedAt, deletedAt }: Listed) => Date.parse(String(replacedAt ?? deletedAt))

/** Newest first; what one act of a recursive deletion took has one time, and is ordered by its ids. */
function isInOrder (entries: readonly Listed[]): boolean {
  return entries.slice(1).every((entry, index) => isNewer(entries[index] as Listed, entry))
}

function isNewer (a: Listed, b: Listed): boolean {
  const later = timeOf(a) - timeOf(b)
  return later > 0 || (later === 0 && a.id > b.id && a.deletedWith != null && a.deletedWith === b.deletedWith)
}

function fits (content: KeptContent, entry: Listed, state: State, keptMilliseconds: number): boolean {
  const { id, name, bytes, type, storedAt, keptAt, deletedWith } = content
  const at = timeOf(entry)
  const own = name === undefined
    ? Date.parse(String(entry.createdAt)) === storedAt
    : entry.name === name && entry.versions === versionsOf(state, content).length
  const isOfDeletion = deletedWith === UNTOLD ? typeof entry.deletedWith === 'string' : (entry.deletedWith ?? null) === deletedWith
  return own && isOfDeletion && (id === undefined || id === entry.id) &&
    entry.size === bytes.length && entry.type === type && entry.sha256 === sha256Of(bytes) &&
    at >= keptAt.from && at <= keptAt.to && Date.parse(entry.expiresAt) === at + keptMilliseconds
}
