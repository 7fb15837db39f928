import { randomBytes } from 'node:crypto'
import { open, rm, stat, statfs, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Problem } from '../../problems.ts'
import type { Reserve } from '../blob-store.ts'

const RESERVE_BYTES = 4 * 1024 ** 2

/** The file shrinks by this much at a time: what else fills the disk can take only the rest of one step. */
const STEP_BYTES = 64 * 1024

/** The reserve is filled again only if this much is free, so that what it released is still available. */
const REFILL_BYTES = 2 * RESERVE_BYTES

/** Opens the reserve, a file at `path`, and fills it if there is space. */
export async function openReserve (path: string): Promise<Reserve> {
  // Earlier versions had a folder here.
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) await rm(path, { recursive: true })
  let bytes = found?.isFile() ? found.size : 0
  let refilling: Promise<void> | undefined

  async function shrink (): Promise<boolean> {
    if (bytes === 0) return false
    bytes = Math.max(0, bytes - STEP_BYTES)
    await truncate(path, bytes)
    return true
  }

  async function refill (): Promise<void> {
    const { bavail, bsize } = await statfs(dirname(path))
    if (bavail * bsize < REFILL_BYTES) return
    try {
      await append(path, RESERVE_BYTES - bytes)
    } catch (error) {
      await truncate(path, bytes)
      throw error
    }
    bytes = RESERVE_BYTES
  }

  async function restore (): Promise<void> {
    if (bytes >= RESERVE_BYTES) return
    refilling ??= refill().catch(() => {}).finally(() => { refilling = undefined })
    await refilling
  }

  await restore()
  return {
    get missingBytes () { return bytes >= RESERVE_BYTES ? 0 : REFILL_BYTES },
    async withSpace (operation) {
      for (;;) {
        const before = bytes
        try {
          return await operation()
        } catch (error) {
          if (!(error instanceof Problem) || error.code !== 'storage_full') throw error
          // Of many that failed together, one makes space.
          if (bytes === before && !await shrink()) throw error
        }
      }
    },
    restore
  }
}

/** Writes actual bytes: a file that is only extended takes no space on disk. */
async function append (path: string, bytes: number): Promise<void> {
  const handle = await open(path, 'a', 0o600)
  try {
    await handle.writeFile(randomBytes(bytes))
    await handle.sync()
  } finally {
    await handle.close()
  }
}
