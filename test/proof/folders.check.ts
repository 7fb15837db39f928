import { once } from 'node:events'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { accountOf, type ListedFile } from '../kit/kept-account.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { signUp, spawnServer, type Answer, type Client } from '../kit/server.ts'
import { isProof, sizes } from '../kit/sizes.ts'
import { skipWithoutStrace, straced } from '../kit/strace.ts'

// Folders under races, and under kills in the midst of what changes them.

const ROUNDS = sizes.folderRaces

/** More than two acts of a recursive deletion, in the checks more than one. */
const FILES = isProof ? 1100 : 600
const CONCURRENCY = 16

const WELL = { code: 0, stdout: 'all is well\n', stderr: '' }

const bytesOf = (name: string) => `the bytes of ${name}`

/** What an account does through one server or another. */
function openAccount (client: Client, token: string) {
  const account = accountOf(client, token)
  const folders = async (folder = ''): Promise<string[]> => {
    const names = await account.folders(folder, { limit: '1000' })
    return (await Promise.all(names.map(async name => [name, ...await folders(name)]))).flat()
  }
  const all = async (path: string): Promise<ListedFile[]> => {
    const found: ListedFile[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const { json }: Answer = await account.send('GET', `${path}?limit=1000${cursor && `&cursor=${cursor}`}`)
      found.push(...json.files)
      cursor = json.next
    }
    return found
  }
  return {
    ...account,
    put: (name: string) => client.send('PUT', `/uploads/${name}`, { token, body: bytesOf(name) }),
    removeTree: (path: string) => account.removeFolder(path, { recursive: 'true' }),
    listed: () => all('/api/files'),
    folders,
    trash: () => all('/api/trash')
  }
}

type Account = ReturnType<typeof openAccount>

/** How often each answer was given: its status, and the code of a problem. */
function tally (answers: readonly Answer[]): string[] {
  return answers.map(answer => answer.status < 400 ? String(answer.status) : `${answer.status} ${answer.json.code}`).sort()
}

/** Checks that every file has its folders, and that the sums are exact. */
async function checkTree (t: Test, account: Account): Promise<{ files: string[], contents: string[] }> {
  const [listed, folders, trash, usage] =
    await Promise.all([account.listed(), account.folders(), account.trash(), account.usage()])
  const files = listed.map(({ name }) => name).sort()
  const paths = new Set(folders)
  const lost = [...files, ...folders].filter(name => name.includes('/') && !paths.has(name.slice(0, name.lastIndexOf('/'))))
  t.strictSame(lost, [], 'nothing is without its folder')
  t.equal(new Set([...files, ...folders]).size, files.length + folders.length, 'no name is there twice')
  t.match(usage, { files: files.length, folders: folders.length })
  return { files, contents: [...listed, ...trash].map(({ sha256 }) => sha256).sort() }
}

async function clear (account: Account): Promise<void> {
  for (const { name } of await account.listed()) await account.send('DELETE', `/uploads/${name}?permanent=true`)
  for (const path of await account.folders()) await account.removeTree(path)
  await account.send('DELETE', '/api/trash')
}

interface Race {
  /** What is there before: files, with their folders, and paths of empty folders, with a slash at the end. */
  readonly given: readonly string[]
  /** At the same time, through one server and the other. */
  readonly at: (one: Account, other: Account, deletedWith: string) => Promise<Answer>[]
  /** All that can be answered. */
  readonly answers: readonly string[][]
  /** All that can be there then, without the trash. */
  readonly left: readonly string[][]
  /** A folder that was deleted before. */
  readonly deleted?: string
}

const races: Record<string, Race> = {
  'a file goes into a folder that moves': {
    given: ['a/1'],
    at: (one, other) => [one.move('a', 'b'), other.put('a/2')],
    answers: [['200', '201']],
    left: [['b/1', 'b/2'], ['a/2', 'b/1']]
  },
  'a folder is deleted twice': {
    given: ['a/1', 'a/b/2'],
    at: (one, other) => [one.removeTree('a'), other.removeTree('a')],
    answers: [['204', '204'], ['204', '404 not_found']],
    left: [[]]
  },
  'a folder is deleted while it comes back': {
    given: ['a/1', 'a/b/2'],
    deleted: 'a',
    at: (one, other, deletedWith) => [one.restoreDeletion(deletedWith), other.removeTree('a')],
    // It may come back between the acts that delete its files and the one that deletes it.
    answers: [['200', '204'], ['200', '404 not_found'], ['200', '409 folder_not_empty']],
    left: [['a/1', 'a/b/2'], []]
  },
  'a deletion is restored twice': {
    given: ['a/1', 'a/b/2'],
    deleted: 'a',
    at: (one, other, deletedWith) => [one.restoreDeletion(deletedWith), other.restoreDeletion(deletedWith)],
    answers: [['200', '200'], ['200', '404 not_found']],
    left: [['a/1', 'a/b/2']]
  }
}

async function race (t: Test, accounts: readonly [Account, Account], { given, at, answers, left, deleted }: Race) {
  const [one, other] = accounts
  for (const name of given) t.equal((await one.put(name)).status, 201)
  if (deleted !== undefined) await one.removeTree(deleted)
  const [entry] = await one.trash()
  const found = tally(await Promise.all(at(one, other, String(entry?.deletedWith))))
  t.ok(answers.some(expected => `${expected}` === `${found}`), `is answered by ${found.join(', ')}`)
  const { files, contents } = await checkTree(t, other)
  t.ok(left.some(expected => `${expected}` === `${files}`), `leaves ${files.join(', ')}`)
  for (const name of given) t.equal(contents.filter(each => each === sha256Of(bytesOf(name))).length, 1, `${name} is there once`)
  await clear(one)
}

t.test('of what changes one folder at the same time, over two servers on PostgreSQL, one wins, and nothing is lost', { timeout: 600_000 }, async t => {
  const [postgres, s3] = [await startPostgres(t), await openS3(t)]
  const settings = { DATABASE_URL: await postgres.newDatabase(), STORAGE_URL: s3.url(), ...credentials }
  const start = () => spawnServer(t, { ...settings, RATE_LIMIT_PER_MINUTE: '0' })
  const [first, second] = await Promise.all([start(), start()])
  const { token } = await signUp(first, 'ada')
  const accounts = [openAccount(first, token), openAccount(second, token)] as const
  for (const [what, each] of Object.entries(races)) {
    await t.test(what, async t => { for (let round = 0; round < ROUNDS; round++) await race(t, accounts, each) })
  }
  for (const server of [first, second]) t.equal(await server.end('SIGTERM'), 0)
  t.strictSame(await runCommand(['fsck', '--deep'], settings), WELL)
})

/** Where a process is killed: at the n-th write of the log, at the n-th sync, or when it answers. */
const kills = [
  ...(isProof ? [1, 2, 3, 5] : [2, 3]).map(when => ({ what: `write ${when} of the log`, call: 'pwrite64', when })),
  ...(isProof ? [1, 2, 3, 4] : [2]).map(when => ({ what: `sync ${when}`, call: 'fdatasync', when })),
  { what: 'the answer', call: 'writev', when: 1 }
]

/** The paths of all files of a tree. */
const pathsIn = (place: string) =>
  Array.from({ length: FILES }, (_, index) => `${place}/${index % 7}/${index % 3}/${index}`).sort()

async function fill (account: Account): Promise<void> {
  const rest = pathsIn('tree')
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) await account.put(name)
  }))
}

t.test('a process that is killed in a move or a recursive deletion leaves it whole, or to be repeated', { skip: skipWithoutStrace, timeout: 600_000 }, async t => {
  const settings = { DATA_DIR: join(t.testdir(), 'data'), RATE_LIMIT_PER_MINUTE: '0', MAX_EVENT_LOOP_DELAY_MS: '0', KEEP_DAYS: '30' }
  let server = await spawnServer(t, settings)
  const { token } = await signUp(server, 'ada')
  await fill(openAccount(server, token))

  /** Sends a request to a server that is killed during it, checks what it left, and starts another one. */
  async function killIn (
    { call, when }: typeof kills[0], send: (account: Account) => Promise<Answer>
  ): Promise<Account> {
    await straced(t, server, ['-f', '-e', `inject=${call}:signal=KILL:when=${when}`])
    await Promise.race([send(openAccount(server, token)).catch(() => {}), once(server.child, 'exit')])
    await server.end('SIGKILL')
    t.strictSame(await runCommand(['fsck'], settings), WELL)
    server = await spawnServer(t, settings)
    return openAccount(server, token)
  }

  let place = 'tree'
  // In the checks each kill with one of them.
  for (const kill of kills.filter((_, index) => isProof || index % 2 === 0)) {
    await t.test(`a move, killed at ${kill.what}`, async t => {
      const to = place === 'tree' ? 'new/place' : 'tree'
      const account = await killIn(kill, account => account.move(place, to))
      const { files } = await checkTree(t, account)
      place = files[0]?.startsWith(`${to}/`) === true ? to : place
      t.strictSame(files, pathsIn(place), `all is in ${place}`)
    })
  }
  for (const kill of kills.filter((_, index) => isProof || index % 2 === 1)) {
    await t.test(`a recursive deletion, killed at ${kill.what}`, async t => {
      const account = await killIn(kill, account => account.removeTree(place))
      const { contents } = await checkTree(t, account)
      t.strictSame(contents, pathsIn('tree').map(name => sha256Of(bytesOf(name))).sort(), 'each is there or in the trash')
      t.match(String((await account.removeTree(place)).status), /^(204|404)$/)
      t.strictSame(await account.listed(), [])
      t.notOk((await account.folders()).includes(place))
      const deletions = new Set((await account.trash()).map(({ deletedWith }) => deletedWith))
      t.ok(deletions.size <= 2)
      for (const deletedWith of deletions) t.match((await account.restoreDeletion(deletedWith)).json, { kept: [] })
      t.strictSame((await checkTree(t, account)).files, pathsIn(place), 'and comes back')
    })
  }
  t.equal(await server.end('SIGTERM'), 0)
  t.strictSame(await runCommand(['fsck', '--deep'], settings), WELL)
})
