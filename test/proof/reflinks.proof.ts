import { mkdir, mkdtemp, open, rm, statfs, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { run } from '../kit/programs.ts'
import { signUp, startServer } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { createRandom } from '../kit/random.ts'
import { skipWithout } from './fronts.ts'

// Imports a tree that is on the file system of the data, where files can share blocks.

const missing = skipWithout('mkfs.btrfs', 'mkfs.xfs', 'losetup') || (process.getuid?.() === 0 ? false : 'needs root')

/** Mounts a new file system until the end of the test. */
async function mount (t: Test, make: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-reflinks-'))
  const [image, disk] = [join(folder, 'image'), join(folder, 'disk')]
  await writeFile(image, '')
  await truncate(image, 512 * MIB)
  await mkdir(disk)
  const [program = '', ...args] = make
  await run(program, [...args, image])
  await run('mount', ['-o', 'loop', image, disk])
  t.teardown(async () => {
    await run('umount', [disk])
    await rm(folder, { recursive: true })
  })
  return disk
}

async function usedBytes (disk: string): Promise<number> {
  await run('sync', ['-f', disk])
  const { blocks, bfree, bsize } = await statfs(disk)
  return (blocks - bfree) * bsize
}

for (const make of [['mkfs.btrfs', '--quiet'], ['mkfs.xfs', '-q', '-m', 'reflink=1']]) {
  t.test(`an import shares its bytes with the tree (${make[0]}), until the tree changes`, { skip: missing }, async t => {
    const disk = await mount(t, make)
    const server = await startServer(t, { DATA_DIR: join(disk, 'data') })
    const { token } = await signUp(server, 'ann')
    const tree = join(disk, 'tree')
    await mkdir(tree)
    const bytes = createRandom('reflinks').bytes(100 * MIB)
    await writeFile(join(tree, 'large'), bytes, { mode: 0o644 })
    await writeFile(join(tree, 'small'), 'small')
    const before = await usedBytes(disk)
    const { code, stdout } = await runCommand(['import', tree, '--user', 'ann', '--json'], { DATA_DIR: server.dataDir })
    t.equal(code, 0)
    t.match(JSON.parse(stdout), { imported: 2, bytes: bytes.length + 5, failed: [] })
    const taken = await usedBytes(disk) - before
    t.ok(taken < 10 * MIB, `${taken} bytes for ${bytes.length}`)
    const { stdout: modes } = await run('find', [join(server.dataDir, 'blobs'), '-type', 'f', '-printf', '%m %n\n'])
    t.strictSame(new Set(modes.trim().split('\n')), new Set(['600 1']), 'no hard links')

    const handle = await open(join(tree, 'large'), 'r+')
    await handle.write('other bytes')
    await handle.close()
    const stored = await server.send('GET', '/uploads/large', { token })
    t.equal(sha256Of(stored.bytes), sha256Of(bytes))
    t.equal((await server.send('GET', '/uploads/small', { token })).text, 'small')
  })
}
