import t from 'tap'
import { accountOf } from '../kit/kept-account.ts'
import { runBin, signUp, spawnServer } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'

const FILES = 600

t.test('a killed server leaves a beginning of a deletion and of a move of many, which is whole, and repeating does the rest', { timeout: 180_000 }, async t => {
  const DATA_DIR = t.testdir()
  const settings = { DATA_DIR, RATE_LIMIT_PER_MINUTE: '0' }
  let server = await spawnServer(t, settings)
  const { token, user } = await signUp(server, 'ada')
  const put = accountOf(server, token).put
  for (const folder of ['one', 'two']) {
    for (let first = 0; first < FILES; first += 50) await Promise.all(Array.from({ length: 50 }, (_, index) => put(`${folder}/f${first + index}`)))
  }
  const count = async (query: string) => (await server.send('GET', query, { user })).json.files.length as number
  const left = (folder: string) => count(`/api/files?limit=1000&folder=${folder}`)
  for (const [path, folder, rest] of [['/api/trash', 'one', {}], ['/api/moves', 'two', { folder: 'to' }]] as const) {
    const items = Array.from({ length: FILES }, (_, index) => ({ name: `${folder}/f${index}` }))
    const act = server.send('POST', path, { user, json: { items, ...rest } }).catch(() => undefined)
    await until(() => left(folder), number => number < FILES)
    await server.end('SIGKILL')
    await act
    const fsck = await runBin(['fsck', '--json'], { DATA_DIR })
    t.equal(fsck.code, 0, fsck.stdout)
    server = await spawnServer(t, settings)
    const before = await left(folder)
    t.match((await server.send('POST', path, { user, json: { items, ...rest } })).json, { done: before, refused: { length: FILES - before } }, `${before} are left after ${path}`)
    t.equal(await left(folder), 0)
  }
  t.equal(await count('/api/trash?limit=1000'), FILES)
  t.equal(await left('to'), FILES)
  const { deletions } = (await server.send('GET', '/api/trash/deletions', { user })).json
  t.equal(deletions.reduce((sum: number, { files }: { files: number }) => sum + files, 0), FILES)
  await server.end('SIGTERM')
})
