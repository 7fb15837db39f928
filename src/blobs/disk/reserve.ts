import { randomBytes } from 'node:crypto'
import { mkdir, open, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Problem } from '../../problems.ts'
import type { Reserve } from '../blob-store.ts'

/** Bytes held back in all. */
const RESERVE_BYTES = 4 * 1024 ** 2

/** Given up one at a time, as many as an act needs: whatever else fills the disk then takes no more than the rest of one. */
const SLICE_BYTES = 64 * 1024

/** The reserve is made again only where as much stays free beside it: what was given up is then still at hand. */
const RESTORE_BYTES = 2 * RESERVE_BYTES

/** Looks after the reserve in `folder`; on a disk without room for it there is none until there is. */
export async function openReserve (folder: string): Promise<Reserve> {
  const paths = Array.from({ length: RESERVE_BYTES / SLICE_BYTES }, (_, index) => join(folder, String(index)))
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const slices = new Set(await wholeAmong(paths))
  let restoring: Promise<void> | undefined

  async function giveUpOne (): Promise<boolean> {
    const [path] = slices
    if (path === undefined) return false
    slices.delete(path)
    await rm(path, { force: true })
    return true
  }

  async function fill (): Promise<void> {
    const { bavail, bsize } = await statfs(folder)
    if (bavail * bsize < RESTORE_BYTES) return
    for (const path of paths) {
      if (slices.has(path)) continue
      await allocate(path)
      slices.add(path)
    }
  }

  async function restore (): Promise<void> {
    if (slices.size === paths.length) return
    restoring ??= fill().catch(() => {}).finally(() => { restoring = undefined })
    await restoring
  }

  await restore()
  return {
    get missingBytes () { return slices.size === paths.length ? 0 : RESTORE_BYTES },
    async lend (act) {
      for (;;) {
        try {
          return await act()
        } catch (error) {
          const isForRoom = error instanceof Problem && error.code === 'storage_full'
          if (!isForRoom || !await giveUpOne()) throw error
        }
      }
    },
    restore
  }
}

async function wholeAmong (paths: string[]): Promise<string[]> {
  const sizes = await Promise.all(paths.map(path => stat(path).then(({ size }) => size, () => 0)))
  return paths.filter((_path, index) => sizes[index] === SLICE_BYTES)
}

/** Writes real bytes: a file that was only made long takes no room. */
async function allocate (path: string): Promise<void> {
  const handle = await open(path, 'w', 0o600)
  try {
    await handle.writeFile(randomBytes(SLICE_BYTES))
    await handle.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}
