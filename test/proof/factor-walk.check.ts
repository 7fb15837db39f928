import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { personalToken } from '../kit/drive.ts'
import { root } from '../kit/root.ts'
import { pairwise, product } from '../kit/sampling.ts'
import { sharedServer, signUp, startServer, type Answer, type Client } from '../kit/server.ts'
import { isProof } from '../kit/sizes.ts'
import { codeAt, createStepClock, newSecret, STEP, turnOn, withCode, type User } from '../kit/one-time-codes.ts'
import { operationsOf } from './operations.ts'

// Every operation of the document and every method of the drive, with nothing but the password.

/** Take the password alone although a factor is on, and give nothing without an assertion of a passkey. */
const FIRST_STEPS = ['POST /api/passkeys/confirm/options', 'POST /api/passkeys/confirm']

/** What an account without a factor can do with its password where one is required. */
const SETUP = [
  'POST /api/second-factor/totp', 'PUT /api/second-factor/totp', 'POST /api/passkeys/options', 'POST /api/passkeys'
]

/** They end the token that they are called with. */
const ENDING = ['DELETE /api/token', 'DELETE /api/tokens']

/** The methods that webdav.md lists. */
async function davMethods (): Promise<string[]> {
  const page = await readFile(join(root, 'openapi/webdav.md'), 'utf8')
  const [, rows = ''] = /\n\| method \| \|\n\|---\|---\|\n([^]*?)\n\n/.exec(page) ?? []
  const methods = rows.split('\n').flatMap(row => Array.from((row.split('|')[1] ?? '').matchAll(/`([A-Z]+)`/g), ([, method = '']) => method))
  if (methods.length < 10) throw new Error('webdav.md has no table of methods')
  return methods
}

/** The ways to send a password: as Basic, and as what takes none. */
function schemesFor ([name, password]: User): { isBasic: boolean, authorizations: string[] }[] {
  const pair = Buffer.from(`${name}:${password}`).toString('base64')
  return [
    { isBasic: true, authorizations: [`Basic ${pair}`, `basic  ${pair}`] },
    { isBasic: false, authorizations: ['Bearer', 'Token'].flatMap(scheme => [pair, password.replaceAll(' ', '')].map(value => `${scheme} ${value}`)) }
  ]
}

/** All of these, or in the checks one, another each time. */
function some<T> (values: readonly T[], turn: number): readonly T[] {
  return isProof ? values : values.slice(turn % values.length, turn % values.length + 1)
}

const codeOf = ({ text, headers }: Answer): string => String(headers['content-type']).startsWith('application/problem+json') && text !== '' ? JSON.parse(text).code : ''

interface Refusal { readonly method: string, readonly step: string, readonly status: number, readonly code: RegExp }

/** Refused with a status, and with nothing that a program could use. */
function isRefused (t: Test, answer: Answer, { method, step, status, code }: Refusal): void {
  const isRight = answer.status === status && (method === 'HEAD' || code.test(codeOf(answer))) && answer.headers['set-cookie'] === undefined
  t.ok(isRight, step, { found: { status: answer.status, text: answer.text, cookie: answer.headers['set-cookie'] } })
}

/** What an account has, as its personal token sees it. */
async function stateOf (client: Client, token: string): Promise<unknown> {
  const paths = ['/api/account', '/api/files', '/api/folders', '/api/trash', '/api/uploads', '/api/second-factor']
  const answers = await Promise.all(paths.map(async path => (await client.send('GET', path, { token })).text))
  const tokens = (await client.send('GET', '/api/tokens', { token })).json.tokens as { id: number, kind: string }[]
  return [...answers, tokens.map(({ id, kind }) => `${kind} ${id}`)]
}

test('with a factor on, the password alone opens nothing, by any scheme, on any operation', { timeout: 600_000 }, async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const { user } = await signUp(server)
  const token = await personalToken(server, user, ['files:read', 'files:write', 'account'])
  await server.send('PUT', '/uploads/report.pdf', { token, body: 'bytes' })
  await turnOn(server, user)
  const before = await stateOf(server, token)
  const operations = await operationsOf(server)
  t.ok(operations.length > 60, `${operations.length} operations`)
  t.strictSame(FIRST_STEPS.filter(name => !operations.some(listed => listed.name === name)), [], 'the exceptions exist')

  for (const [turn, { name, method, path, schemes, isPublic, bodies, takesBody }] of operations.entries()) {
    const isFirstStep = FIRST_STEPS.includes(name)
    if (!isPublic) t.equal(schemes.includes('oneTimeCode'), schemes.includes('basic') && !isFirstStep, `${name}: the document says so`)
    for (const [index, body] of bodies.entries()) {
      for (const { isBasic, authorizations } of schemesFor(user)) {
        for (const authorization of some(authorizations, turn + index)) {
          const step = `${name} by ${authorization.slice(0, 6)}${index === 0 ? '' : ' with a body'}`
          const send = (headers: Record<string, string>) =>
            server.send(method, path, { ...body, headers: { ...body.headers, ...headers } })
          if (isPublic) {
            // With a body it would act, as it does for everybody.
            if (index > 0) continue
            const [anonymous, own] = [await send({}), await send({ authorization })]
            t.strictSame([own.status, codeOf(own), own.headers['set-cookie']], [anonymous.status, codeOf(anonymous), undefined], step)
          } else if (isFirstStep && isBasic) {
            if (index > 0 && !takesBody) continue
            const answer = await send({ authorization })
            t.notMatch(answer.text, /"(?:code|token|key)":"(?!passkey_refused|validation_failed|media_type_unsupported)/, step)
            t.notOk(answer.status < 300 && name === 'POST /api/passkeys/confirm', step)
          } else isRefused(t, await send({ authorization }), { method, step, status: 401, code: isBasic ? /^second_factor_required$/ : /^(?:token_malformed|password_required|credentials_malformed)$/ })
        }
      }
    }
  }
  t.strictSame(await stateOf(server, token), before, 'nothing has changed')
})

test('with a factor on, the drive takes no password, and personal tokens as before', async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const { user } = await signUp(server)
  const token = await personalToken(server, user, ['files:read', 'files:write'])
  await turnOn(server, user)
  const methods = await davMethods()
  const columns = [methods, ['/dav/', '/dav/a'], schemesFor(user).flatMap(({ authorizations }) => authorizations), [undefined, '<propfind xmlns="DAV:"/>']] as const
  for (const [method, path, authorization, body] of isProof ? product(columns) : pairwise(columns)) {
    if (method === 'OPTIONS' && body !== undefined) continue
    const answer = await server.send(method, path, { headers: { authorization, depth: '0', destination: '/dav/b' }, ...body !== undefined && { body } })
    if (method === 'OPTIONS') t.equal(answer.status, 204)
    else isRefused(t, answer, { method, step: `${method} ${path} by ${authorization.slice(0, 6)}`, status: 401, code: /^token_required$/ })
  }
  const withToken = { user: [user[0], token] as User }
  t.equal((await server.send('PUT', '/dav/a', { ...withToken, body: 'bytes' })).status, 201)
  t.equal((await server.send('PROPFIND', '/dav/', { ...withToken, headers: { depth: '1' } })).status, 207)
  t.match(await server.send('GET', '/dav/a', withToken), { status: 200, text: 'bytes' })
})

test('with a factor on, personal tokens go on everywhere, by every scheme', { timeout: 300_000 }, async t => {
  const server = await sharedServer({ LINKS: 'on' })
  const { user } = await signUp(server)
  const scopes = ['files:read', 'files:write', 'account', 'links']
  const [token, another] = [await personalToken(server, user, scopes), await personalToken(server, user, scopes)]
  await turnOn(server, user)
  const operations = (await operationsOf(server)).filter(({ name, schemes }) => schemes.includes('bearer') && !ENDING.includes(name))
  t.ok(operations.length > 40, `${operations.length} operations`)
  for (const [turn, { name, method, path, bodies }] of operations.entries()) {
    for (const authorization of some([`Bearer ${token}`, `Token ${token}`, `Basic ${btoa(`${token}:`)}`], turn)) {
      for (const body of bodies) {
        const answer = await server.send(method, path, { ...body, headers: { ...body.headers, authorization } })
        t.notOk([401, 403, 429, 500].includes(answer.status), `${name}: ${answer.status}`)
      }
    }
  }
  const issued = await server.send('GET', '/api/token', { token })
  t.equal((await server.send('GET', '/api/resource', { token: issued.json.token })).status, 200, 'with the access token that it gives')
  t.equal((await server.send('DELETE', '/api/token', { token: another })).status, 204)
  t.equal((await server.send('DELETE', '/api/tokens', { token })).status, 204)
})

test('where a factor is required, an account without one can do nothing with its password but set one up', { timeout: 600_000 }, async t => {
  const clock = createStepClock()
  const dataDir = t.testdir()
  const settings = { DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '0' }
  const before = await startServer(t, settings, { clock })
  const { user, token: access } = await signUp(before, 'ada')
  const token = await personalToken(before, user, ['files:read', 'files:write', 'account'])
  await before.close()
  const server = await startServer(t, { ...settings, SECOND_FACTOR: 'required' }, { clock })
  t.equal((await server.send('GET', '/')).json.secondFactor, 'required')
  const state = await stateOf(server, token)
  const operations = await operationsOf(server)
  t.strictSame(SETUP.filter(name => !operations.some(listed => listed.name === name)), [], 'the exceptions exist')
  for (const { name, method, path, schemes, bodies, takesBody } of operations) {
    if (!schemes.includes('basic')) continue
    for (const [index, body] of bodies.entries()) {
      if (index > 0 && SETUP.includes(name) && !takesBody) continue
      const answer = await server.send(method, path, { ...body, user })
      const step = `${name}${index === 0 ? '' : ' with a body'}`
      if (SETUP.includes(name)) t.notOk([403, 429, 500].includes(answer.status) || codeOf(answer) === 'second_factor_required', step)
      else isRefused(t, answer, { method, step, status: 403, code: /^second_factor_setup_required$/ })
    }
  }
  t.strictSame(await stateOf(server, token), state, 'nothing has changed, and personal tokens go on')
  for (const each of [access, token]) t.equal((await server.send('GET', '/api/resource', { token: each })).status, 200, 'tokens from before')
  t.match(await server.send('GET', '/api/account', { user: ['ada', 'wrong'] }), { status: 401, json: { code: 'credentials_wrong' } }, 'it is told only after the right password')

  const added = await signUp(server, 'ben')
  t.equal(added.token, undefined, 'a new account gets no token')
  const secret = await newSecret(server, { user: added.user })
  t.equal((await server.send('PUT', '/api/second-factor/totp', { user: added.user, json: { code: codeAt(secret, clock.now()) } })).status, 200)
  t.match(await server.send('GET', '/api/account', { user: added.user }), { status: 401, json: { code: 'second_factor_required' } })
  t.equal((await server.send('GET', '/api/token', withCode(added.user, codeAt(secret, clock.now() + STEP)))).status, 200)
})
