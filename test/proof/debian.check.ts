import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { settingRows } from '#src/config.ts'
import { run } from '../kit/programs.ts'
import { skipWithout } from './fronts.ts'
import { root } from '../kit/root.ts'

// debian.proof.ts installs it.

const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

t.test('the Debian package has the program, its units, the settings and a manual, and scripts that a shell can read', { skip: skipWithout('dpkg-deb') }, async t => {
  const folder = t.testdir({ out: {}, control: {} })
  const out = join(folder, 'out')
  const built = await run(process.execPath, [join(root, 'src/deployment/debian/build.js'), folder, '-Znone'])
  t.equal(built.code, 0, { stderr: built.stderr })
  const file = built.stdout.trim()
  t.match(file, new RegExp(`/magicstore_${manifest.version}_[a-z0-9]+\\.deb$`))
  for (const [option, target] of [['--extract', 'out'], ['--control', 'control']] as const) t.equal((await run('dpkg-deb', [option, file, join(folder, target)])).code, 0)
  const read = (name: string) => readFile(join(out, name), 'utf8')

  const { stdout } = await run('dpkg-deb', ['--field', file])
  t.match(stdout, 'Package: magicstore')
  t.match(stdout, `Version: ${manifest.version}`)
  t.match(stdout, `nodejs (${manifest.engines.node.replace('>=', '>= ')})`)
  t.strictSame((await readdir(join(folder, 'control'))).sort(), ['conffiles', 'control', 'md5sums', 'postinst', 'postrm', 'prerm'])
  t.notMatch(await readFile(join(folder, 'control/conffiles'), 'utf8'), 'settings')
  const sums = await readFile(join(folder, 'control/md5sums'), 'utf8')
  t.match(sums, /^[0-9a-f]{32} {2}usr\/bin\/magicstore$/m)

  const scripts = ['postinst', 'postrm', 'prerm'].map(name => join(folder, 'control', name))
  for (const script of [...scripts, join(out, 'usr/bin/magicstore')]) {
    t.strictSame(await run('sh', ['-n', script]), { code: 0, stdout: '', stderr: '' })
    t.equal((await stat(script)).mode & 0o777, 0o755)
  }
  t.equal((await stat(out)).mode & 0o777, 0o755, 'the root of the system stays open')

  const settings = await read('usr/share/magicstore/settings')
  t.strictSame(Array.from(settings.matchAll(/^#([A-Z_]+)=/gm), ([, name]) => name), settingRows().map(({ name }) => name))
  t.notMatch(settings, /^[^#\n]/m, 'every setting is a comment')
  t.match(settings, '#MAX_FILE_BYTES=5GiB')

  const units = await readdir(join(out, 'usr/lib/systemd/system'))
  t.strictSame(units.sort(), ['magicstore-backup.service', 'magicstore-backup.timer', 'magicstore.service', 'magicstore@.service'])
  for (const name of units) t.notMatch(await read(`usr/lib/systemd/system/${name}`), /\/opt\/|\/etc\/magicstore[.-]/)
  t.match(await read('usr/lib/systemd/system/magicstore.service'), 'EnvironmentFile=-/etc/magicstore/settings')

  const manual = gunzipSync(await readFile(join(out, 'usr/share/man/man1/magicstore.1.gz'))).toString()
  const { stdout: usage } = await run(process.execPath, [join(root, 'dist/main.js'), '--help'])
  const commands = Array.from(new Set(Array.from(usage.matchAll(/^ {2}magicstore ([a-z]+)/gm), ([, name]) => String(name))))
  for (const name of commands) t.match(manual, `.SS magicstore ${name}`)
  const completion = join(out, 'usr/share/bash-completion/completions/magicstore')
  const script = '. "$0"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _magicstore; printf "%s\\n" "$' + '{COMPREPLY[@]}"'
  const complete = async (...words: string[]) =>
    (await run('bash', ['-c', script, completion, ...words], { cwd: t.testdirName })).stdout.trim().split('\n')
  t.strictSame((await complete('magicstore', 're')), ['restore'])
  t.ok((await complete('magicstore', 'user', 'a')).includes('add'))
  t.strictSame(await complete('magicstore', 'backup', '--pro'), ['--prove'])

  const modules = await readdir(join(out, 'usr/lib/magicstore/node_modules'))
  for (const name of ['better-sqlite3', 'better-sqlite3-node20', ...Object.keys(manifest.dependencies).filter(name => !name.startsWith('@'))]) t.ok(modules.includes(name), name)
  t.notOk(modules.includes('typescript'), 'nothing that only builds or tests')
  const started = await run(process.execPath, [join(out, 'usr/lib/magicstore/dist/main.js'), '--version'])
  t.strictSame(started, { code: 0, stdout: `${manifest.version}\n`, stderr: '' })
})
