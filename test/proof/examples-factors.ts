import { join } from 'node:path'
import type { Test } from 'tap'
import { Authenticator } from '../kit/authenticator.ts'
import { codeAt, turnOn, withCode, wrongCodeAt } from '../kit/one-time-codes.ts'
import { authenticatorFor, codeHeader, codeWith, creationOptions, registerPasskey, sendAssertion, sendAttestation, signInOptions } from '../kit/passkeys.ts'
import { runBin, sharedServer, signUp, startServer, type Answer } from '../kit/server.ts'
import { runSql } from '../kit/stores.ts'
import type { Listed } from './arbitraries.ts'
import { ask, askExample, exampleRequests, findOperation, type Asked, type Walkthrough } from './examples.ts'

// The examples of second factors, passkeys, invitations and resets: an app, an authenticator and the operator make what
// they are called with.

export const clock = 'the server\'s clock decides'
export const random = 'random, so that nobody can predict it'

/** Examples of responses that a test can't produce. */
export const impossibleOfFactors: Record<string, string> = {
  'SecondFactor.totp.createdAt': clock,
  'Passkey.createdAt': clock,
  'RegisteredPasskey.createdAt': clock,
  'TotpSecret.secret': random,
  'TotpSecret.uri': 'it contains the secret, which is random',
  'TotpResult.recoveryCodes': random,
  'TotpResult.recoveryCodes[]': random,
  'RecoveryCodes.recoveryCodes': random,
  'RecoveryCodes.recoveryCodes[]': random,
  'RegisteredPasskey.recoveryCodes': random,
  'RegisteredPasskey.recoveryCodes[]': random,
  'PasskeyConfirmation.code': random,
  'PasskeyCreationOptions.user.id': random,
  'PasskeyCreationOptions.challenge': random,
  'PasskeyRequestOptions.challenge': random
}

/** The id of a credential in the examples. Authenticators choose it. */
const EXAMPLE_ID = Buffer.from('AQIDBAUGBwgJCgsMDQ4PEA', 'base64url')

/** What the user of the examples has. */
interface Owned {
  readonly walkthrough: Walkthrough
  readonly phone: Authenticator
  /** Unused codes; none before the first second factor. */
  readonly codes: string[]
}

/** The password, and a code where the operation takes one and there is one. */
function signedIn ({ walkthrough: { document }, codes }: Owned, operationId: string): Asked {
  const takesCode = findOperation(document, operationId).operation.security.some(way => 'oneTimeCode' in way)
  return { isSignedInByPassword: true, headers: takesCode ? codeHeader(codes.shift()) : {} }
}

/** Calls an operation, and keeps the codes in the response. */
async function use (owned: Owned, operationId: string, asked: Asked = {}): Promise<Answer> {
  const answer = await ask(owned.walkthrough, operationId, { ...asked, ...signedIn(owned, operationId) })
  keepCodes(owned, answer)
  return answer
}

function keepCodes ({ codes }: Owned, { text }: Answer): void {
  const { recoveryCodes, code } = text === '' ? {} : JSON.parse(text)
  if (Array.isArray(recoveryCodes)) codes.splice(0, codes.length, ...recoveryCodes)
  if (code !== undefined) codes.push(code)
}

/** The secret of the link that a command prints. */
async function secretOf ({ walkthrough }: Owned, args: string[]): Promise<string> {
  const { stdout } = await runBin(['user', ...args], { DATA_DIR: walkthrough.server.dataDir })
  return String(/#claim=(\w+)/.exec(stdout)?.[1])
}

const anotherPhone = ({ walkthrough }: Owned) => authenticatorFor(walkthrough.server)

/** A new passkey for `registerPasskey`. */
async function attest (owned: Owned, authenticator: Authenticator): Promise<object> {
  return authenticator.create((await use(owned, 'createPasskeyOptions')).json)
}

/** A signature of the phone for a challenge of an operation. */
async function sign ({ walkthrough, phone }: Owned, operationId: string): Promise<object> {
  return phone.get((await ask(walkthrough, operationId)).json)
}

/** The operations, in an order that works, and what takes the place of values of an example in its body. */
const steps: Record<string, (owned: Owned, example: any) => Promise<object>> = {
  claimAccount: async (owned, { username }) => ({ secret: await secretOf(owned, username === undefined ? ['reset', 'test_user'] : ['invite']) }),
  getSecondFactor: async () => ({}),
  createTotp: async () => ({}),
  confirmTotp: async owned => ({ code: codeAt((await use(owned, 'createTotp')).json.secret, Date.now()) }),
  createRecoveryCodes: async () => ({}),
  createPasskeyOptions: async () => ({}),
  async registerPasskey (owned, { sessionId }) {
    return { credential: await attest(owned, sessionId === undefined ? anotherPhone(owned) : owned.phone) }
  },
  confirmPasskeyOptions: async () => ({}),
  confirmPasskey: async owned => ({ credential: await sign(owned, 'confirmPasskeyOptions') }),
  createPasskeySessionOptions: async () => ({}),
  createPasskeySession: async owned => ({ credential: await sign(owned, 'createPasskeySessionOptions') }),
  async deletePasskey (owned) {
    await use(owned, 'registerPasskey', { body: { json: { name: 'my phone', credential: await attest(owned, anotherPhone(owned)) } } })
    await use(owned, 'getSecondFactor')
    return {}
  },
  deleteTotp: async () => ({})
}

export const isOfFactors = ({ operation: { operationId } }: Listed): boolean => steps[operationId] !== undefined

/** Makes the requests of the examples at a server that can have passkeys. Returns how many they are. */
export async function walkFactors (t: Test, { document, seen }: Walkthrough): Promise<number> {
  const server = await startServer(t, { DATA_DIR: join(t.testdirName, 'second'), PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0' })
  const walkthrough: Walkthrough = { server, document, seen, user: ['test_user', 'pwd'], token: '', session: {} }
  const owned: Owned = { walkthrough, phone: authenticatorFor(server, EXAMPLE_ID), codes: [] }
  await ask(walkthrough, 'getService')
  let requests = 0
  for (const [operationId, fill] of Object.entries(steps)) {
    const listed = findOperation(document, operationId)
    for (const example of exampleRequests(listed, document)) {
      const json = { ...Object(example.body?.json), ...await fill(owned, Object(example.body?.json)) }
      const body = listed.operation.requestBody === undefined ? {} : { json }
      const filled = { ...example, body, ...signedIn(owned, operationId) }
      keepCodes(owned, await askExample(t, walkthrough, operationId, { example, filled }))
      requests++
    }
  }
  return requests
}

/** A server with these settings, and a new user. */
async function open (settings: Record<string, string> = {}) {
  const server = await sharedServer(settings)
  return { server, ...await signUp(server) }
}

/** How to provoke the problems of second factors. */
export const provokedByFactors: Record<string, () => Promise<Answer>> = {
  async passkey_invalid () {
    const { server, user } = await open()
    const elsewhere = new Authenticator('http://localhost:1')
    return sendAttestation(server, user, elsewhere.create(await creationOptions(server, user)))
  },
  async second_factor_required () {
    const { server, user } = await open()
    await turnOn(server, user)
    return server.send('GET', '/api/resource', { user })
  },
  async second_factor_wrong () {
    const { server, user } = await open()
    const { secret } = await turnOn(server, user)
    return server.send('GET', '/api/resource', withCode(user, wrongCodeAt(secret, Date.now())))
  },
  async passkey_refused () {
    const { server } = await open()
    return sendAssertion(server, authenticatorFor(server).get(await signInOptions(server)))
  },
  async second_factor_setup_required () {
    const { server, user } = await open({ SECOND_FACTOR: 'required' })
    return server.send('GET', '/api/resource', { user })
  },
  async second_factor_missing () {
    const { server, user } = await open()
    return server.send('POST', '/api/second-factor/recovery-codes', { user })
  },
  async factor_not_pending () {
    const { server, user } = await open()
    return server.send('PUT', '/api/second-factor/totp', { user, json: { code: '123456' } })
  },
  async too_many_passkeys () {
    const { server, user, id } = await open()
    const phone = authenticatorFor(server)
    await registerPasskey(server, user, phone)
    await runSql(server.dataDir, `
      WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20)
      INSERT INTO passkeys (account_id, name, credential_id, public_key, user_handle, counter, created_at)
      SELECT account_id, name, 'copy' || n, public_key, user_handle, counter, created_at FROM passkeys, numbers WHERE account_id = ${id}`)
    const options = await creationOptions(server, user, await codeWith(server, user, phone))
    const code = await codeWith(server, user, phone)
    return sendAttestation(server, user, authenticatorFor(server).create(options), { code })
  },
  async passkeys_unavailable () {
    const { server } = await open({ PUBLIC_URL: 'http://127.0.0.1:5000' })
    return server.send('POST', '/api/session/passkey/options')
  },
  async too_many_codes () {
    const { server, user } = await open()
    const { secret } = await turnOn(server, user)
    const guess = () => server.send('GET', '/api/resource', withCode(user, wrongCodeAt(secret, Date.now())))
    for (let count = 0; count < 10; count++) await guess()
    return guess()
  }
}
