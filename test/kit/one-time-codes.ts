import { createHmac } from 'node:crypto'
import { createTestClock, type TestClock } from './clock.ts'
import { count } from './records.ts'
import type { Answer, Client, SendOptions } from './server.ts'

// An authenticator app, made without the library of the server.

export type User = [string, string]

/** A time step (RFC 6238), in milliseconds. */
export const STEP = 30_000

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 section 6, without padding; case, spaces and hyphens are ignored. */
export function bytesOfBase32 (text: string): Buffer {
  const bits = Array.from(text.toUpperCase().replace(/[ -]/g, ''), digit => BASE32.indexOf(digit).toString(2).padStart(5, '0')).join('')
  return Buffer.from(bits.match(/.{8}/g)?.map(byte => parseInt(byte, 2)) ?? [])
}

/** RFC 4648 section 6, without padding. */
export function base32Of (bytes: Uint8Array): string {
  const bits = Array.from(bytes, byte => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map(digit => BASE32[parseInt(digit.padEnd(5, '0'), 2)]).join('')
}

/** The six digits that an authenticator shows at a time (RFC 6238, SHA-1, 30 seconds). */
export function codeAt (secret: string, time: number): string {
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(time / STEP)))
  const digest = createHmac('sha1', bytesOfBase32(secret)).update(step).digest()
  const number = digest.readUInt32BE((digest[19] ?? 0) & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}

/** Six digits that no step near a time has. */
export function wrongCodeAt (secret: string, time: number): string {
  const right = [-2, -1, 0, 1, 2].map(steps => codeAt(secret, Math.max(0, time + steps * STEP)))
  for (let number = 0; ; number++) {
    const code = String(number).padStart(6, '0')
    if (!right.includes(code)) return code
  }
}

/** A clock that stands still in the middle of a time step. */
export function createStepClock (time = Date.now()): TestClock {
  return createTestClock(Math.floor(time / STEP) * STEP + STEP / 2)
}

/** Credentials with a code beside the password. */
export function withCode (user: User, code: string | string[], options: SendOptions = {}): SendOptions {
  return { user, ...options, headers: { 'one-time-code': code, ...options.headers } }
}

export interface OneTimeCodes { readonly secret: string, readonly recoveryCodes: string[] }

/** A new secret, which is not on yet. */
export async function newSecret (client: Client, options: SendOptions): Promise<string> {
  const { status, json } = await client.send('POST', '/api/second-factor/totp', options)
  if (status !== 200) throw new Error(`no secret: ${status} ${JSON.stringify(json)}`)
  return json.secret
}

/** Turns one-time codes on by the clock of the server: the code of the current step is used. */
export async function turnOn (
  client: Client, user: User, { headers = {}, ...fields }: { headers?: Record<string, string>, sessionId?: number } = {}
): Promise<OneTimeCodes> {
  const secret = await newSecret(client, { user, headers })
  const code = codeAt(secret, client.now?.() ?? Date.now())
  const { status, json } = await client.send('PUT', '/api/second-factor/totp', { user, headers, json: { code, ...fields } })
  if (status !== 200) throw new Error(`no factor: ${status} ${JSON.stringify(json)}`)
  return { secret, recoveryCodes: json.recoveryCodes }
}

/** How often each outcome occurred: the status, and the code of a problem. */
export function outcomesOf (answers: Answer[]): Record<string, number> {
  return count(answers.map(({ status, text }) => status < 400 ? String(status) : `${status} ${JSON.parse(text).code}`))
}
