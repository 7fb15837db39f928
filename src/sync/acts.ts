import { Outdated, TMP, MARK, type DiskActs } from './disk-acts.ts'
import { parentOf } from './names.ts'
import { joined, type Act, type BaseRow, type LocalEntry, type MirrorEntry, type Trees } from './plan.ts'
import type { Disk, Remote, State, ServerEntry, RemoteTarget } from './ports.ts'
import { insideOf, movedRows, movedTo, nameOf, rowOf } from './trees.ts'

/** The trees of one pass, which its acts change. */
export interface PassTrees extends Trees {
  readonly local: Map<string, LocalEntry>
  readonly mirror: Map<string, MirrorEntry>
  /** The path of the folder on the server. */
  readonly rootPath: string
  /** Paths of the server that are left alone. */
  readonly left: readonly string[]
}

export interface ActContext {
  readonly disk: Disk
  readonly diskActs: DiskActs
  readonly remote: Remote
  readonly state: State
  readonly trees: PassTrees
  readonly newName: () => string
}

/** Makes one act. @throws {Outdated} if what it was planned for no longer holds, RemoteError, errors of the system. */
export async function carryOut (act: Act, context: ActContext): Promise<void> {
  const { key, row, local, mirror, former, to = '' } = act
  const { disk, diskActs, remote, state, trees, newName } = context
  switch (act.what) {
    case 'settle': return settle()
    case 'forget': return state.commit({ base: [[key, undefined]] })
    case 'move': return moveRows(known(local))
    case 'move here': return moveHere()
    case 'move there': return moveThere()
    case 'make here': return makeHere()
    case 'make there': return makeThere()
    case 'download': return download()
    case 'upload': return upload()
    case 'conflict here': return renameLocal()
    case 'conflict there': return renameRemote()
    case 'delete here': return deleteHere()
    case 'delete there': return deleteThere()
  }

  function settle (): void {
    const settled = rowOf(known(local), known(mirror))
    // Of files that changed their names, the other one may have been settled there just now.
    const isLeft = former !== undefined && state.base.get(former)?.id === settled.id
    state.commit({ base: [...isLeft ? [[former, undefined] as const] : [], [key, settled]] })
  }

  /** The row of a move. It is not yet of what a person wrote since: a stamp stands for its bytes. */
  function movedRow ({ path, sha256, stamp }: LocalEntry): BaseRow {
    return { ...known(row), path, stamp: sha256 === row?.sha256 ? stamp : '' }
  }

  function moveRows (entry: LocalEntry, stored?: ServerEntry): void {
    const moved = movedRow(entry)
    state.commit({
      base: movedRows(trees.base, { from: key, to: moved, keyOf: trees.keyOf }),
      doing: [[key, undefined]],
      ...stored && { mirror: [[moved.id, stored] as const] }
    })
  }

  async function moveHere (): Promise<void> {
    const from = known(local)
    const stamp = await diskActs.move(from, to)
    moveTree(trees.local, from.path, to, trees)
    const moved = { ...from, path: to, stamp }
    trees.local.set(trees.keyOf(to), moved)
    moveRows(moved)
  }

  async function moveThere (): Promise<void> {
    const [entry, from] = [known(local), known(mirror)]
    requireInode(entry)
    const moved = movedRow(entry)
    state.commit({ doing: [[key, { what: 'move', row: moved, from: key }]] })
    const stored = await remote.move(targetOf(from), remotePath(to), folderId(to))
    moveTree(trees.mirror, from.path, to, trees)
    moveRows(entry, stored)
  }

  function makeHere (): void {
    const stored = known(mirror)
    const place = placeOf(trees.local, stored.path)
    const inode = diskActs.makeFolder(place)
    const fields = { sha256: '', inode, stamp: inode, size: 0, isSettled: true, hasIgnored: false } as const
    const entry = { path: place, kind: 'folder', ...fields } as const
    trees.local.set(key, entry)
    state.commit({ base: [[key, rowOf(entry, stored)]] })
  }

  async function makeThere (): Promise<void> {
    const entry = known(local)
    requireInode(entry)
    const path = placeOf(trees.mirror, entry.path)
    const stored = await remote.makeFolder(remotePath(path), folderId(path))
    trees.mirror.set(key, { path, id: stored.id, kind: 'folder', sha256: '', size: 0, hasIgnored: false })
    state.commit({ mirror: [[stored.id, stored]], base: [[key, rowOf(entry, stored)]] })
  }

  async function download (): Promise<void> {
    const entry = known(mirror)
    const place = local?.path ?? placeOf(trees.local, entry.path)
    if (local !== undefined) diskActs.requireSame(local)
    const tmp = `${TMP}/${newName()}`
    const { sha256, size } = entry
    const modifiedAt = state.mirror.get(entry.id)?.modifiedAt ?? null
    await remote.download(targetOf(entry), { sha256, size, modifiedAt, to: tmp, like: local?.path })
    const { stamp } = known(disk.stat(tmp))
    diskActs.requireFolders(place)
    const aside = local === undefined ? undefined : await diskActs.setAside(local)
    // If this fails, the next pass brings back what is aside.
    disk.move(tmp, place)
    const inode = String(disk.stat(place)?.inode)
    const placed = { path: place, inode, stamp: diskActs.stampOf(place, stamp) }
    state.commit({ base: [[key, rowOf(placed, entry)]] })
    if (aside !== undefined) diskActs.keep(aside, place)
  }

  async function upload (): Promise<void> {
    const entry = known(local)
    diskActs.requireSame(entry)
    const path = mirror?.path ?? placeOf(trees.mirror, entry.path)
    const content = { kind: 'file', sha256: String(entry.sha256) } as const
    state.commit({ doing: [[key, { what: 'upload', row: rowOf(entry, { id: '', ...content }), from: key }]] })
    const stored = await remote.upload({
      path: remotePath(path),
      folderId: folderId(path),
      source: entry.path,
      size: entry.size,
      sha256: content.sha256,
      replaces: mirror?.sha256
    })
    const base = [[key, rowOf(entry, stored)]] as const
    state.commit({ mirror: [[stored.id, stored]], base, doing: [[key, undefined]] })
  }

  /** The row goes first: after a kill, the file under its new name must not look like a move. */
  async function renameLocal (): Promise<void> {
    const entry = known(local)
    diskActs.requireSame(entry)
    state.commit({ base: [[key, undefined]] })
    await diskActs.move(entry, to)
  }

  async function renameRemote (): Promise<void> {
    const entry = known(mirror)
    requireInode(known(local))
    const stored = await remote.move(targetOf(entry), remotePath(to), folderId(to))
    state.commit({ mirror: [[stored.id, stored]] })
  }

  async function deleteHere (): Promise<void> {
    const entry = known(local)
    if (entry.kind === 'folder') diskActs.removeFolder(entry)
    const aside = entry.kind === 'folder' ? undefined : await diskActs.setAside(entry)
    state.commit({ base: [[key, undefined]] })
    if (aside !== undefined) diskActs.keep(aside, entry.path)
  }

  async function deleteThere (): Promise<void> {
    const entry = known(mirror)
    const [path, expected] = [known(row).path, local?.kind]
    if (disk.stat(path)?.kind !== expected) throw new Outdated(path)
    requireInode(folderAbove(key))
    if (disk.stat(MARK) === undefined) throw new Outdated(MARK)
    state.commit({ doing: [[key, { what: 'delete', row: known(row), from: key }]] })
    await remote.remove(targetOf(entry), entry.sha256)
    state.commit({ mirror: [[entry.id, undefined]], base: [[key, undefined]], doing: [[key, undefined]] })
  }

  /** The nearest folder above that was read. */
  function folderAbove (place: string): LocalEntry {
    const above = trees.local.get(parentOf(place))
    return above?.kind === 'folder' ? above : folderAbove(parentOf(place))
  }

  function requireInode ({ path, inode }: LocalEntry): void {
    if (disk.stat(path)?.inode !== inode) throw new Outdated(path)
  }

  function targetOf ({ kind, path, id }: MirrorEntry): RemoteTarget {
    return { kind, path: remotePath(path), id }
  }

  function remotePath (path: string): string {
    return joined(trees.rootPath, path)
  }

  function folderId (path: string): string {
    return folderIn(trees.mirror, trees.keyOf(parentOf(path))).id
  }

  /** Where a path of one side is on the other: the names above may be written in another way. */
  function placeOf (side: Map<string, { path: string, kind: string, id?: string }>, path: string): string {
    const folder = folderIn(side, trees.keyOf(parentOf(path)))
    return joined(folder.path, nameOf(path))
  }
}

/** Writes what a move or a new folder would do into the trees, for a plan that is only shown. */
export function pretendMove (act: Act, trees: PassTrees, base: Map<string, BaseRow>): void {
  const { what, key, row, local, mirror, to = '' } = act
  if (what === 'make here' && mirror !== undefined) {
    const { path, sha256, size, hasIgnored } = mirror
    const placed = { path, kind: 'folder', sha256, size, hasIgnored, inode: '', stamp: '', isSettled: true } as const
    trees.local.set(key, placed)
  }
  if (what === 'make there' && local !== undefined) {
    trees.mirror.set(key, { path: local.path, id: '', kind: 'folder', sha256: '', size: 0, hasIgnored: false })
  }
  if (!what.startsWith('move') || row === undefined || local === undefined || mirror === undefined) return
  if (what === 'move here') moveTree(trees.local, local.path, to, trees)
  if (what === 'move there') moveTree(trees.mirror, mirror.path, to, trees)
  for (const [rowKey, moved] of movedRows(base, { from: key, to: { ...row, path: to }, keyOf: trees.keyOf })) {
    if (moved === undefined) base.delete(rowKey)
    else base.set(rowKey, moved)
  }
}

function folderIn<T extends { kind: string }> (side: ReadonlyMap<string, T>, key: string): T {
  const folder = side.get(key)
  if (folder?.kind !== 'folder') throw new Outdated(key)
  return folder
}

/** What an act is about is there: the plan made it of that. */
function known<T> (value: T | undefined): T {
  return value as T
}

function moveTree<T extends { path: string, kind: string }> (
  tree: Map<string, T>, from: string, to: string, { keyOf }: Trees
): void {
  const moved = Array.from(insideOf(tree, keyOf(from)))
  for (const [key] of moved) tree.delete(key)
  for (const [, entry] of moved) {
    const next = movedTo(entry, from, to)
    tree.set(keyOf(next.path), next)
  }
}
