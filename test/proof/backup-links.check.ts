import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { report } from '../kit/backups.ts'
import { runCommand } from '../kit/commands.ts'
import { startPostgres } from '../kit/postgres.ts'
import { runBin, startServer, type Settings } from '../kit/server.ts'

const REVIVED = / {2}links that were revoked after the backup work again/

const links = { LINKS: 'on' }
const user: [string, string] = ['ann', 'pwd']

const postgres = await startPostgres(t)

/** The paths of a link to a file and of one for uploads. */
async function makeLinks (t: Test, settings: Settings) {
  const server = await startServer(t, settings)
  await server.send('POST', '/api/users', { json: { username: 'ann', password: 'pwd' } })
  await server.send('PUT', '/uploads/in/a.txt', { user, body: 'hello' })
  const make = async (json: object) => {
    const { json: { id, url } } = await server.send('POST', '/api/links', { user, json })
    return { id, path: new URL(url).pathname }
  }
  const [file, drop] = [await make({ name: 'in/a.txt', kind: 'download' }), await make({ name: 'in', kind: 'upload', maxFiles: 3 })]
  t.equal((await server.send('PUT', `${drop.path}/files/b`, { body: 'b' })).status, 201)
  await server.send('POST', `${drop.path}/uploads`, { headers: { 'tus-resumable': '1.0.0', 'upload-length': '5', 'upload-metadata': 'filename Yw==' } })
  await server.close()
  const revoke = async () => {
    const server = await startServer(t, settings)
    t.equal((await server.send('DELETE', '/api/links', { user })).status, 204)
    t.equal((await server.send('GET', `${file.path}/files/a.txt`)).status, 404)
    await server.close()
  }
  return { file: file.path, drop: drop.path, revoke }
}

/** Checks that a restored store has the links, with what was used of them. */
async function look (t: Test, settings: Settings, { file, drop }: { file: string, drop: string }): Promise<void> {
  const server = await startServer(t, settings)
  t.match(await server.send('GET', `${file}/files/a.txt`), { status: 200, text: 'hello' })
  t.match((await server.send('GET', '/api/links', { user })).json.links, [{ name: 'in', usedFiles: 1, usedBytes: 1 }, { name: 'in/a.txt' }])
  t.match((await server.send('GET', drop, { headers: { accept: 'application/json' } })).json, { accepts: { files: 2 } }, 'without the upload that was unfinished')
  t.equal((await server.send('PUT', `${drop}/files/b`, { body: 'b' })).status, 201)
  await server.close()
}

t.test('a backup has the links, in a folder and in PostgreSQL and back, and says that revoked ones revive', async t => {
  const root = t.testdir()
  const [data, backup, restored, back, last] = ['data', 'backup', 'restored', 'back', 'last'].map(name => join(root, name)) as [string, string, string, string, string]
  const made = await makeLinks(t, { DATA_DIR: data, ...links })
  const { snapshot } = await report(['backup', backup, '--prove'], { DATA_DIR: data })
  const database = new Database(join(backup, snapshot, 'magicstore.db'), { readonly: true })
  t.equal(database.prepare('SELECT count(*) FROM uploads').pluck().get(), 0)
  database.close()
  await made.revoke()

  const { code, stdout } = await runCommand(['restore', backup], { DATA_DIR: restored })
  t.equal(code, 0)
  t.match(stdout, REVIVED)
  await look(t, { DATA_DIR: restored, ...links }, made)

  const shared = { DATA_DIR: join(root, 'other'), DATABASE_URL: await postgres.newDatabase() }
  t.match(await report(['restore', backup], shared), { links: 2 })
  t.match(await report(['backup', back, '--prove'], shared), { files: 2 })
  await look(t, { ...shared, ...links }, made)
  t.match(await report(['restore', back], { DATA_DIR: last }), { links: 2 })
  await look(t, { DATA_DIR: last, ...links }, made)
})

t.test('a backup without links warns of none', async t => {
  const root = t.testdir()
  const settings = { DATA_DIR: join(root, 'data') }
  await runBin(['user', 'add', 'ann'], settings, 'pwd')
  await runCommand(['backup', join(root, 'backup')], settings)
  const { code, stdout } = await runCommand(['restore', join(root, 'backup')], { DATA_DIR: join(root, 'restored') })
  t.equal(code, 0)
  t.notMatch(stdout, REVIVED)
})
