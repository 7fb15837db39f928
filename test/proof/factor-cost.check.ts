import pg from 'pg'
import { test, type Test } from 'tap'
import { personalToken } from '../kit/drive.ts'
import { startPostgres } from '../kit/postgres.ts'
import { signUp, startServer, type SendOptions } from '../kit/server.ts'
import { until } from '../kit/waiting.ts'
import { codeAt, STEP, turnOn, withCode, type User } from '../kit/one-time-codes.ts'

/** Counts the queries of this process to PostgreSQL, by their beginning. */
function countQueries (t: Test): { taken: () => string[] } {
  const { query } = pg.Client.prototype
  let seen: string[] = []
  function counted (this: pg.Client, ...args: unknown[]): unknown {
    const [first] = args
    seen.push(String(typeof first === 'string' ? first : (first as { text: string }).text).slice(0, 200))
    return Reflect.apply(query, this, args)
  }
  pg.Client.prototype.query = counted as typeof query
  t.teardown(() => { pg.Client.prototype.query = query })
  return {
    taken () {
      const taken = seen
      seen = []
      return taken
    }
  }
}

test('a request with a token makes one query, whether its account has a factor or not', async t => {
  const postgres = await startPostgres(t)
  const queries = countQueries(t)
  const server = await startServer(t, { DATABASE_URL: await postgres.newDatabase(), DATA_DIR: t.testdir(), RATE_LIMIT_PER_MINUTE: '0' })
  const [free, guarded] = [await signUp(server, 'ada'), await signUp(server, 'ben')]
  const personal = (user: User) => personalToken(server, user, ['files:read'])
  const tokens = [await personal(free.user), await personal(guarded.user)]
  const { secret } = await turnOn(server, guarded.user)
  const issued = await server.send('GET', '/api/token', withCode(guarded.user, codeAt(secret, Date.now() + STEP)))
  for (const token of [...tokens, free.token, issued.json.token] as string[]) {
    const send = (options: SendOptions = {}) => server.send('GET', '/api/resource', { token, ...options })
    // The first request of a minute notes the time of use.
    await send()
    // From when what is written in the background is done.
    await until(async () => {
      queries.taken()
      t.equal((await send()).status, 200)
      // The signing keys are read once a second.
      return queries.taken().filter(text => !text.includes('"signing_keys"')).length === 1
    })
  }
})

test('with an identity provider, a sign-in with the password and a request make the same queries as without one', async t => {
  const postgres = await startPostgres(t)
  const queries = countQueries(t)
  const provider = { OIDC_ISSUER: 'http://127.0.0.1:9', OIDC_CLIENT_ID: 'store', OIDC_ALLOW: 'anyone', PUBLIC_URL: 'http://localhost:5000', REGISTRATION: 'open' }
  const found = []
  for (const settings of [{}, provider]) {
    const server = await startServer(t, { DATABASE_URL: await postgres.newDatabase(), DATA_DIR: t.testdir(), RATE_LIMIT_PER_MINUTE: '0', ...settings })
    const { user, token } = await signUp(server, 'ada')
    const queriesOf = async (options: SendOptions) => {
      let taken: string[] = []
      // From when what is written in the background is done: the fewest of some requests.
      for (let request = 0; request < 8; request++) {
        queries.taken()
        t.equal((await server.send('GET', '/api/account', options)).status, 200)
        const own = queries.taken().filter(text => !text.includes('"signing_keys"'))
        if (request === 0 || own.length < taken.length) taken = own
      }
      return taken
    }
    found.push([await queriesOf({ user }), await queriesOf({ token })])
    await server.close()
  }
  t.ok(found[0]?.every(({ length }) => length > 0))
  t.strictSame(found[1], found[0])
})
