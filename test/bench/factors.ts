import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { codeAt } from '../kit/one-time-codes.ts'
import { execute } from '../kit/programs.ts'
import { root } from '../kit/root.ts'
import type { Bench } from './cases.ts'
import { getRepeatedly } from './load.ts'
import type { Comparison } from './report.ts'
import { cpuSeconds, startMagicStore, type Running } from './servers.ts'
import { interleave, MICROSECONDS, rowsOf, speedOf, workOf } from './speed.ts'

/** CPU time that a wrong code may take. */
const WRONG_CODE_MILLISECONDS = 1

/** Fewer than the wrong codes that are allowed from one network. */
const GUESSES = 9

const BATCHES = 50

const PASSWORD = 'correct horse battery'

async function send (
  { port }: Running,
  method: string,
  path: string,
  { json, ...headers }: { json?: object, [header: string]: unknown } = {}
): Promise<any> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { ...headers as Record<string, string>, ...json !== undefined && { 'content-type': 'application/json' } },
    ...json !== undefined && { body: JSON.stringify(json) }
  })
  return answer.json()
}

/** A new account and a personal token of it. */
async function signUp (server: Running, username: string) {
  await send(server, 'POST', '/api/users', { json: { username, password: PASSWORD } })
  const authorization = `Basic ${btoa(`${username}:${PASSWORD}`)}`
  const { token } = await send(server, 'POST', '/api/tokens', { authorization, json: { name: 'a script', scopes: ['files:read'] } })
  return { authorization, token: String(token) }
}

/**
 * CPU time of a wrong code, with what is recorded of it, above that of a missing one. The codes are sent with the link
 * of a reset, because with it no password is hashed, which takes twenty times as long.
 */
async function compareCodes (
  server: Running, { dataDir, rounds }: { dataDir: string, rounds: number }
): Promise<Comparison['rounds']> {
  const { stdout } = await execute(process.execPath, [join(root, 'dist/main.js'), 'user', 'reset', 'berta'], { env: { PATH: process.env.PATH, DATA_DIR: dataDir } })
  const json = { secret: /#claim=(\w+)/.exec(stdout)?.[1], password: PASSWORD }
  const refused = (expected: string, headers: Record<string, string> = {}) => async () => {
    const { code } = await send(server, 'POST', '/api/account/claim', { json, ...headers })
    if (code !== expected) throw new Error(`answered ${code}, not ${expected}`)
  }
  const database = new Database(join(dataDir, 'magicstore.db'))
  const guess = refused('second_factor_wrong', { 'one-time-code': '000000' })
  const secondsOf = async (ask: () => Promise<void>) => {
    const before = cpuSeconds(server.pid)
    for (let time = 0; time < GUESSES; time++) await ask()
    // The last event is stored after the answer.
    await wait(20)
    return cpuSeconds(server.pid) - before
  }
  const measure = async () => {
    let seconds = 0
    for (let batch = 0; batch < BATCHES; batch++) {
      // So that no limit is reached.
      database.exec('DELETE FROM attempts')
      seconds += await secondsOf(guess) - await secondsOf(refused('second_factor_required'))
    }
    return seconds * 1000 / (BATCHES * GUESSES)
  }
  // Optimized by V8 before it is measured.
  await measure()
  const pairs = []
  for (let round = 0; round < rounds; round++) pairs.push({ ours: await measure(), baseline: WRONG_CODE_MILLISECONDS })
  database.close()
  return pairs
}

/** What a factor costs requests with a token: nothing. And what a wrong code costs. */
export async function compareFactors ({ rounds, seconds, folder }: Pick<Bench, 'rounds' | 'seconds' | 'folder'>): Promise<Comparison[]> {
  const dataDir = join(folder, 'factors')
  const server = await startMagicStore(dataDir)
  const [free, guarded] = [await signUp(server, 'anna'), await signUp(server, 'berta')]
  const { authorization } = guarded
  const { secret } = await send(server, 'POST', '/api/second-factor/totp', { authorization })
  const { recoveryCodes } = await send(server, 'PUT', '/api/second-factor/totp', { authorization, json: { code: codeAt(secret, Date.now()) } })
  if (recoveryCodes?.length !== 10) throw new Error('the factor is not on')

  const get = (token: string) => () => speedOf(server, () => workOf(getRepeatedly({ port: server.port, path: '/api/resource', headers: { Authorization: `Bearer ${token}` } }, { connections: 32, seconds })))
  // Optimized by V8 before it is measured.
  for (const { token } of [guarded, free, guarded, free]) await get(token)()
  const byToken = await interleave(rounds, get(guarded.token), get(free.token))

  const wrong = await compareCodes(server, { dataDir, rounds })
  await server.stop()
  return [
    ...rowsOf({ work: 'GET /api/resource with a token of an account with a factor', against: 'without a factor', rate: { unit: '/s', least: 0.95 }, cpu: { ...MICROSECONDS, most: 1.05 } }, byToken),
    { work: 'CPU of a wrong code', against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: wrong }
  ]
}
