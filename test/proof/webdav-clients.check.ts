import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../kit/programs.ts'
import { spawnServer } from '../kit/server.ts'
import { openDrive, skipUnless, skipWithoutFuse } from './webdav.ts'

t.test('a drive is mounted by davfs2, which locks the files that programs write', { skip: skipUnless('mount.davfs') || skipWithoutFuse() }, async t => {
  const folder = t.testdir({ data: {}, mount: {}, cache: {} })
  const server = await spawnServer(t, { DATA_DIR: join(folder, 'data') })
  const drive = await openDrive(server)
  for (const name of ['a.txt', 'old.txt']) t.equal((await drive.send('PUT', name, { body: 'one' })).status, 201)
  const [mount, config, secrets] = [join(folder, 'mount'), join(folder, 'davfs2.conf'), join(folder, 'secrets')]
  // Its user is davfs2.
  await chmod(join(folder, 'cache'), 0o1777)
  await run('chgrp', ['davfs2', join(folder, 'cache')])
  await writeFile(secrets, `${mount} ${drive.username} ${drive.token}\n`, { mode: 0o600 })
  await writeFile(config, `ask_auth 0\nsecrets ${secrets}\ncache_dir ${join(folder, 'cache')}\ndelay_upload 0\n`)
  t.match(await run('mount.davfs', [`${server.url}/dav/`, mount, '-o', `conf=${config}`]), { code: 0 })
  const unmount = () => run('umount', [mount])
  t.teardown(unmount)
  t.equal(await readFile(join(mount, 'a.txt'), 'utf8'), 'one')
  t.match(await run('sh', ['-e', '-c', 'cat a.txt > b.txt && echo two >> a.txt && mkdir -p box/deep && mv b.txt box/deep/moved.txt && rm old.txt'], { cwd: mount }), { code: 0, stderr: '' })
  t.match(await unmount(), { code: 0 })
  t.equal((await drive.send('GET', 'a.txt')).text, 'onetwo\n')
  t.equal((await drive.send('GET', 'box/deep/moved.txt')).text, 'one')
  t.equal((await drive.send('GET', 'old.txt')).status, 404)
  t.equal((await drive.send('PUT', 'a.txt', { body: 'three' })).status, 204, 'no lock is left')
})
