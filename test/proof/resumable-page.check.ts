import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { sha256Of } from '../kit/digests.ts'
import { blocksOf, sectionOf, typeLines } from '../kit/readme.ts'
import { root } from '../kit/root.ts'
import { clientOf } from '../kit/server.ts'
import { MIB } from '../kit/sizes.ts'
import { startRoughServer } from './rough-wire.ts'

const page = await readFile(join(root, 'openapi/resumable-uploads.md'), 'utf8')
const commandsOf = (heading: string) => blocksOf(sectionOf(page, heading), 'bash')

test('the commands of the page on resumable uploads run as typed, over a wire that is cut', async t => {
  const folder = t.testdir({ data: {}, desk: {} })
  const server = await startRoughServer(t, join(folder, 'data'), 'http://127.0.0.1:1')
  const desk = join(folder, 'desk')
  const port = Number(new URL(server.url).port)
  const client = clientOf(port)
  const user: [string, string] = ['test_user', 'pwd']
  t.equal((await client.send('POST', '/api/users', { json: { username: 'test_user', password: 'pwd' } })).status, 201)
  const bytes = randomBytes(20 * MIB)
  const sha256 = sha256Of(bytes)
  await writeFile(join(desk, 'large.bin'), bytes)
  const type = (lines: string[]) => typeLines(lines, { port, folder: desk, shell: 'bash' })
  const [[upload = ''] = [], rest = []] = commandsOf('## curl')
  const [draft = []] = commandsOf('## The IETF draft')
  const [cancel = []] = commandsOf('## Cancel an upload')
  t.same([upload, ...rest, ...draft, ...cancel], blocksOf(page, 'bash').flat(), 'no other commands')

  server.mishaps.push({ atBytes: server.sent + 16 * MIB, kind: 'cut' })
  t.not((await type([upload])).code, 0)
  const continued = await type(rest)
  t.same([continued.code, continued.statuses], [0, [200, 200, 201]], { stderr: continued.stderr })
  t.equal((await client.send('GET', '/api/files/large.bin', { user })).json.sha256, sha256)
  t.ok(server.sent < 2 * bytes.length, 'sends the rest only')

  const ended = await type([...draft, ...cancel])
  t.same([ended.code, ended.statuses], [0, [201, 204, 200, 201, 204]], { stderr: ended.stderr })
  t.match(ended.stdout, /upload-offset: 1000000\r\n/i)
  t.equal((await client.send('GET', '/api/files/draft.bin', { user })).json.sha256, sha256)
})
