import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { execute, unwatched } from '../kit/programs.ts'
import { fencedIn, readGuide, readPage, scalingCommands, sectionOf } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { clientOf, signUp, spawnServer, type Client, type ServerProcess } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { until } from '../kit/waiting.ts'

/** A line of the guide: typed into bash by the server's user, or by root at a prompt. */
interface Line { language: string, text: string }

/** The lines of a section of a page, in order. */
async function linesOf (heading: string, page = 'operating.md'): Promise<Line[]> {
  return linesIn(sectionOf(await readPage(page), `## ${heading}`))
}

function linesIn (text: string): Line[] {
  return fencedIn(text).flatMap(({ language, lines }) => lines.map(text => ({ language, text })))
}

const hasRestic = spawnSync('restic', ['version']).status === 0

/**
 * The sections of operating.md: `followed` by the tests below, or with settings only, which are tested in
 * `guide-facts.check.ts` and `deployment.check.ts`.
 */
const settingsOnly = ['Settings file', 'Run behind TLS', 'Phones', 'A folder in, an account out', 'Zips and sizes of folders', 'Changes', 'Identity provider']
const followed = ['Install', 'Set up', 'Run commands', 'Back up and restore', 'Versions and trash', 'Invitations and lost passwords', 'Links', 'Second factors', 'Rotate keys', 'Watch', 'Recover from a lost disk']

interface Machine {
  readonly dataDir: string
  client (): Client
  /** Runs lines of the guide; returns those that only another machine could run. */
  follow (lines: Line[]): Promise<string[]>
  crash (): Promise<void>
}

/** A test machine: a folder in place of `/`, and a service that is started and stopped by its unit, as systemd does. */
async function openMachine (t: Test): Promise<Machine> {
  const folder = t.testdir({ srv: {}, mnt: {}, etc: {}, var: { lib: {}, backups: {} } })
  const settings = await unitSettings()
  const moved = (text: string) => text.replaceAll(/(?<=^|[\s=])(?=\/(?:var|srv|mnt|etc)\/)/g, folder)
  const dataDir = moved(settings.DATA_DIR ?? '')
  let server: ServerProcess | undefined

  async function start (): Promise<void> {
    server = await spawnServer(t, { ...settings, DATA_DIR: dataDir })
  }

  async function stop (): Promise<void> {
    if (server !== undefined) t.equal(await server.end('SIGTERM'), 0)
    server = undefined
  }

  async function restart (): Promise<void> {
    await stop()
    await start()
  }

  const verbs: Record<string, () => Promise<void>> = { 'enable --now': start, start, stop, restart }

  async function type (line: string): Promise<void> {
    const script = moved(line).replaceAll('node dist/main.js', `'${process.execPath}' dist/main.js`).replaceAll('127.0.0.1:5000', `127.0.0.1:${server?.port}`)
    const child = spawn('bash', ['-e', '-c', unwatched(script)], { cwd: root, env: { ...process.env, DATA_DIR: dataDir, PORT: String(server?.port ?? 0), MIN_FREE_BYTES: '0' } })
    // Most commands exit without using it.
    child.stdin.on('error', () => {}).end('a longer secret\n')
    const exited = once(child, 'exit')
    const [stdout, stderr] = await Promise.all([child.stdout, child.stderr].map(stream => stream.setEncoding('utf8').toArray()))
    t.equal((await exited)[0], 0, line, { stdout, stderr })
  }

  /** False for commands that would change the machine of the test. */
  async function typeAsRoot (line: string): Promise<boolean> {
    const [, verb = ''] = /^# systemctl (.+) magicstore$/.exec(line) ?? []
    await verbs[verb]?.()
    const isOfFiles = /^# (?:install -d|touch) /.test(line)
    // There is only one user here.
    if (isOfFiles) await type(line.replace('# ', '').replace(/-o \w+ -g \w+ |chown \S+ \S+ && /, ''))
    return verb in verbs || isOfFiles
  }

  return {
    dataDir,
    client: () => clientOf(Number(server?.port)),
    async follow (lines) {
      const others: string[] = []
      for (const { language, text } of lines) {
        // It stays in the foreground; readme.test.ts runs it.
        if (text.endsWith('npm start')) continue
        if (language === 'bash') await type(text)
        else if (!await typeAsRoot(text)) others.push(text)
      }
      return others
    },
    async crash () {
      await server?.end('SIGKILL')
      server = undefined
    }
  }
}

/** The environment in the unit, with root's value of `%S`. */
async function unitSettings (): Promise<Record<string, string>> {
  const unit = await readFile(join(root, 'src/deployment/magicstore.service'), 'utf8')
  const [, words = ''] = /^Environment=(.*)$/m.exec(unit) ?? []
  return Object.fromEntries(words.replaceAll('%S', '/var/lib').split(' ').map(word => word.split('=')))
}

t.test('every command of the operator\'s pages is typed by a test, needs another machine or measures this one', async t => {
  const guide = await readGuide()
  t.same(new Set(Array.from(guide.matchAll(/^## (.+)$/gm), ([, heading]) => heading)), new Set([...settingsOnly, ...followed]))
  const inParts = await Promise.all([...settingsOnly, ...followed].map(heading => linesOf(heading)))
  t.equal(fencedIn(guide).flatMap(({ lines }) => lines).length, inParts.flat().length)
  t.same(new Set(inParts.flat().map(({ language }) => language)), new Set(['bash', 'console', 'ini']))
  for (const heading of settingsOnly) t.same((await linesOf(heading)).filter(({ language }) => language !== 'ini'), [])

  const languages = (text: string) => fencedIn(text).map(({ language }) => language)
  // A message, and the commands of "One server", which a test below types.
  t.same(languages(await readPage('upgrading.md')), ['text', 'bash', 'console', 'console', 'bash', 'console'])
  // guide-facts.check.ts and alerts.check.ts test the files.
  t.same(languages(await readPage('monitoring.md')), ['logrotate', 'console', 'yaml'])
  t.same(new Set(languages(await readPage('scaling.md'))), new Set(['console', 'bash', 'sql', 'json']))
  const wordsOf = (lines: string[], end: number) => lines.map(line => line.split(' ').slice(1, end).join(' '))
  t.same(wordsOf((await linesOf('Several servers', 'upgrading.md')).map(({ text }) => text), 2), ['systemctl', 'git', 'systemctl', 'curl'])
  t.same(wordsOf((await linesOf('Log', 'monitoring.md')).filter(({ language }) => language === 'console').map(({ text }) => text), 2), ['journalctl'])
  const { secrets, move, elsewhere } = await scalingCommands()
  t.ok(secrets.length > 0 && move.length > 0, 'topology.check.ts and move.check.ts type them')
  t.same(wordsOf(elsewhere, 3), ['cp src/deployment/magicstore@.service', 'systemctl enable', 'docker compose'])
})

t.test('the guide as typed, from the first start to a new disk: the same users, the same bytes, and valid tokens', async t => {
  const machine = await openMachine(t)
  const others = await machine.follow([...await linesOf('Install'), ...await linesOf('Run commands')])
  // setup.check.ts does what they say.
  t.equal((await machine.follow(await linesOf('Set up'))).length, 3)
  for (const name of linesIn(await readGuide()).flatMap(({ text }) => text.match(/src\/[\w./-]+/g) ?? [])) await t.resolves(access(join(root, name)), name)
  // debian.proof.ts does what the first three say, image.proof.ts what `npm run image` does.
  t.same(others.map(line => line.split(' ').slice(1, 3).join(' ')), ['npm ci', 'apt install', 'magicstore user', 'useradd --system', 'npm ci', 'cp src/deployment/magicstore.service', 'npm ci', 'npm install', 'npm ci', 'npx --package', 'docker build', 'docker run', 'apt install', 'npm run', 'podman load', 'sudo -u'])
  const { token, user } = await signUp(machine.client(), 'ann')
  const bytes = randomBytes(MIB)
  t.equal((await machine.client().send('PUT', '/uploads/report.pdf', { token, body: bytes })).status, 201)
  await machine.client().send('PUT', '/uploads/old.pdf', { token, body: bytes })
  await machine.client().send('DELETE', '/uploads/old.pdf', { token })

  async function look (when: string): Promise<void> {
    t.ok((await machine.client().send('GET', '/uploads/report.pdf', { token })).bytes.equals(bytes), when)
    for (const known of [user, ['second_user', 'a longer secret'] as [string, string]]) t.equal((await machine.client().send('GET', '/api/resource', { user: known })).status, 200, when)
  }

  await look('installed')
  const backup = (await linesOf('Back up and restore')).filter(({ text }) => hasRestic || !/restic|fetched|offsite/.test(text))
  t.same((await machine.follow(backup)).map(line => line.split(' ').slice(1, 4).join(' ')), [
    'cp src/deployment/magicstore-backup.service src/deployment/magicstore-backup.timer', 'systemctl enable --now',
    ...(hasRestic ? ['apt-get install restic'] : [])
  ])
  t.ok((await readFile(join(dirname(machine.dataDir), '../../srv/ann/report.pdf'))).equals(bytes))
  await look('backed up')
  t.same(await machine.follow(await linesOf('Versions and trash')), [])
  t.same((await machine.client().send('GET', '/api/trash', { token })).json.files, [])
  await look('with an empty trash')
  t.same(await machine.follow([...await linesOf('Invitations and lost passwords'), ...await linesOf('Links'), ...await linesOf('Second factors')]), [])
  await look('with links that nobody has used')
  t.same(await machine.follow(await linesOf('Rotate keys')), [])
  const tokenNow = async () => (await machine.client().send('GET', '/api/token', { user })).json.token as string
  await until(tokenNow, later => headOf(later).kid !== headOf(token).kid)
  await look('with a new key')
  t.same(await machine.follow(await linesOf('Watch')), [])
  await machine.crash()
  await rm(machine.dataDir, { recursive: true })
  t.same(await machine.follow(await linesOf('Recover from a lost disk')), [])
  await look('on the new disk')
})

function headOf (token: string): { kid: string } {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
}

t.test('the guide as typed, from an older version to this one and back: each finds the database that it knows', async t => {
  const machine = await openMachine(t)
  const parent = dirname(machine.dataDir)
  await execute('tar', ['--extract', '--gzip', '--file', join(root, 'test/fixtures/0002.tar.gz'), '--directory', parent])
  await rename(join(parent, 'data'), machine.dataDir)
  const database = join(machine.dataDir, 'magicstore.db')
  const { people: [{ username, password }] } = JSON.parse(await readFile(join(parent, 'facts.json'), 'utf8'))
  const user: [string, string] = [username, password]
  const before = historyOf(database)

  const lines = await linesOf('One server', 'upgrading.md')
  const back = lines.findLastIndex(({ text }) => text.startsWith('# systemctl'))
  t.same(await machine.follow(lines.slice(0, back)), ['# git pull && npm ci && npm run build'])
  t.equal((await machine.client().send('GET', '/uploads/report.pdf', { user })).text, 'the first report')
  t.equal((await machine.client().send('PUT', '/uploads/late', { user, body: 'late' })).status, 201)
  t.ok(historyOf(database).length > before.length)

  t.same(await machine.follow(lines.slice(back)), [])
  t.same(historyOf(database), before, 'what the older version knows')
  // No older version is available here; this one migrates the database once more.
  t.same(await machine.follow([{ language: 'console', text: '# systemctl start magicstore' }]), [])
  t.equal((await machine.client().send('GET', '/uploads/report.pdf', { user })).text, 'the first report')
  t.equal((await machine.client().send('GET', '/uploads/late', { user })).status, 404)
  t.same(await machine.follow([{ language: 'bash', text: 'node dist/main.js fsck --repair' }]), [])
  t.equal((await readdir(join(machine.dataDir, 'quarantine'))).length, 1)
})

/** The migrations applied to a database. */
function historyOf (file: string): unknown[] {
  const client = new Database(file, { readonly: true })
  const history = client.prepare('SELECT created_at FROM __drizzle_migrations').pluck().all()
  client.close()
  return history
}
