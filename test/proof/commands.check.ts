import { mkdirSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { runCommand } from '../kit/commands.ts'
import { signUp, startServer } from '../kit/server.ts'
import { lacksTerminal, runOnTerminal } from '../kit/terminal.ts'

// What all commands have in common: `--json`, and progress on a terminal.

/** Puts blobs that belong to no file into a data folder. */
function addOrphans (dataDir: string, count: number): void {
  mkdirSync(join(dataDir, 'blobs', '00'), { recursive: true })
  for (let index = 0; index < count; index++) writeFileSync(join(dataDir, 'blobs', '00', index.toString(16).padStart(32, '0')), 'whose?')
}

test('with --json every command prints one object per line, whose properties its --help names', async t => {
  const folder = t.testdir({ document: {}, elsewhere: {} })
  const server = await startServer(t, { DATA_DIR: join(folder, 'data'), LINKS: 'on' })
  const { user } = await signUp(server, 'ann')
  await server.send('PUT', '/uploads/a', { user, body: 'abc' })
  await server.send('PUT', '/api/folders/inbox', { user })
  await server.send('POST', '/api/links', { user, json: { name: 'inbox', kind: 'upload' } })
  await server.send('DELETE', '/uploads/a', { user })
  await server.close()
  addOrphans(server.dataDir, 2)
  const at = (name: string) => join(folder, name)
  const account = { id: 1, username: 'ann', isDisabled: false }
  const commands: { args: string[], expected: object[], code?: number, settings?: Record<string, string> }[] = [
    { args: ['user', 'add', 'ben'], expected: [{ id: 2, username: 'ben' }] },
    { args: ['user', 'list'], expected: [account, { id: 2 }] },
    { args: ['user', 'show', 'ann'], expected: [{ ...account, keptBytes: 3 }] },
    { args: ['user', 'disable', 'ann'], expected: [{ ...account, isDisabled: true }] },
    { args: ['user', 'enable', 'ann'], expected: [account] },
    { args: ['user', 'quota', 'ann', '--files', '3'], expected: [{ ...account, quotaFiles: 3, quotaBytes: null }] },
    { args: ['user', 'passwd', 'ann'], expected: [account] },
    { args: ['user', 'links', 'ann'], expected: [{ id: 1, kind: 'upload', name: 'inbox', hasPassword: false, uses: 0, lastUsedAt: null }] },
    { args: ['user', 'links', 'ann', '--revoke'], expected: [{ revoked: 1 }] },
    { args: ['import', at('document'), '--user', 'ann'], expected: [{ user: 'ann', imported: 0, failed: [] }] },
    { args: ['export', at('exported'), '--user', 'ann'], expected: [{ user: 'ann', files: 0, failed: [] }] },
    { args: ['fsck'], expected: [{ kind: 'orphan', blobId: /^0{31}[01]$/, isRepaired: false }, { kind: 'orphan' }], code: 1 },
    { args: ['fsck', '--repair'], expected: [{ isRepaired: true }, { isRepaired: true }] },
    { args: ['fsck'], expected: [] },
    { args: ['trash', 'empty', '--all', '--yes'], expected: [{ accounts: 1, files: 1, bytes: 3 }] },
    { args: ['events', '--user', 'ben'], expected: [{ kind: 'registered', username: 'ben', network: 'operator' }] },
    { args: ['keys', 'rotate'], expected: [{ kid: /^[0-9a-f]{12}$/ }] },
    { args: ['backup', at('backup')], expected: [{ folder: at('backup'), accounts: 2 }] },
    { args: ['restore', at('backup')], expected: [{ folder: at('restored'), accounts: 2 }], settings: { DATA_DIR: at('restored') } },
    { args: ['user', 'rm', 'ann', '--yes'], expected: [account] },
    { args: ['openapi', at('document')], expected: [{ folder: at('document'), files: ['openapi.json'] }] },
    { args: ['sdk', at('client'), '--base-url', 'https://files.example.org/'], expected: [{ folder: at('client'), files: ['schema.ts', 'client.ts', 'README.md'], baseUrl: 'https://files.example.org' }] },
    { args: ['sdk', '--python', at('magicstore')], expected: [{ folder: at('magicstore'), files: ['__init__.py', 'client.py', 'links.py', 'wire.py', 'schema.py', 'py.typed', 'README.md'] }] }
  ]
  const helps = new Map<string, string>()
  for (const { args, expected, code = 0, settings } of commands) {
    const ended = await runCommand([...args, '--json'], { DATA_DIR: server.dataDir, ...settings }, 'a longer secret\n')
    t.strictSame([ended.code, ended.stderr], [code, ''], args.join(' '))
    const printed = ended.stdout.split('\n').slice(0, -1).map(line => JSON.parse(line) as object)
    t.equal(printed.length, expected.length, args.join(' '))
    t.match(printed, expected, args.join(' '))
    const [command = ''] = args
    const help = helps.get(command) ?? (await runCommand([command, '--help'])).stdout
    helps.set(command, help)
    // The report of a backup is what the manifest has.
    if (['backup', 'restore'].includes(command)) continue
    for (const name of printed.flatMap(Object.keys)) t.match(help, new RegExp(`\\b${name}\\b`), `${command} ${name}`)
  }
})

test('every command but serve has --json, and with it a failure is one line of text and an exit code', async t => {
  const { stdout } = await runCommand(['--help'])
  const commands = Array.from(stdout.matchAll(/^ +magicstore ([a-z]+)/gm), ([, name = '']) => name).filter(name => name !== 'serve')
  t.ok(commands.includes('sdk'))
  for (const command of new Set(commands)) {
    const { stdout } = await runCommand([command, '--help'])
    t.match(stdout, new RegExp(`^magicstore ${command}[^]*^ +--json +one JSON object`, 'm'))
  }
  const failures = [...Array.from(new Set(commands), command => [command, '--frob']), ['fsck'], ['openapi', '/nowhere/at/all']]
  for (const args of failures) {
    const ended = await runCommand([...args, '--json'], { DATA_DIR: t.testdirName })
    t.match(ended, { code: args[0] === 'openapi' && args[1] !== '--frob' ? 1 : 2, stdout: /^$/, stderr: /^magicstore: [^\n]+\n$/ }, args.join(' '))
  }
})

test('what copies, deletes or checks much says on a terminal how far it is', { skip: lacksTerminal }, async t => {
  const at = (name: string) => join(t.testdirName, name)
  t.testdir({})
  const [folder, restored] = [at('backup'), at('restored')]
  const server = await startServer(t, { DATA_DIR: at('data') })
  const [ann, ben] = [await signUp(server, 'ann'), await signUp(server, 'ben')]
  for (let index = 0; index < 5; index++) {
    for (const { token } of [ann, ben]) await server.send('PUT', `/uploads/${index}`, { token, body: `${index}` })
    await server.send('DELETE', `/uploads/${index}`, { token: ben.token })
  }
  await server.close()
  addOrphans(server.dataDir, 501)
  for (const { args, shown, dataDir = server.dataDir } of [
    { args: ['backup', folder, '--prove'], shown: [/backup: 10 of 10 files/, /restored to test: 10 of 10 files/, /tested: 10 of 10 files/, /10 files of 2 accounts/] },
    { args: ['restore', folder], shown: [/restored: 10 of 10 files/], dataDir: restored },
    { args: ['fsck'], shown: [/checking the database/, /checked: 1 blobs/, /searched for orphans: 500 blobs/, /501 errors, 0 repaired\r\n$/] },
    { args: ['fsck', '--repair'], shown: [/1 errors, 1 repaired/, /0{32}" \(repaired\)/, /501 errors, 501 repaired\r\n$/] },
    { args: ['trash', 'empty', 'ben', '--yes'], shown: [/deleted: 5 files[^]*removed from the storage: 5 files[^]*deleted 5 files of 1 accounts/] },
    { args: ['user', 'rm', 'ann', '--yes'], shown: [/removed from the storage: 5 files[^]*\tann\t/] }
  ]) {
    const given = await runOnTerminal(t, args, { DATA_DIR: dataDir })
    for (const pattern of shown) t.match(given, pattern, args.join(' '))
  }
  t.equal((await readdir(join(server.dataDir, 'quarantine'))).length, 501)
  t.strictSame(await runCommand(['fsck'], { DATA_DIR: server.dataDir }), { code: 0, stdout: 'all is well\n', stderr: '' })
})
