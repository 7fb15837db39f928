import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../kit/programs.ts'
import { blocksOf, fencedIn, typeLines } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { sharedServer } from '../kit/server.ts'
import { skipWithout } from './fronts.ts'
import { skipUnless } from './webdav.ts'

const page = await readFile(join(root, 'openapi/sync.md'), 'utf8')

const magicstore = `magicstore () { '${process.execPath}' '${join(root, 'dist/main.js')}' "$@"; }`

t.test('the commands of the page about sync work as typed, with curl and rclone', { skip: skipUnless('curl', 'rclone') }, async t => {
  const { port, send } = await sharedServer()
  const user: [string, string] = ['test_user', 'pwd']
  await send('POST', '/api/users', { json: { username: 'test_user', password: 'pwd' } })
  const folder = t.testdir({ Store: { 'report.txt': 'of the laptop' }, Photos: { '1.jpg': 'one' } })
  await send('PUT', '/uploads/notes.txt', { user, body: 'of the store' })

  const lines = [magicstore, ...blocksOf(page, 'bash').flat()]
  const { code, stdout, stderr } = await typeLines(lines, { port, folder, shell: 'bash' })
  t.equal(code, 0, { stdout, stderr })
  t.equal(await readFile(join(folder, 'Store/notes.txt'), 'utf8'), 'of the store')
  const { files } = (await send('GET', '/api/files', { user })).json
  t.same(files.map(({ name }: { name: string }) => name).sort(), ['notes.txt', 'photos/1.jpg', 'report.txt'])
})

t.test('systemd accepts the units of the page', { skip: skipWithout('systemd-analyze') }, async t => {
  const [service = '', timer = ''] = fencedIn(page).filter(({ language }) => language === 'ini').map(({ lines }) => lines.join('\n'))
  const units = { 'magicstore-sync.service': service.replace('/usr/local/bin/magicstore', process.execPath), 'magicstore-sync.timer': timer }
  const folder = t.testdir(units)
  const { code, stderr } = await run('systemd-analyze', ['verify', '--man=no', ...Object.keys(units)], { cwd: folder })
  t.same({ code, stderr }, { code: 0, stderr: '' })
})
