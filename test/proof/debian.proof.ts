import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { execute, run } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import { clientOf, PASSWORD } from '../kit/server.ts'
import { freePort } from '../kit/wire.ts'
import { skipWithout } from './fronts.ts'

// Installs the Debian package in a Debian of its own, without systemd: what its units do is done by hand.

const missing = skipWithout('mmdebstrap', 'dpkg-deb', 'lintian') || (process.getuid?.() === 0 ? false : 'needs root')

t.test('the package is installed, upgraded from the version before, refused a start with the reason, and purged', { skip: missing, timeout: 1_800_000 }, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'magicstore-debian-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const system = join(folder, 'system')
  await execute('mmdebstrap', ['--variant=minbase', '--include=nodejs,adduser,init-system-helpers', 'trixie', system])
  // tap adds variables for Node.js to the environment.
  const clean = [system, 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8']
  const inside = (...command: string[]) => run('chroot', [...clean, ...command])
  const path = (name: string) => join(system, name)
  const read = (name: string) => readFile(path(name), 'utf8')

  const { stdout } = await execute(process.execPath, [join(root, 'src/deployment/debian/build.js'), folder, '-Zgzip'])
  const file = stdout.trim()
  await copyFile(file, path('root/new.deb'))
  const checked = await run('lintian', ['--fail-on', 'error', '--tag-display-limit', '0', file])
  t.equal(checked.code, 0, { stdout: checked.stdout })

  /** The same program as another version. */
  async function makeVersion (version: string, name: string): Promise<void> {
    const unpacked = join(folder, name)
    await execute('dpkg-deb', ['--raw-extract', file, unpacked])
    const control = join(unpacked, 'DEBIAN/control')
    await writeFile(control, (await readFile(control, 'utf8')).replace(/^Version: .*$/m, `Version: ${version}`))
    await execute('dpkg-deb', ['--root-owner-group', '-Zgzip', '--build', unpacked, path(`root/${name}.deb`)])
    await rm(unpacked, { recursive: true })
  }
  await makeVersion('1.0.0', 'old')
  await makeVersion('9.0.0', 'next')

  const port = await freePort()
  let server: ChildProcess | undefined
  /** As the unit does, with the settings of the file. */
  async function start () {
    server = spawn('chroot', [...clean, `PORT=${port}`, 'magicstore', 'serve'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    server.stderr?.on('data', chunk => { text += chunk })
    for await (const chunk of server.stdout ?? []) if ((text += chunk).includes('password policy')) break
    server.stdout?.resume()
    t.match(text, 'password policy', text)
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
    t.match(status, new RegExp(`^Uid:\\t${(await stat(path('var/lib/magicstore'))).uid}\\t`, 'm'), 'the server is not root')
    return clientOf(port)
  }
  async function stop () {
    const ended = once(server as ChildProcess, 'exit')
    server?.kill('SIGTERM')
    t.strictSame(await ended, [0, null])
  }
  t.teardown(() => server?.kill('SIGKILL'))

  const installed = await inside('dpkg', '--install', '/root/old.deb')
  t.equal(installed.code, 0, installed)
  t.equal((await stat(path('etc/magicstore/settings'))).mode & 0o777, 0o640)
  t.equal((await stat(path('var/lib/magicstore'))).mode & 0o777, 0o700)
  const unchanged = await read('etc/magicstore/settings')
  t.notMatch(unchanged, /^[^#\n]/m)

  // Debian's Node.js 20 can't become another user.
  const answers = ['--reach', 'machine', '--address', `http://localhost:${port}`, '--registration', 'closed', '--backups', 'none']
  const set = await inside('magicstore', 'setup', ...answers)
  t.match(set, { code: 0, stdout: 'faults: 0', stderr: /^$/ })
  t.match(set.stdout, /reach the server at \S+: \S/, 'with the reason')
  t.notMatch(set.stdout, 'Put this into', 'the package has installed the units')
  t.match(set.stdout, /as root:\n\nsystemctl enable magicstore\nsystemctl restart magicstore\nsystemctl disable --now magicstore-backup\.timer\n/)
  t.match(await read('etc/magicstore/settings'), `PUBLIC_URL=http://localhost:${port}`)
  t.equal((await stat(path('etc/magicstore/settings'))).mode & 0o777, 0o640)
  const [, secret] = /#claim=(inv_[a-z2-7]{32})/.exec(set.stdout) ?? []
  const invited = { secret, username: 'ann', password: PASSWORD }
  t.match(await (await start()).send('POST', '/api/account/claim', { json: invited }), { status: 201 })
  await stop()
  t.match(await inside('magicstore', 'setup', ...answers), { code: 2, stderr: 'has settings and stays as it is' })
  await inside('find', '/var/lib/magicstore', '-mindepth', '1', '-delete')

  await writeFile(path('etc/magicstore/settings'), `${unchanged}\nQUOTA_FILES=7\nPUBLIC_URL="https://files.example.org/#x"\n`)
  const diagnosed = await inside('magicstore', 'doctor')
  t.match(diagnosed.stdout + diagnosed.stderr, 'PUBLIC_URL: expected', 'the settings are read, as they are')
  await writeFile(path('etc/magicstore/settings'), `${unchanged}\nQUOTA_FILES=7\n`)

  // The data of a server of 1.0.0.
  await execute('tar', ['--extract', '--gzip', '--file', join(root, 'test/fixtures/0002.tar.gz'), '--directory', folder])
  const facts = JSON.parse(await readFile(join(folder, 'facts.json'), 'utf8'))
  await execute('cp', ['--recursive', `${folder}/data/.`, path('var/lib/magicstore')])
  await inside('chown', '--recursive', 'magicstore:magicstore', '/var/lib/magicstore')
  const before = await readFile(path('var/lib/magicstore/magicstore.db'))

  const upgraded = await inside('dpkg', '--install', '/root/new.deb')
  t.equal(upgraded.code, 0, upgraded)
  t.notMatch(upgraded.stderr, 'is not started', 'the doctor finds nothing')
  t.ok(before.equals(await readFile(path('var/lib/magicstore/magicstore.db'))), 'nothing is migrated before a server starts')
  t.match(await read('etc/magicstore/settings'), 'QUOTA_FILES=7')

  const [{ username, password }] = facts.people
  const user: [string, string] = [username, password]
  const { send } = await start()
  const { json } = await send('GET', '/api/files?limit=1000', { user })
  const names = json.files.map(({ name }: { name: string }) => name)
  for (const { owner, name } of facts.files) if (owner === username) t.ok(names.includes(name), name)
  await stop()
  await start()
  t.match(await inside('magicstore', 'user', 'list'), { code: 0, stdout: username }, 'beside the server')
  t.match(await inside('magicstore', 'backup', '--prove', '/var/backups/magicstore'), { code: 0 })
  await stop()

  await writeFile(path('etc/magicstore/settings'), 'PORT=many\n')
  const refused = await inside('dpkg', '--install', '/root/next.deb')
  t.equal(refused.code, 0, refused)
  t.match(refused.stderr, /is not started[^]*PORT: expected a whole number/)
  t.equal(await read('etc/magicstore/settings'), 'PORT=many\n')
  await writeFile(path('etc/magicstore/settings'), '')
  await chmod(path('var/lib/magicstore/magicstore.db'), 0)
  const unreadable = await inside('dpkg', '--install', '/root/next.deb')
  t.equal(unreadable.code, 0)
  t.match(unreadable.stderr, 'is not started')
  await chmod(path('var/lib/magicstore/magicstore.db'), 0o600)

  await writeFile(path('etc/magicstore/settings'), 'LOG_LEVEL=warn\n')
  t.match(await inside('dpkg', '--purge', 'magicstore'), { code: 0 })
  t.match(await inside('getent', 'passwd', 'magicstore'), { code: 0 })
  t.equal(await read('var/backups/magicstore-settings'), 'LOG_LEVEL=warn\n')
  for (const name of ['etc/magicstore', 'usr/bin/magicstore', 'usr/lib/magicstore', 'etc/logrotate.d/magicstore']) await t.rejects(stat(path(name)), { code: 'ENOENT' }, name)
  t.ok((await stat(path('var/lib/magicstore/magicstore.db'))).size > 0)

  t.match(await inside('dpkg', '--install', '/root/new.deb'), { code: 0 })
  const again = await start()
  t.match(await again.send('GET', '/api/files', { user }), { status: 200 }, 'and a new installation has the data again')
  await stop()
})
