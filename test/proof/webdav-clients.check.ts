import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { run } from '../kit/programs.ts'
import { spawnServer, type Client } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'
import { openDrive, skipUnless, skipWithoutFuse, type Drive } from './webdav.ts'

// cadaver and davfs2, which lock what they write.

/** A session of cadaver, in which each command is typed after the answer to the one before. */
interface Session {
  /** What cadaver prints between a command and its next prompt. */
  type (command: string): Promise<string>
  quit (): Promise<void>
}

/** Starts cadaver in a folder of its own. */
async function openCadaver (t: Test, { url }: Client, { username, token }: Drive, folder: string): Promise<Session> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, '.netrc'), `machine 127.0.0.1 login ${username} password ${token}\n`, { mode: 0o600 })
  // cadaver looks for a change by the time, in seconds.
  const EDITOR = 'sh -c \'echo edited >> "$0" && touch -d "next hour" "$0"\''
  const child: ChildProcess = spawn('stdbuf', ['-o0', 'cadaver', `${url}/dav/`], { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, EDITOR, PAGER: 'cat', LC_ALL: 'C.UTF-8' }, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', text => { printed += text })
  t.teardown(async () => {
    child.kill()
    await ended
  })
  const answered = () => until(() => /(?:dav:\/\S*>|Enter locktoken:) ?$/.test(printed) || child.exitCode !== null)
  await answered()
  return {
    async type (command) {
      printed = ''
      child.stdin?.write(`${command}\n`)
      await answered()
      return printed
    },
    async quit () {
      child.stdin?.write('quit\n')
      await ended
    }
  }
}

/** Command by command, with what cadaver says of it. */
const repertoire: [command: string, printed: RegExp][] = [
  ['ls', /collection is empty/],
  ['mkcol box second third "box/a & b"', /Creating `box': succeeded[^]*Creating `box\/a & b': succeeded/],
  ['put one.txt', /Uploading one.txt to `\/dav\/one.txt':.* succeeded/],
  ['put one.txt "box/a & b/three 1.txt"', /succeeded/],
  ['mput one.txt two.txt', /Uploading one.txt[^]*succeeded[^]*Uploading two.txt[^]*succeeded/],
  ['ls', /Coll: {3}box[^]*one\.txt +3 [^]*two\.txt +4 /],
  ['ls box', /Coll: {3}a & b/],
  ['cat two.txt', /\nfour/],
  ['get two.txt got.txt', /Downloading `two.txt' to `got.txt':.* succeeded/],
  ['copy one.txt box/copy.txt', /succeeded/],
  ['mget "box/a & b/three 1.txt" box/copy.txt', /three 1.txt':.* succeeded[^]*copy.txt':.* succeeded/],
  ['copy box second', /Copying `\/dav\/box\/' to `\/dav\/second\/box': succeeded/],
  ['move two.txt box/moved.txt', /succeeded/],
  ['move second third', /Moving `\/dav\/second\/' to `\/dav\/third\/second': succeeded/],
  ['ls third/second/box', /Coll: {3}a & b[^]*copy\.txt +3 /],
  ['lock one.txt', /Locking `one.txt': succeeded/],
  ['showlocks', /Lock token <urn:uuid:[^]*Depth 0 on `\S+\/dav\/one.txt'[^]*Scope: exclusive/],
  ['discover one.txt', /Lock token <urn:uuid:/],
  ['put one.txt', /succeeded/],
  ['unlock one.txt', /Unlocking `one.txt': succeeded/],
  ['discover one.txt', /no locks found/],
  ['lock box', /Locking collection `box': succeeded/],
  ['put one.txt box/inside.txt', /succeeded/],
  ['unlock box', /succeeded/],
  ['set lockscope shared', /\n/],
  ['lock one.txt', /succeeded/],
  ['showlocks', /Scope: shared/],
  ['unlock one.txt', /succeeded/],
  ['propset one.txt color red', /Setting property on `one.txt': succeeded/],
  ['propget one.txt color', /Value of color is: red/],
  ['propnames one.txt', /DAV:getetag[^]*color/],
  ['propget one.txt', /color = red/],
  ['copy one.txt colored.txt', /succeeded/],
  ['propget colored.txt color', /Value of color is: red/],
  ['propdel one.txt color', /succeeded/],
  ['propget one.txt color', /404 Not Found/],
  ['edit one.txt', /Changes were made[^]*Uploading changes to `\/dav\/one.txt'.*succeeded[^]*Unlocking `\/dav\/one.txt': succeeded/],
  ['cat one.txt', /oneedited/],
  ['delete colored.txt', /succeeded/],
  ['rmcol box third', /`box': succeeded[^]*`third': succeeded/],
  ['ls box', /404 Not Found/]
]

t.test('all commands of cadaver work', { skip: skipUnless('cadaver') }, async t => {
  const folder = t.testdir({ data: {}, desk: { 'one.txt': 'one', 'two.txt': 'four' } })
  const server = await spawnServer(t, { DATA_DIR: join(folder, 'data') })
  const drive = await openDrive(server)
  const cadaver = await openCadaver(t, server, drive, join(folder, 'desk'))
  for (const [command, printed] of repertoire) t.match(await cadaver.type(command), printed, command)
  await cadaver.quit()
  t.equal(await readFile(join(folder, 'desk/got.txt'), 'utf8'), 'four')
  const { files } = (await server.send('GET', '/api/files', { token: drive.token })).json
  t.same(files.map(({ name }: { name: string }) => name), ['one.txt'])
})

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
