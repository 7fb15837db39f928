import { createHash } from 'node:crypto'
import {
  closeSync, fstatSync, fsyncSync, linkSync, lstatSync, mkdirSync, openSync, readdirSync, readSync, renameSync,
  rmdirSync, unlinkSync, utimesSync, writeFileSync, type BigIntStats
} from 'node:fs'
import { platform } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { parentOf } from './names.ts'
import type { Disk, DiskEntry } from './ports.ts'
import { OWN_FOLDER } from './trees.ts'

const NANOSECONDS = 1_000_000n

const CHUNK_BYTES = 256 * 1024

/** Error codes of file systems without hard links. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']

/**
 * A folder of this computer, with its own folder in it. `onRead` is told how many bytes of a file were read to know
 * what it is. @throws an error of the system if it is not there.
 */
export function openFolderDisk (root: string, onRead?: (count: number) => void): Disk {
  const { dev } = lstatSync(root, { bigint: true })
  for (const name of ['tmp', 'aside', 'kept']) mkdirSync(at(join(OWN_FOLDER, name)), { recursive: true, mode: 0o700 })
  const clock = at(`${OWN_FOLDER}/clock`)
  const hasBirth = isBirthKnown()
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)

  function at (path: string): string {
    return join(root, path)
  }

  function describe (stat: BigIntStats): DiskEntry {
    const kind = stat.isFile() ? 'file' : stat.isDirectory() && stat.dev === dev ? 'folder' : 'other'
    const inode = `${stat.dev}:${stat.ino}${hasBirth ? `:${stat.birthtimeNs}` : ''}`
    const stamp = kind === 'file' ? `${inode} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}` : inode
    return { kind, inode, stamp, size: Number(stat.size), changedAt: Number(stat.ctimeNs / NANOSECONDS) }
  }

  /** Whether the file system keeps the time of birth; Node.js gives the time of the last change for it otherwise. */
  function isBirthKnown (): boolean {
    writeFileSync(clock, '')
    const born = lstatSync(clock, { bigint: true })
    for (;;) {
      utimesSync(clock, 0, 0)
      const now = lstatSync(clock, { bigint: true })
      if (now.ctimeNs !== born.ctimeNs) return now.birthtimeNs === born.birthtimeNs && now.birthtimeNs !== 0n
    }
  }

  function openFile (path: string): number | undefined {
    try {
      return openSync(at(path), 'r')
    } catch {
      return undefined
    }
  }

  /** Makes the names in a folder durable. Windows can't open one. */
  function sync (path: string): void {
    if (platform() === 'win32') return
    const handle = openSync(at(path), 'r')
    try {
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
  }

  return {
    stat (path) {
      const stat = lstatSync(at(path), { bigint: true, throwIfNoEntry: false })
      return stat && describe(stat)
    },
    list (path) {
      try {
        return readdirSync(at(path))
      } catch {
        return undefined
      }
    },
    async hash (path) {
      const handle = openFile(path)
      if (handle === undefined) return undefined
      try {
        const { stamp } = describe(fstatSync(handle, { bigint: true }))
        const hash = createHash('sha256')
        for (let length = -1; length !== 0;) {
          length = readSync(handle, chunk)
          hash.update(chunk.subarray(0, length))
          onRead?.(length)
          // Between the parts of a large file, transfers go on.
          if (length === chunk.length) await setImmediate()
        }
        const isSame = describe(fstatSync(handle, { bigint: true })).stamp === stamp
        return isSame ? { stamp, sha256: hash.digest('hex') } : undefined
      } finally {
        closeSync(handle)
      }
    },
    makeFolder: path => mkdirSync(at(path)),
    removeFolder: path => rmdirSync(at(path)),
    rename: (from, to) => renameSync(at(from), at(to)),
    move (from, to) {
      try {
        linkSync(at(from), at(to))
      } catch (error) {
        if (!NO_LINKS.includes(String((error as NodeJS.ErrnoException).code))) throw error
        const isTaken = lstatSync(at(to), { throwIfNoEntry: false }) !== undefined
        if (isTaken) throw Object.assign(new Error(`${to} is there`), { code: 'EEXIST' })
        renameSync(at(from), at(to))
        return sync(parentOf(to))
      }
      unlinkSync(at(from))
      sync(parentOf(to))
    },
    unlink: path => unlinkSync(at(path)),
    now () {
      writeFileSync(clock, '')
      utimesSync(clock, 0, 0)
      return Number(lstatSync(clock, { bigint: true }).ctimeNs / NANOSECONDS)
    },
    elapsed: () => performance.now()
  }
}
