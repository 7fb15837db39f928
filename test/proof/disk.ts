import { createFolders, type FileNode, type Folder, type NameOrder, type Node } from './folders.ts'
import type { Random } from '../kit/random.ts'
import type { Survival } from './stored-file.ts'
import type { Moment, SystemCall } from './system-calls.ts'

/** The content of a disk: the bytes of each file by its path, and `undefined` for a folder. */
export type Image = ReadonlyMap<string, Buffer | undefined>

/** What survives of unsynced changes; `some` is decided at random for each file and folder. */
const CUTS: { names: 'nothing' | 'all' | 'some', bytes: 'nothing' | 'all' | 'some' }[] = [
  { names: 'nothing', bytes: 'nothing' },
  { names: 'all', bytes: 'nothing' },
  { names: 'nothing', bytes: 'all' },
  { names: 'some', bytes: 'all' },
  { names: 'some', bytes: 'nothing' },
  { names: 'all', bytes: 'some' },
  { names: 'some', bytes: 'some' },
  { names: 'some', bytes: 'some' }
]

/** A disk below the folder `root`, which is empty and durable. */
export interface Disk {
  /** Applies a call when it has returned. */
  observe (moment: Moment): void
  /** Closes all files, because their processes have exited. */
  closeAll (): void
  /** The content visible to the next process. */
  asSeen (): Image
  /** The content after a power cut now. */
  afterPowerCut (random: Random): Image
}

interface OpenFile { readonly node: Node, readonly isAppending: boolean, position: number }

/**
 * A model of a disk that tracks what is durable: changes of a file or folder made before a sync of it began, once that
 * sync has returned. With a journal, the sync of a file also makes its names durable, and all earlier name changes.
 */
export function createDisk (root: string, order: NameOrder): Disk {
  const folders = createFolders(order)
  const open = new Map<number, OpenFile>()
  const syncing = new Map<SystemCall, { node: Node, before: number }>()
  const writing = new Map<SystemCall, OpenFile>()
  let changes = 0

  /** Undefined outside the root. */
  function pathOf (bytes: Buffer | undefined): string[] | undefined {
    const path = String(bytes)
    return path.startsWith(`${root}/`) ? path.slice(root.length + 1).split('/').filter(name => name !== '') : undefined
  }

  /** Resolves the descriptor when the call begins: it may be closed and reused before strace reports the return. */
  function begin (call: SystemCall): void {
    const descriptor = Number(call.args[0])
    const file = open.get(descriptor)
    if (call.name === 'close') open.delete(descriptor)
    else if (file !== undefined && /sync$/.test(call.name)) syncing.set(call, { node: file.node, before: changes })
    else if (file !== undefined && /write|ftruncate/.test(call.name)) writing.set(call, file)
  }

  function end (call: SystemCall, result: number): void {
    switch (call.name) {
      case 'fsync': case 'fdatasync': return sync(call)
      case 'write': case 'writev': case 'pwrite64': return write(call, result)
      case 'ftruncate': return resize(writing.get(call)?.node, Number(call.args[1]))
      case 'close': return
    }
    const [path, target] = call.strings.map(pathOf)
    switch (call.name) {
      case 'openat': return openFile(call, path, result)
      case 'mkdir': return path && folders.makeFolder(path, changes++)
      case 'unlink': case 'rmdir': return path && folders.remove(path, changes++)
      case 'link': if (path !== undefined && target !== undefined) folders.link(path, target, changes++)
        return
      case 'rename': if (path !== undefined && target !== undefined) folders.move(path, target, changes++)
    }
  }

  function openFile ({ args }: SystemCall, path: string[] | undefined, descriptor: number): void {
    open.delete(descriptor)
    if (path === undefined) return
    const flags = String(args[2])
    const found = folders.find(path)
    // If a file is only read, the rename that gave it this name may not have been reported as finished yet.
    const node = found ?? (flags.includes('O_CREAT') ? folders.makeFile(path, changes++) : undefined)
    if (node === undefined) return
    if (found !== undefined && flags.includes('O_TRUNC')) resize(node, 0)
    open.set(descriptor, { node, position: 0, isAppending: flags.includes('O_APPEND') })
  }

  function resize (node: Node | undefined, size: number): void {
    if (node !== undefined && 'file' in node) node.file.change({ at: changes++, size })
  }

  function write (call: SystemCall, written: number): void {
    const file = writing.get(call)
    writing.delete(call)
    if (file === undefined || !('file' in file.node)) return
    const isPositioned = call.name === 'pwrite64'
    const end = file.isAppending ? file.node.file.asSeen().length : file.position
    const offset = isPositioned ? Number(call.args[3]) : end
    if (!isPositioned) file.position += written
    file.node.file.change({ at: changes++, offset, bytes: Buffer.concat(call.strings).subarray(0, written) })
  }

  function sync (call: SystemCall): void {
    const { node, before } = syncing.get(call) ?? {}
    if (node === undefined || before === undefined) return
    if ('file' in node) node.file.sync(before)
    folders.sync(node, before)
  }

  return {
    observe ({ call, isEnd }) {
      if (!isEnd) begin(call)
      else if (call.result !== undefined && call.result >= 0) end(call, call.result)
    },
    closeAll: () => { open.clear() },
    asSeen: () => imageOf(folders.root, node => node.file.asSeen()),
    afterPowerCut (random) {
      const cut = random.pick(CUTS)
      const isOrdered = order === 'journal'
      const survivalOf = (): Survival => cut.bytes === 'some' ? random.pick(['nothing', 'all', 'first', 'blocks']) : cut.bytes
      const names = folders.afterPowerCut(random, cut.names)
      return imageOf(names, ({ file }) => file.afterPowerCut(random, { survival: survivalOf(), isOrdered }))
    }
  }
}

function imageOf (folder: Folder, bytesOf: (node: FileNode) => Buffer): Image {
  return new Map(entriesOf(folder, '', bytesOf))
}

function * entriesOf (
  folder: Folder, prefix: string, bytesOf: (node: FileNode) => Buffer
): Generator<[string, Buffer | undefined]> {
  for (const [name, node] of folder.entries) {
    const path = prefix + name
    yield [path, 'file' in node ? bytesOf(node) : undefined]
    if ('entries' in node) yield * entriesOf(node, `${path}/`, bytesOf)
  }
}
