import { join } from 'node:path'
import type { Test } from 'tap'
import type { Authenticator } from '../kit/authenticator.ts'
import { codeAt } from '../kit/one-time-codes.ts'
import { authenticatorFor, codeHeader } from '../kit/passkeys.ts'
import { runBin, startServer, type Answer } from '../kit/server.ts'
import type { Listed } from './arbitraries.ts'
import { ask, askExample, exampleRequests, findOperation, type Asked, type Walkthrough } from './examples.ts'

// The examples of second factors, passkeys, invitations and resets: an app, an authenticator and the operator make what
// they are called with.

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
    return {}
  },
  deleteTotp: async () => ({})
}

export const isOfFactors = ({ operation: { operationId } }: Listed): boolean => steps[operationId] !== undefined

/** Makes the requests of the examples at a server that can have passkeys. Returns how many they are. */
export async function walkFactors (t: Test, { document }: Walkthrough): Promise<number> {
  const server = await startServer(t, { DATA_DIR: join(t.testdirName, 'second'), PASSWORD_POLICY: 'open', RATE_LIMIT_PER_MINUTE: '0' })
  const walkthrough: Walkthrough = { server, document, user: ['test_user', 'pwd'], token: '', session: {} }
  const owned: Owned = { walkthrough, phone: authenticatorFor(server, EXAMPLE_ID), codes: [] }
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
