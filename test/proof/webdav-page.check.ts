import { randomBytes } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { MAX_LOCKS, MAX_LOCKS_PER_PATH } from '#src/metadata/lock-records.ts'
import { MAX_PROPERTY_BYTES } from '#src/metadata/property-records.ts'
import { lockInfo } from '../kit/drive.ts'
import { run } from '../kit/programs.ts'
import { blocksOf, fencedIn, readReadme, sectionOf, typeLines } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { spawnServer, startServer } from '../kit/server.ts'
import { KIB } from '../kit/sizes.ts'
import { lock, openDrive, skipUnless, skipWithoutFuse } from './webdav.ts'

const file = join(root, 'openapi/webdav.md')
const page = await readFile(file, 'utf8')

t.test('the commands of the page on WebDAV run as typed, with rclone, restic and curl', { skip: skipUnless('curl', 'rclone', 'restic') }, async t => {
  const folder = t.testdir({ data: {}, desk: { 'report.pdf': 'the first report\n', photos: { '1.jpg': 'one', 'deep & odd': { '2 #.jpg': 'two' } } } })
  const desk = join(folder, 'desk')
  const server = await spawnServer(t, { DATA_DIR: join(folder, 'data'), QUOTA_BYTES: '1G' })
  t.equal((await server.send('POST', '/api/users', { json: { username: 'test_user', password: 'pwd' } })).status, 201)
  const withoutFuse = skipWithoutFuse()
  if (withoutFuse !== false) t.comment(`without the mount: ${withoutFuse}`)
  const blocks = blocksOf(page, 'bash').filter(([line = '']) => withoutFuse === false || !line.includes('rclone mount'))
  t.teardown(() => run('fusermount3', ['-u', '-q', join(desk, 'drive')]).catch(() => {}))

  const { code, stdout, stderr, statuses } = await typeLines(blocks.flat(), { port: server.port, folder: desk, shell: 'bash' })
  t.equal(code, 0, { stdout, stderr })
  t.same(statuses, [201, 201, 201, 207, 207, 207, 201, 201, 206, 204, 200, 204, 200, 204, 200, 204], { stdout, stderr })
  t.equal(statuses.length, blocks.flat().join('\n').split(/\bcurl\b/).length - 1, 'one for each curl')
  t.match(stdout, /no errors were found/)
  t.match(stdout, /Total: +1 GiB\nUsed: +\d+ B\nFree: /, 'of the quota')
  if (withoutFuse === false) t.match(stdout, /^1\.jpg\n/m)
  t.match(await run('diff', ['-r', 'photos', 'restored/photos'], { cwd: desk }), { code: 0, stdout: '' })

  const user: [string, string] = ['test_user', 'pwd']
  const { files, folders } = (await server.send('GET', '/api/files?folder=moved', { user })).json
  t.same([files.map(({ name }: { name: string }) => name), folders ?? []], [['moved/report.pdf'], []])
  t.equal((await server.send('GET', '/uploads/photos/deep%20%26%20odd/2%20%23.jpg', { user })).text, 'two')
  t.equal((await server.send('PUT', '/uploads/moved/report.pdf', { user, body: randomBytes(10) })).status, 200, 'no lock is left')
})

/** For each status that the page names, requests that are refused with it, and what the answers contain. */
const refusals: [number, string, method: string, path: string, Record<string, string>?, body?: string][] = [
  [400, 'malformed_xml', 'PROPFIND', '', { depth: '0', 'content-type': 'text/xml' }, '<!DOCTYPE a><propfind xmlns="DAV:"/>'],
  [400, 'malformed_xml', 'PROPFIND', '', { depth: '0', 'content-type': 'text/xml' }, `<propfind xmlns="DAV:"><prop>${'<a/>'.repeat(500)}</prop></propfind>`],
  [400, 'partial_upload', 'PUT', 'a', { 'content-range': 'bytes 0-0/2' }, 'x'],
  [401, 'token_required', 'GET', 'a', { authorization: `Basic ${btoa('ann:correct horse battery')}` }],
  [403, '<D:propfind-finite-depth>', 'PROPFIND', ''],
  [403, 'place_forbidden', 'MOVE', 'box', { destination: '/dav/box/in' }],
  [403, 'place_forbidden', 'LOCK', '', { 'content-type': 'text/xml' }, lockInfo()],
  [404, 'not_found', 'GET', 'none'],
  [405, 'method_not_allowed', 'MKCOL', 'box'],
  [405, 'method_not_allowed', 'PUT', 'box', {}, 'x'],
  [405, 'method_not_allowed', 'PATCH', 'a', {}, 'x'],
  [409, 'parent_missing', 'PUT', 'none/a', {}, 'x'],
  [409, '<D:lock-token-matches-request-uri>', 'UNLOCK', 'a', { 'lock-token': '<urn:uuid:none>' }],
  [412, 'precondition_failed', 'PUT', 'a', { if: '(["none"])' }, 'x'],
  [412, 'precondition_failed', 'COPY', 'a', { destination: '/dav/locked', overwrite: 'F' }],
  [413, 'file_too_large', 'PUT', 'a', {}, 'x'.repeat(2 * KIB)],
  [413, 'body_too_large', 'PROPFIND', '', { depth: '0', 'content-type': 'text/xml' }, ' '.repeat(65 * KIB)],
  [415, 'unsupported_media_type', 'MKCOL', 'new', {}, 'x'],
  [415, 'unsupported_media_type', 'LOCK', 'a', { 'content-type': 'application/json' }, '{}'],
  [423, '<D:lock-token-submitted><D:href>/dav/locked<', 'PUT', 'locked', {}, 'x'],
  [423, '<D:no-conflicting-lock><D:href>/dav/locked<', 'LOCK', 'locked', { 'content-type': 'text/xml' }, lockInfo()],
  [429, 'too_many_locks', 'LOCK', 'crowded', { 'content-type': 'text/xml' }, lockInfo('shared')],
  [502, 'foreign_destination', 'COPY', 'a', { destination: 'https://elsewhere.example.org/dav/b' }],
  [507, '<D:quota-not-exceeded>', 'PUT', 'b', {}, 'x'.repeat(KIB)]
]

t.test('refusals are answered as the page on WebDAV says', async t => {
  const server = await startServer(t, { QUOTA_BYTES: String(KIB), MAX_FILE_BYTES: String(KIB) })
  const drive = await openDrive(server)
  t.equal((await drive.send('MKCOL', 'box')).status, 201)
  t.equal((await drive.send('PUT', 'a', { body: 'a' })).status, 201)
  t.equal((await lock(drive, 'locked')).status, 201)
  for (let count = 0; count < MAX_LOCKS_PER_PATH; count++) await drive.send('LOCK', 'crowded', { headers: { 'content-type': 'text/xml' }, body: lockInfo('shared') })
  for (const [status, text, method, path, headers = {}, body = ''] of refusals) {
    const options = { headers, ...body !== '' && { body } }
    t.match(await drive.send(method, path, options), { status, text }, `${method} ${path} ${status} ${text}`)
  }
  const table = sectionOf(page, '## Errors')
  t.same(Array.from(table.matchAll(/^\| (\d{3}) \|/gm), ([, status]) => Number(status)), Array.from(new Set(refusals.map(([status]) => status))))
  const preconditions = refusals.flatMap(([, text]) => /^<D:([\w-]+)>/.exec(text)?.[1] ?? [])
  for (const precondition of preconditions) t.match(table, precondition)
})

t.test('other commands of the page on WebDAV are for other systems, and its numbers and links are right', async t => {
  t.same(fencedIn(page).filter(({ language }) => language !== 'bash').map(({ language, lines }) => `${language} ${String(lines[0]).split(' ').slice(0, 2).join(' ')}`), ['bat net use', 'console # mount'])
  t.match(page, `${MAX_LOCKS.toLocaleString('en')}, and a file or folder ${MAX_LOCKS_PER_PATH}`)
  t.match(page, `${MAX_PROPERTY_BYTES / KIB} KiB together`)
  for (const [, link = ''] of page.matchAll(/\]\((?!https:)([^)#]+)/g)) await t.resolves(access(join(dirname(file), link)), link)
  t.match(await readReadme(), '(openapi/webdav.md)')
})
