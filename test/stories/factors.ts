import { createHmac } from 'node:crypto'
import { createMagicStore, MagicStoreError } from './sdk/client.js'

// Compiled and run by sdk.check.ts, beside the client written to ./sdk. Prints one line per check and its result.

const [baseUrl] = process.argv.slice(2)
const report = (tried: string, outcome: unknown) => console.log(`${tried}: ${outcome}`)
const requests: string[] = []
const fetchAndNote = async (request: Request) => {
  requests.push(`${request.method} ${new URL(request.url).pathname} ${request.headers.get('authorization')?.split(' ')[0] ?? 'none'} ${request.headers.has('one-time-code') ? 'with' : 'without'} a code`)
  return fetch(request)
}
const noted = () => requests.splice(0).join(', ')
const failureOf = async (promise: Promise<unknown>) => promise.then(() => 'none', error => error instanceof MagicStoreError ? `${error.status} ${error.code}` : error.message)

/** A one-time code (RFC 6238) of now. The alphabet is that of base32. */
function codeOf (secret: string): string {
  const bits = Array.from(secret, letter => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)))
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)))
  const digest = createHmac('sha1', key).update(step).digest()
  const number = digest.readUInt32BE((digest.at(-1) ?? 0) & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}

const account = { username: 'zoë', password: 'pässword 😀' }
const alone = createMagicStore({ baseUrl, credentials: account, fetch: fetchAndNote })
await alone.register(account)
const withCode = (code: string) => createMagicStore({ baseUrl, credentials: { ...account, code }, fetch: fetchAndNote })
await withCode('not needed').put('a.txt', 'a')
requests.splice(0)

const { secret, uri } = await alone.setUpTotp()
report('a secret', new URL(uri).searchParams.get('secret') === secret)
report('a wrong code', await failureOf(alone.confirmTotp('000000')))
const codes = await alone.confirmTotp(codeOf(secret)) ?? []
report('recovery codes of the first factor', `${codes.length}, ${noted()}`)
report('the password alone', `${await failureOf(alone.createRecoveryCodes())}, ${noted()}`)
report('a token for the password alone', `${await failureOf(alone.put('b.txt', 'b'))}, ${noted()}`)

const once = withCode(codes[0] ?? '')
await Promise.all(['b.txt', 'c.txt', 'd.txt'].map(name => once.put(name, name)))
report('a code for three uploads', noted())
report('the same client for the password', `${await failureOf(once.createRecoveryCodes())}, ${noted()}`)
report('a code that was used', `${await failureOf(withCode(codes[0] ?? '').createRecoveryCodes())}, ${noted()}`)

let asked = 0
const asking = createMagicStore({ baseUrl, credentials: { ...account, onCode: async () => codes[++asked] ?? '' }, fetch: fetchAndNote })
const { token } = (await asking.api.POST('/api/tokens', { body: { name: 'a program', scopes: ['files:read'] } })).data ?? {}
report('a request with a body, after its code was asked for', `${typeof token}, ${noted()}`)
const factors = await asking.getSecondFactor()
report('what there is', `${factors.totp !== null} ${factors.passkeys.length} ${factors.recoveryCodesLeft}, asked ${asked} times, ${noted()}`)
const guessing = createMagicStore({ baseUrl, credentials: { ...account, onCode: () => 'wrong' }, fetch: fetchAndNote })
report('a wrong code is asked for once', `${await failureOf(guessing.removeTotp())}, ${noted()}`)
const leaving = createMagicStore({ baseUrl, credentials: { ...account, onCode: () => { throw new Error('no code') } }, fetch: fetchAndNote })
report('without an answer', `${await failureOf(leaving.removeTotp())}, ${noted()}`)
const late = createMagicStore({ baseUrl, credentials: { ...account, onCode: () => new Promise(() => {}) } })
const controller = new AbortController()
setTimeout(() => controller.abort(new Error('enough')), 1000)
report('an answer that takes too long', await failureOf(late.removeTotp(controller)))
const mistaken = createMagicStore({ baseUrl, credentials: { ...account, password: 'wrong', onCode: () => { throw new Error('asked') } } })
report('a wrong password', await failureOf(mistaken.removeTotp()))
const proxied = createMagicStore({ credentials: { ...account, onCode: () => { throw new Error('asked') } }, fetch: async () => new Response('<h1>No', { status: 401 }) })
report('a refusal of something else', await failureOf(proxied.removeTotp()))
const reader = createMagicStore({ baseUrl, credentials: { token: token ?? '' } })
report('a personal token', await failureOf(reader.download('a.txt')))

const newCodes = await asking.createRecoveryCodes()
report('new recovery codes', `${newCodes.length} ${codes.includes(newCodes[0] ?? '')}`)
const last = withCode(newCodes[0] ?? '')
await last.removeTotp()
report('without a factor', `${(await last.getSecondFactor()).totp}, ${await failureOf(alone.removePasskey(1))}`)

const credential = { id: 'AQID', response: { clientDataJSON: 'AQID', attestationObject: 'AQID', authenticatorData: 'AQID', signature: 'AQID' } }
const unavailable = await failureOf(alone.getPasskeyOptions())
report('options of passkeys', `${unavailable}, ${await failureOf(alone.getConfirmOptions())}, ${await failureOf(alone.getSignInOptions())}`)
report('passkeys that are none', `${await failureOf(alone.createPasskey('a phone', credential))}, ${await failureOf(alone.confirm(credential))}, ${await failureOf(alone.signIn(credential))}`)
report('a claim that is none', await failureOf(alone.claim({ secret: `rst_${'a'.repeat(32)}`, password: 'a new password' }, { code: 'abcd' })))

const program = createMagicStore({ baseUrl })
const allow = async (userCode: string) => {
  const { data } = await alone.api.POST('/api/connections/find', { body: { userCode } })
  await alone.api.POST('/api/connections/{id}/allow', { params: { path: { id: data?.id ?? '' } } })
}
const connected = await program.connect({ name: 'a program', scopes: ['files:read'] }, { onWaiting: ({ userCode }) => { void allow(userCode) } })
const files = createMagicStore({ baseUrl, credentials: { token: connected.token } })
report('a connection', `${connected.username}, ${await failureOf(files.put('b.txt', 'b'))}, ${(await files.api.GET('/api/files')).response.status}`)
const waiting = new AbortController()
report('a connection that is given up', await failureOf(program.connect({ name: 'a program', scopes: ['files:read'] }, { onWaiting: () => waiting.abort(new Error('enough')), signal: waiting.signal })))
