import type { Test } from 'tap'
import { Authenticator, type CreationOptions, type Fault, type RequestOptions } from './authenticator.ts'
import { personalToken } from './drive.ts'
import { kindsOf, signUp, type Answer, type Client } from './server.ts'
import { until } from './waiting.ts'

type User = [string, string]

/** An authenticator behind a browser that shows a page of the server. */
export function authenticatorFor ({ port }: Client, id?: Buffer): Authenticator {
  return new Authenticator(`http://localhost:${port}`, id)
}

/** Beside the password. */
export function codeHeader (code: string | undefined): Record<string, string> {
  return code === undefined ? {} : { 'one-time-code': code }
}

/** What `POST /api/passkeys/options` returns. Each request needs a code of its own if a factor is on. */
export async function creationOptions (
  client: Client, user: User, code?: string
): Promise<CreationOptions & Record<string, any>> {
  return expect(200, await client.send('POST', '/api/passkeys/options', { user, headers: codeHeader(code) })).json
}

interface Registration { code?: string, name?: string, headers?: Record<string, string>, sessionId?: number }

export function sendAttestation (
  client: Client, user: User, credential: object, { code, name = 'my phone', headers = {}, ...more }: Registration = {}
): Promise<Answer> {
  return client.send('POST', '/api/passkeys', { user, headers: { ...codeHeader(code), ...headers }, json: { name, credential, ...more } })
}

/** Registers the first passkey of an account. Returns the recovery codes. */
export async function registerPasskey (
  client: Client, user: User, authenticator: Authenticator
): Promise<{ id: number, recoveryCodes: string[] }> {
  const options = await creationOptions(client, user)
  return expect(201, await sendAttestation(client, user, authenticator.create(options))).json
}

export async function signInOptions (client: Client): Promise<RequestOptions & Record<string, any>> {
  return expect(200, await client.send('POST', '/api/session/passkey/options')).json
}

export function sendAssertion (client: Client, credential: object): Promise<Answer> {
  return client.send('POST', '/api/session/passkey', { json: { credential } })
}

/** Signs in without a password. */
export async function signInWith (client: Client, authenticator: Authenticator, fault?: Fault): Promise<Answer> {
  return sendAssertion(client, authenticator.get(await signInOptions(client), fault))
}

export async function confirmationOptions (
  client: Client, user: User
): Promise<RequestOptions & Record<string, any>> {
  return expect(200, await client.send('POST', '/api/passkeys/confirm/options', { user })).json
}

export async function confirmWith (
  client: Client, user: User, authenticator: Authenticator, fault?: Fault
): Promise<Answer> {
  const credential = authenticator.get(await confirmationOptions(client, user), fault)
  return client.send('POST', '/api/passkeys/confirm', { user, json: { credential } })
}

/** A code that stands for the passkey, once. */
export async function codeWith (client: Client, user: User, authenticator: Authenticator): Promise<string> {
  return expect(200, await confirmWith(client, user, authenticator)).json.code
}

function expect (status: number, answer: Answer): Answer {
  if (answer.status !== status) throw new Error(`${answer.status} in place of ${status}: ${answer.text}`)
  return answer
}

/** A user with a personal token, which factors do not end. */
export async function newUser (client: Client, username: string): Promise<{ id: number, user: User, token: string }> {
  const { id, user } = await signUp(client, username)
  return { id, user, token: await personalToken(client, user, ['account', 'files:read']) }
}

export async function factorsOf (
  client: Client, token: string
): Promise<{ totp: object | null, passkeys: object[], recoveryCodesLeft: number }> {
  return (await client.send('GET', '/api/second-factor', { token })).json
}

export const refusal = ({ status, json }: Answer) => ({ status, code: json.code as string })

/** Asserts that events of a kind become so many. Requests do not wait for them. */
export async function checkEvents (
  t: Test, client: Client, token: string, { kind, count }: { kind: string, count: number }
): Promise<void> {
  const found = async () => (await kindsOf(client, { token })).filter(each => each === kind).length
  await until(async () => await found() >= count)
  t.equal(await found(), count, `${count} of ${kind}`)
}
