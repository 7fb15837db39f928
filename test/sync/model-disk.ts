import type { Disk, DiskEntry } from '#src/sync/ports.ts'

/** A file system in memory, of one computer. Inodes are used again at once. */
export interface ModelNode {
  readonly inode: number
  readonly children: Map<string, ModelNode> | undefined
  content: string
  modifiedAt: number
  changedAt: number
}

export class DiskError extends Error {
  readonly code: string

  constructor (code: string, path: string) {
    super(`${code} ${path}`)
    this.code = code
  }
}

export interface ModelClock { now: number }

/** The size of a content: some have the same. */
export const sizeOf = (content: string) => content.length === 0 ? 0 : 1 + Number.parseInt(content, 16) % 3

export function createModelDisk (clock: ModelClock, folds = false) {
  const free: number[] = []
  let last = 0
  const root = makeNode(true)
  const keyOf = (name: string) => folds ? name.toLowerCase() : name

  function makeNode (isFolder: boolean, content = ''): ModelNode {
    const inode = free.pop() ?? ++last
    return { inode, children: isFolder ? new Map() : undefined, content, modifiedAt: clock.now, changedAt: clock.now }
  }

  function split (path: string): { folder: Map<string, ModelNode>, parent: ModelNode, name: string } {
    const names = path.split('/')
    const name = String(names.pop())
    let parent = root
    for (const step of names) {
      const next = findIn(parent, step)
      if (next === undefined) throw new DiskError('ENOENT', path)
      parent = next
    }
    if (parent.children === undefined) throw new DiskError('ENOTDIR', path)
    return { folder: parent.children, parent, name: nameIn(parent, name) }
  }

  /** The name as it is written, on a disk that folds case. */
  function nameIn (parent: ModelNode, name: string): string {
    return Array.from(parent.children?.keys() ?? []).find(other => keyOf(other) === keyOf(name)) ?? name
  }

  function findIn (parent: ModelNode, name: string): ModelNode | undefined {
    return parent.children?.get(nameIn(parent, name))
  }

  function find (path: string): ModelNode | undefined {
    if (path === '') return root
    let node: ModelNode | undefined = root
    for (const step of path.split('/')) node = node && findIn(node, step)
    return node
  }

  function touch (node: ModelNode): void {
    node.changedAt = clock.now
  }

  function get (path: string): ModelNode {
    const node = find(path)
    if (node === undefined) throw new DiskError('ENOENT', path)
    return node
  }

  const disk = {
    root,
    find,
    exists: (path: string) => find(path) !== undefined,

    write (path: string, content: string): void {
      const { folder, parent, name } = split(path)
      const node = folder.get(name)
      if (node?.children !== undefined) throw new DiskError('EISDIR', path)
      if (node === undefined) {
        folder.set(name, makeNode(false, content))
        touch(parent)
      } else {
        Object.assign(node, { content, modifiedAt: clock.now, changedAt: clock.now })
      }
    },

    makeFolder (path: string): void {
      const { folder, parent, name } = split(path)
      if (folder.has(name)) throw new DiskError('EEXIST', path)
      folder.set(name, makeNode(true))
      touch(parent)
    },

    /** Of a file, it replaces another one, as the system call does. */
    rename (from: string, to: string): void {
      const node = get(from)
      const target = split(to)
      const source = split(from)
      const replaced = target.folder.get(target.name)
      if (replaced === node) {
        source.folder.delete(source.name)
        target.folder.set(to.slice(to.lastIndexOf('/') + 1), node)
        return
      }
      if (`${to}/`.startsWith(`${from}/`)) throw new DiskError('EINVAL', to)
      if (replaced !== undefined && (replaced.children?.size ?? 0) > 0) throw new DiskError('ENOTEMPTY', to)
      if (replaced !== undefined && (replaced.children === undefined) !== (node.children === undefined)) throw new DiskError('ENOTDIR', to)
      source.folder.delete(source.name)
      if (replaced !== undefined) {
        target.folder.delete(target.name)
        release(replaced)
      }
      target.folder.set(target.name, node)
      for (const changed of [node, source.parent, target.parent]) touch(changed)
    },

    link (from: string, to: string): void {
      const node = get(from)
      const { folder, parent, name } = split(to)
      if (node.children !== undefined) throw new DiskError('EPERM', from)
      if (folder.has(name)) throw new DiskError('EEXIST', to)
      folder.set(name, node)
      for (const changed of [node, parent]) touch(changed)
    },

    unlink (path: string): void {
      const { folder, parent, name } = split(path)
      const node = folder.get(name)
      if (node === undefined) throw new DiskError('ENOENT', path)
      if (node.children !== undefined) throw new DiskError('EISDIR', path)
      folder.delete(name)
      touch(parent)
      touch(node)
      release(node)
    },

    removeFolder (path: string): void {
      const { folder, parent, name } = split(path)
      const node = folder.get(name)
      if (node === undefined) throw new DiskError('ENOENT', path)
      if (node.children === undefined) throw new DiskError('ENOTDIR', path)
      if (node.children.size > 0) throw new DiskError('ENOTEMPTY', path)
      folder.delete(name)
      touch(parent)
      release(node)
    },

    /** A file or folder with all that is in it. */
    removeAll (path: string): void {
      const node = get(path)
      for (const name of node.children?.keys() ?? []) disk.removeAll(`${path}/${name}`)
      if (node.children === undefined) disk.unlink(path)
      else disk.removeFolder(path)
    },

    stat (path: string): DiskEntry | undefined {
      const node = find(path)
      if (node === undefined) return undefined
      const { children, content, modifiedAt, changedAt } = node
      const [inode, size] = [String(node.inode), sizeOf(content)]
      if (children !== undefined) return { kind: 'folder', inode, stamp: inode, size: 0, changedAt }
      return { kind: 'file', inode, stamp: `${inode} ${size} ${modifiedAt} ${changedAt}`, size, changedAt }
    },

    list: (path: string) => Array.from(find(path)?.children?.keys() ?? []),

    /** Contents by path; '' of a folder. */
    tree (path = ''): Map<string, string> {
      const all = new Map<string, string>()
      const visit = (node: ModelNode, path: string) => {
        for (const [name, child] of node.children ?? []) {
          const place = path === '' ? name : `${path}/${name}`
          if (place === '.magicstore') continue
          all.set(place, child.children === undefined ? child.content : '')
          visit(child, place)
        }
      }
      visit(path === '' ? root : get(path), path)
      return all
    }
  }
  return disk

  /** The inode is free once the last name is gone. */
  function release (node: ModelNode): void {
    const isUsed = (folder: ModelNode): boolean =>
      Array.from(folder.children?.values() ?? []).some(child => child === node || isUsed(child))
    if (!isUsed(root)) free.push(node.inode)
  }
}

export type ModelDisk = ReturnType<typeof createModelDisk>

/** The disk as sync uses it: before each call, `step` may let others act, or end the process. */
export function portOf (model: ModelDisk, clock: ModelClock, step: () => void): Disk {
  const stepped = <Args extends unknown[], Result>(call: (...args: Args) => Result) => (...args: Args): Result => {
    step()
    return call(...args)
  }
  const unlink = stepped(model.unlink)
  const link = stepped(model.link)
  return {
    stat: stepped(model.stat),
    list: stepped((path: string) => model.find(path)?.children && model.list(path)),
    async hash (path) {
      step()
      const before = model.stat(path)
      const content = model.find(path)?.content
      step()
      await null
      const after = model.stat(path)
      if (before === undefined || before.stamp !== after?.stamp) return undefined
      return { stamp: after.stamp, sha256: String(content) }
    },
    makeFolder: stepped(model.makeFolder),
    removeFolder: stepped(model.removeFolder),
    rename: stepped((from: string, to: string) => {
      // That of a folder takes the place of an empty folder at most.
      const isFile = model.exists(from) && model.find(from)?.children === undefined
      if (isFile && model.exists(to)) throw new Error(`sync replaces ${to}`)
      model.rename(from, to)
    }),
    move (from, to) {
      link(from, to)
      unlink(from)
    },
    unlink (path) {
      if (!path.startsWith('.magicstore/tmp/')) throw new Error(`sync deletes ${path}`)
      unlink(path)
    },
    now: () => { step(); return clock.now },
    elapsed: () => clock.now
  }
}
