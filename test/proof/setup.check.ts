import { chmodSync, existsSync } from 'node:fs'
import { chown, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test, type Test } from 'tap'
import { parse } from 'yaml'
import { runBin, spawnServer, PASSWORD, type Settings } from '../kit/server.ts'
import { withFault } from '../kit/bin.ts'
import { certify } from '../kit/certificates.ts'
import { runCommand } from '../kit/commands.ts'
import { readGuide, sectionOf } from '../kit/readme.ts'
import { skipWithoutSqlite } from '../kit/stores.ts'
import { lacksTerminal, spawnOnTerminal } from '../kit/terminal.ts'
import { freePort } from '../kit/wire.ts'

// `magicstore setup`: five answers become a settings file, with which the server starts.

const usual = {
  '--reach': 'network',
  '--address': 'https://files.invalid',
  '--tls': 'proxy',
  '--registration': 'closed',
  '--backups': 'none'
}

/** The usual arguments, or others in their place. */
const withOptions = (options: Record<string, string> = {}) => Object.entries({ ...usual, ...options }).flat()

/** The settings in a file. */
const settingsIn = async (file: string): Promise<Settings> =>
  Object.fromEntries(Array.from((await readFile(file, 'utf8')).matchAll(/^([A-Z_]+)=(.*)$/gm), ([, name, value]) => [name, value]))

/** Answers the questions of a terminal, each after it was asked. */
async function answer (
  t: Test, args: string[], settings: Settings, answers: [question: RegExp, answer: string][]
): Promise<string> {
  const child = spawnOnTerminal(t, args, settings)
  let shown = ''
  let seen = 0
  for await (const text of child.stdout.setEncoding('utf8')) {
    shown += text
    const [question, line] = answers[0] ?? []
    if (question?.test(shown.slice(seen)) !== true) continue
    seen = shown.length
    answers.shift()
    child.stdin.write(line)
  }
  t.strictSame(answers, [], 'every question was asked', { shown })
  return shown
}

test('answers on a terminal and options make the same settings, with which a server starts, where the invited person uploads', { skip: lacksTerminal || skipWithoutSqlite }, async t => {
  const folder = t.testdir()
  const at = (name: string) => join(folder, name)
  const address = `http://localhost:${await freePort()}`
  const settings = { DATA_DIR: at('data') }
  const shown = await answer(t, ['setup', at('answered')], settings, [
    [/Who may reach/, 'everybody\n'],
    [/expected machine or network[^]*Who may reach/, 'machine\n'],
    [/Which address[^]*\[http:\/\/localhost:5000\]/, 'http://192.0.2.1:5000\n'],
    [/does not fit[^]*Which address/, `${address}\n`],
    [/Registration:/, 'oidc\n'],
    [/OIDC_ISSUER[^]*Registration:/, '\n'],
    [/Which folder/, 'backups\n'],
    [/expected a path[^]*Which folder/, `${at('data/backups')}\n`],
    [/must not contain each other[^]*Which folder/, `${at('backups')}\n`]
  ])
  t.notMatch(shown, 'TLS:', 'an http address has none')
  t.match(shown, 'faults: 0')
  const [, secret] = new RegExp(`${address}/#claim=(inv_[a-z2-7]{32})`).exec(shown) ?? []

  const options = ['--reach', 'machine', '--address', address, '--registration', 'closed', '--backups', at('backups')]
  const ended = await runCommand(['setup', at('given'), ...options, '--json'], settings)
  t.equal(ended.code, 0, ended.stderr)
  t.same(await readFile(at('given')), await readFile(at('answered')))
  const help = (await runCommand(['setup', '--help'])).stdout
  const printed = ended.stdout.trim().split('\n').map(line => JSON.parse(line))
  for (const name of printed.flatMap(Object.keys)) t.match(help, new RegExp(`\\b${name}\\b`), name)
  t.match(printed[0], { settings: at('given'), commands: [new RegExp(`-m 0700 ${at('backups')}$`), 'systemctl daemon-reload', /^systemctl enable magicstore magicstore-backup.timer$/, /^systemctl restart magicstore /] })
  t.match(printed[0].files.map(({ path }: { path: string }) => path), [/magicstore.service$/, /backup.service$/, /backup.timer$/])
  t.match(printed[0].files[1].text, new RegExp(`^ExecStart=.* ${at('backups')}\n[^]*^ReadWritePaths=${at('backups')} -${at('data')}\n`, 'm'))
  t.equal((await stat(at('given'))).mode & 0o137, 0, 'others can\'t read it')

  const written = await settingsIn(at('answered'))
  t.strictSame(written, { HOST: '127.0.0.1', PORT: new URL(address).port, DATA_DIR: at('data'), PUBLIC_URL: address, REGISTRATION: 'closed', BACKUP_HOURS: '26' })
  const server = await spawnServer(t, written)
  t.equal((await server.send('POST', '/api/account/claim', { json: { secret, username: 'ann', password: PASSWORD } })).status, 201)
  const user: [string, string] = ['ann', PASSWORD]
  t.equal((await server.send('PUT', '/uploads/a.txt', { user, body: 'hello' })).status, 201)
  t.equal((await server.send('GET', '/uploads/a.txt', { user })).text, 'hello')
  t.equal((await server.send('POST', '/api/users', { json: { username: 'ben', password: PASSWORD } })).status, 403, 'registration is closed')
  t.equal(await server.end('SIGTERM'), 0)
})

test('who leaves during the questions has written nothing', { skip: lacksTerminal }, async t => {
  for (const [key, expected] of [['\x03', /\^?C?/], ['\x04', /nothing was written/]] as const) {
    const folder = t.testdir()
    const shown = await answer(t, ['setup', join(folder, 'settings')], { DATA_DIR: join(folder, 'data') }, [
      [/Who may reach/, '\n'], [/Which address/, '\n'], [/--address: expected[^]*Which address/, 'https://files.invalid\n'], [/TLS:/, key]
    ])
    t.match(shown, expected)
    for (const name of ['settings', 'data']) t.notOk(existsSync(join(folder, name)), name)
  }
})

test('what can\'t be used is refused with the reason, and nothing is written', async t => {
  const folder = t.testdir({ settings: 'PORT=5000\n', comments: '# a comment\n#PORT=5000\n\n' })
  const at = (name: string) => join(folder, name)
  const files = await certify(folder)
  const refused: [args: string[], reason: RegExp, code?: number][] = [
    [[at('new'), '--reach', 'machine'], /--address, --tls, --registration, --backups/],
    [[at('new'), '--reach', 'machine', '--address', 'http://localhost:5000'], /also --registration, --backups;/],
    [[at('new'), at('other')], /at most one file/],
    [[at('a b'), ...withOptions()], /only letters/],
    [[at('settings'), ...withOptions()], /has settings and stays/],
    [[folder, ...withOptions()], /EISDIR/, 1],
    [[at('missing/new'), ...withOptions()], /ENOENT/, 1],
    [[at('new'), ...withOptions({ '--reach': 'all' })], /expected machine or network/],
    [[at('new'), ...withOptions({ '--reach': 'machine' }), '--compose'], /a container/],
    [[at('new'), ...withOptions({ '--address': '' })], /--address: expected/],
    [[at('new'), ...withOptions({ '--address': 'files.invalid' })], /PUBLIC_URL: expected/],
    [[at('new'), ...withOptions({ '--address': 'https://files.invalid/ä' })], /PUBLIC_URL: only letters/],
    [[at('new'), ...withOptions({ '--address': 'http://files.invalid' })], /unencrypted/],
    [[at('new'), ...withOptions({ '--address': 'https://localhost' })], /does not fit/],
    [[at('new'), ...withOptions({ '--reach': 'machine', '--address': 'http://localhost:5000' })], /has no TLS/],
    [[at('new'), ...withOptions({ '--reach': 'machine', '--address': 'http://localhost' }).filter(word => !['--tls', 'proxy'].includes(word))], /port 80 /],
    [[at('new'), ...withOptions({ '--tls': 'none' })], /expected proxy/],
    [[at('new'), ...withOptions({ '--tls': `${files.TLS_CERT},${files.TLS_KEY}` })], /port 443 /],
    [[at('new'), ...withOptions({ '--address': 'https://files.invalid:8443', '--tls': `${files.TLS_CERT},/missing` })], /TLS_KEY/],
    [[at('new'), ...withOptions({ '--registration': 'perhaps' })], /REGISTRATION: expected/],
    [[at('new'), ...withOptions({ '--backups': '/var/back ups' })], /--backups: only letters/]
  ]
  for (const [args, reason, code = 2] of refused) {
    t.match(await runCommand(['setup', ...args], { DATA_DIR: at('data') }), { code, stdout: '', stderr: reason }, args.join(' '))
  }
  t.equal(await readFile(at('settings'), 'utf8'), 'PORT=5000\n')
  for (const name of ['new', 'data']) t.notOk(existsSync(at(name)), name)
})

test('a file of comments gets the settings, and keeps its mode and its lines', async t => {
  const folder = t.testdir({ settings: '# a comment\n#PORT=5000\n' })
  const file = join(folder, 'settings')
  chmodSync(file, 0o604)
  const { code, stdout } = await runCommand(['setup', file, ...withOptions()], { DATA_DIR: join(folder, 'data') })
  t.equal(code, 0)
  t.notMatch(stdout, 'magicstore-backup')
  t.match(await readFile(file, 'utf8'), /^# a comment\n#PORT=5000\n# Settings of [^]*\nTRUST_PROXY=127.0.0.1\n$/)
  t.equal((await stat(file)).mode & 0o777, 0o604)
})

test('a fault that doctor finds leaves the settings, and makes no account', async t => {
  const folder = t.testdir()
  const { TLS_CERT, TLS_KEY } = await certify(folder)
  chmodSync(TLS_KEY, 0o644)
  const port = await freePort()
  const options = withOptions({ '--address': `https://files.invalid:${port}`, '--tls': `${TLS_CERT},${TLS_KEY}` })
  const file = join(folder, 'settings')
  const { code, stdout, stderr } = await runCommand(['setup', file, ...options], { DATA_DIR: join(folder, 'data') })
  t.equal(code, 1)
  t.match(stdout, /faults: 1/)
  t.match(stderr, 'magicstore user invite')
  t.match(await settingsIn(file), { HOST: '0.0.0.0', PORT: String(port), TLS_CERT, TLS_KEY })
})

test('the guide has options that can be used, and names every one', async t => {
  const section = sectionOf(await readGuide(), '## Set up')
  const [, options = ''] = /^# DATA_DIR=\S+ node dist\/main.js setup (--.+)$/m.exec(section) ?? []
  const settings = { DATA_DIR: join(t.testdir(), 'data') }
  const file = join(t.testdirName, 'settings')
  t.match(await runCommand(['setup', file, ...options.split(' ')], settings), { code: 0 })
  for (const [, option] of (await runCommand(['setup', '--help'])).stdout.matchAll(/^ {2}(--(?!json)[a-z]+)/gm)) t.match(section, `\`${option}`)
  const named = Object.keys(await settingsIn(file)).filter(name => name !== 'DATA_DIR')
  for (const name of named) t.match(section, `\`${name}\``)
})

test('for a container, the file for Docker Compose has its address, its folders and its proxy', async t => {
  const folder = t.testdir()
  const files = await certify(folder)
  const filled = async (name: string, options: Record<string, string>) => {
    const file = join(folder, name)
    const { code, stdout, stderr } = await runCommand(['setup', file, '--compose', '--json', ...withOptions(options)], { DATA_DIR: join(folder, 'data') })
    t.equal(code, 0, stderr)
    const { files: [{ path, text }], commands } = JSON.parse(String(stdout.split('\n')[0]))
    t.equal(path, join(folder, 'compose.yaml'))
    return { ...parse(text), commands, settings: await settingsIn(file) }
  }
  const proxied = await filled('proxied', { '--backups': '/var/backups/m' })
  t.match(proxied, {
    services: { magicstore: { env_file: './proxied', ports: ['127.0.0.1:5000:5000'], volumes: ['magicstore:/data', '/var/backups/m:/var/backups/m'] } },
    settings: { HOST: '0.0.0.0', PORT: '5000', TRUST_PROXY: proxied.networks.default.ipam.config[0].gateway },
    commands: [/^install -d -o \d+ -m 0700 \/var\/backups\/m$/, 'docker compose up -d']
  })
  const direct = await filled('direct', { '--tls': `${files.TLS_CERT},${files.TLS_KEY}` })
  t.match(direct, {
    services: { magicstore: { ports: ['443:5000'], volumes: ['magicstore:/data', `${folder}:${folder}:ro`] } },
    settings: { PORT: '5000', ...files },
    commands: ['docker compose up -d']
  })
})

test('root becomes the owner of the data, and others stay who they are', { skip: process.getuid?.() !== 0 && 'this is not root' }, async t => {
  const folder = t.testdir()
  const at = (name: string) => join(folder, name)
  await mkdir(at('data'))
  await chown(at('data'), 1, 1)
  const { code, stdout, stderr } = await runBin(['setup', at('settings'), ...withOptions()], { DATA_DIR: at('data') })
  t.strictSame([code, stderr], [0, ''])
  t.match(stdout, /^User=daemon$/m)
  t.match(stdout, /^faults: 0,[^]+#claim=inv_/m)
  const { uid, gid, mode } = await stat(at('settings'))
  t.strictSame([uid, gid, mode & 0o777], [0, 1, 0o640])
  t.equal((await stat(at('data/magicstore.db'))).uid, 1)

  const other = await runBin(['setup', at('new'), ...withOptions({ '--backups': '/home/daemon/backups' })], { DATA_DIR: at('own'), ...withFault('process.getuid = () => 1') })
  t.strictSame([other.code, other.stderr], [0, ''])
  t.equal((await stat(at('new'))).mode & 0o777, 0o600)
  t.match(other.stdout, /^ProtectHome=read-only$/m)
  t.match(await runBin(['setup', at('root'), ...withOptions()], { DATA_DIR: at('own') }), { code: 0, stderr: /will run as root/ })
})

/** Puts a folder in the place of another one, for one command. */
const mounted = (folder: string, at: string) => ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" "$1" && shift && exec "$@"', folder, at]

test('what is installed as it would be printed is not printed, and a timer of backups that nobody wants is to be ended', { skip: process.getuid?.() !== 0 && 'this is not root' }, async t => {
  const folder = t.testdir({ units: {} })
  const at = (name: string) => join(folder, name)
  async function left (backups: string): Promise<{ files: { path: string, text: string }[], commands: string[] }> {
    await rm(at('settings'), { force: true })
    const args = ['setup', at('settings'), '--json', ...withOptions({ '--backups': backups })]
    const { code, stdout, stderr } = await runBin(args, { DATA_DIR: at('data') }, '', { under: mounted(at('units'), '/etc/systemd/system') })
    t.equal(code, 0, stderr)
    return JSON.parse(String(stdout.split('\n')[0]))
  }
  const all = await left(at('backups'))
  t.match(all.commands, [/^install -d/, 'systemctl daemon-reload', 'systemctl enable', 'systemctl restart'])
  for (const { path, text } of all.files) await writeFile(join(at('units'), basename(path)), text)
  await mkdir(at('backups'))
  const enable = 'systemctl enable magicstore magicstore-backup.timer'
  t.match(await left(at('backups')), { files: [], commands: [enable, 'systemctl restart magicstore magicstore-backup.timer'] })
  const other = await left(at('other'))
  t.strictSame(other.files.map(({ path }) => path), ['/etc/systemd/system/magicstore-backup.service'])
  t.match(other.commands, [/^install -d/, 'systemctl daemon-reload', enable, 'systemctl restart'])
  t.match(await left('none'), { files: [], commands: ['systemctl enable magicstore', 'systemctl restart magicstore', 'systemctl disable --now magicstore-backup.timer'] })
})
