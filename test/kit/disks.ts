import { mkdtemp, open, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { execute } from './programs.ts'
import { MIB } from './sizes.ts'

/**
 * Mounts a small disk outside the test's folder, which tap removes before the unmount. Undefined if the machine does
 * not permit it.
 */
export async function mountDisk (t: Test, options: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-disk-'))
  const isMounted = await execute('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).then(() => true, () => false)
  t.teardown(async () => {
    if (isMounted) await execute('umount', ['-l', folder])
    await rmdir(folder)
  })
  if (!isMounted) t.comment('this machine does not let the test mount a disk')
  return isMounted ? folder : undefined
}

/** Fills the disk; the returned function frees the space again. */
export async function fill (disk: string): Promise<() => Promise<void>> {
  const filler = join(disk, 'filler')
  const handle = await open(filler, 'a')
  for (const size of [MIB, 4096, 1]) {
    for (;;) {
      const written = await handle.write(Buffer.alloc(size, 1)).then(({ bytesWritten }) => bytesWritten, () => 0)
      if (written < size) break
    }
  }
  await handle.close()
  return () => rm(filler)
}
