import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { blobsIn, hasStrace, createBackup, killedAt, namesIn, expectRefusal, report, filesOfUser } from '../kit/backups.ts'
import { startServer } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'

const withStrace = { skip: hasStrace ? false : 'strace is not installed', timeout: 300_000 }

t.test('a backup that is killed at any step leaves the one before good, or is good itself, and the next one leaves nothing of it behind', withStrace, async t => {
  const { root, dataDir, folder, user } = await createBackup(t)
  await cp(folder, join(root, 'aside'), { recursive: true })
  let swapped = 0
  const steps = [
    { step: 'the snapshot is begun', call: 'mkdir', when: 5 },
    { step: 'a file is linked', call: 'link', when: 1 },
    { step: 'the keys are put in place', call: 'rename', when: 1 },
    { step: 'the digests are put in place', call: 'rename', when: 2 },
    { step: 'the manifest of the snapshot is written', call: 'rename', when: 3 },
    { step: 'the manifest is written', call: 'rename', when: 4 },
    { step: 'the manifest is swapped', call: 'rename', when: 5 },
    { step: 'the old snapshot is removed', call: 'rmdir', when: 1 }
  ]
  for (const { step, call, when } of steps.filter((_, index) => isProof || index % 2 === 1)) {
    await rm(folder, { recursive: true })
    await cp(join(root, 'aside'), folder, { recursive: true })
    await killedAt({ call, when }, ['backup', folder], { DATA_DIR: dataDir })
    const names = await namesIn(t, folder, user)
    const isNew = names.includes('three')
    t.strictSame(names, isNew ? ['three', 'two'] : ['one', 'two'], step)
    if (isNew) swapped++
    await report(['backup', folder, '--prove'], { DATA_DIR: dataDir })
    t.strictSame(await blobsIn(folder), await blobsIn(dataDir), step)
    t.strictSame((await readdir(folder)).map(name => name.replace(/-[0-9a-f]{8}$/, '')).sort(), ['blobs', 'installation', 'lock.db', 'manifest.json', 'snapshot'], step)
  }
  t.equal(swapped, 1, 'the last one was good when it was killed')
})

t.test('a restore that is killed is done again, and no server starts on half of it', withStrace, async t => {
  const { root, folder, user } = await createBackup(t)
  const steps = [
    { step: 'the restore is begun', call: 'rename', when: 1 },
    { step: 'the database is copied', call: 'rename', when: 2 },
    { step: 'a file is copied', call: 'rename', when: 4 },
    { step: 'the files are moved in', call: 'rename', when: 6 },
    { step: 'the keys are moved in', call: 'rename', when: 7 },
    { step: 'the database is moved in', call: 'rename', when: 8 },
    { step: 'all is in its place', call: 'rmdir', when: 1 }
  ]
  for (const { step, call, when } of steps.filter((_, index) => isProof || index % 2 === 0)) {
    const settings = { DATA_DIR: join(root, `restored-${call}-${when}`), PORT: '0' }
    await killedAt({ call, when }, ['restore', folder], settings)
    if (call === 'rename') {
      await expectRefusal(t, ['serve'], settings, { expected: 2 })
      await report(['restore', folder], settings)
      t.strictSame(await readdir(settings.DATA_DIR).then(names => names.sort()), ['blobs', 'lock.db', 'magicstore.db', 'magicstore.db-hold', 'signing-keys'], step)
    } else await expectRefusal(t, ['restore', folder], settings)
    const server = await startServer(t, settings)
    t.strictSame(Object.keys(await filesOfUser(t, server, user)), ['one', 'two'], step)
    await server.close()
  }
})
