import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { SMALL, type Bench } from './cases.ts'
import { getRepeatedly, openRequester, repeat } from './load.ts'
import type { Comparison } from './report.ts'
import { startMagicStore, type Running } from './servers.ts'
import { interleave, MICROSECONDS, rowsOf, speedOf, workOf, type Speed } from './speed.ts'

/** CPU time that a wrong secret may take, with all of its request. */
const WRONG_SECRET_MICROSECONDS = 100

/** Links of one account that the rate of downloads must not depend on; more than the API allows. */
const MANY = 100_000

const connections = 16

const USER = 'anna:correct horse battery'

interface Account { readonly bearer: Record<string, string>, share (name: string): Promise<string> }

/** An account with a small file in the root and in a folder. */
async function openAccount ({ port }: Running): Promise<Account> {
  const [username, password] = USER.split(':')
  const basic = { authorization: `Basic ${btoa(USER)}` }
  const send = async (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
    await (await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...body !== undefined && { body } })).json() as Record<string, string>
  const asJson = { 'content-type': 'application/json' }
  await send('POST', '/api/users', asJson, JSON.stringify({ username, password }))
  for (const name of ['small', 'folder%2Fbelow%2Fsmall']) await send('PUT', `/uploads/${name}`, basic, SMALL.toString())
  // An access token lasts ten minutes.
  const { token } = await send('POST', '/api/tokens', { ...basic, ...asJson }, JSON.stringify({ name: 'bench', scopes: ['files:read'] }))
  return {
    bearer: { Authorization: `Bearer ${token}` },
    async share (name) {
      const { url = '' } = await send('POST', '/api/links', { ...basic, ...asJson }, JSON.stringify({ name, kind: 'download' }))
      return new URL(url).pathname
    }
  }
}

/** Adds links of the account, behind the back of the server. */
function addLinks (dataDir: string): void {
  const database = new Database(join(dataDir, 'magicstore.db'))
  database.exec(`
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${MANY})
    INSERT INTO links (account_id, kind, file_id, secret_hash, shows_owner, created_at)
    SELECT account_id, kind, file_id, lower(hex(randomblob(32))), shows_owner, created_at
    FROM numbers, (SELECT * FROM links WHERE file_id IS NOT NULL ORDER BY id LIMIT 1)`)
  database.close()
}

/** What a download by a link costs beside one by a token, and what a wrong secret costs, with few links and many. */
export async function compareLinks (
  { rounds, seconds, folder }: Pick<Bench, 'rounds' | 'seconds' | 'folder'>
): Promise<Comparison[]> {
  const dataDir = join(folder, 'links')
  const server = await startMagicStore(dataDir, { LINKS: 'on' })
  const { bearer, share } = await openAccount(server)
  const [file, linkedFolder] = [await share('small'), await share('folder')]
  const get = (path: string, headers: Record<string, string> = {}) => () =>
    speedOf(server, () => workOf(getRepeatedly({ port: server.port, path, headers }, { connections, seconds })))
  const byToken = get('/uploads/small', bearer)
  const byLink = get(`${file}/files/small`)
  const belowByLink = get(`${linkedFolder}/files/below/small`)
  const belowByToken = get('/uploads/folder/below/small', bearer)
  const next = () => ({ path: `/s/${randomBytes(11).toString('hex')}/files/small` })
  const guess = () => speedOf(server, () => workOf(repeat(connections, seconds, () =>
    openRequester({ port: server.port, method: 'GET', next, status: 404 }))))
  // Optimized by V8 before it is measured.
  for (const measure of [byLink, byToken, belowByLink, belowByToken, guess, byLink, byToken]) await measure()

  const targets = { rate: { unit: '/s', least: 0.9 }, cpu: { ...MICROSECONDS, most: 1.1 } }
  const against = 'with a token'
  const ofFile = await interleave(rounds, byLink, byToken)
  const ofFolder = await interleave(rounds, belowByLink, belowByToken)
  const limit = async (): Promise<Speed> => ({ perSecond: NaN, cpuSeconds: WRONG_SECRET_MICROSECONDS / 1e6 })
  const wrong = await interleave(rounds, guess, limit)
  addLinks(dataDir)
  const ofMany = await interleave(rounds, byLink, byToken)
  const wrongOfMany = await interleave(rounds, guess, limit)
  await server.stop()
  const ofWrong = (work: string, pairs: typeof wrong): Comparison => ({
    work,
    against: 'the limit',
    target: { most: 1 },
    unit: 'µs',
    rounds: pairs.map(({ ours, baseline }) => ({ ours: ours.cpuSeconds * 1e6, baseline: baseline.cpuSeconds * 1e6 }))
  })
  return [
    ...rowsOf({ work: '4 KiB downloads by a link of a file', against, ...targets }, ofFile),
    ...rowsOf({ work: '4 KiB downloads by a link of a folder', against, ...targets }, ofFolder),
    ...rowsOf({ work: '4 KiB downloads by a link among 100,000', against, ...targets }, ofMany),
    ofWrong('CPU of a wrong secret', wrong),
    ofWrong('CPU of a wrong secret among 100,000 links', wrongOfMany)
  ]
}
