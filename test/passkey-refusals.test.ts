import t from 'tap'
import { createChallenges } from '#src/factors/passkeys.ts'
import { createKeyRing } from '#src/tokens/key-ring.ts'
import { createSignedTexts } from '#src/tokens/signed-texts.ts'
import { encodeCbor, USER_PRESENT, USER_VERIFIED, type Fault } from './kit/authenticator.ts'
import { MINUTE } from './kit/durations.ts'
import { authenticatorFor, checkEvents, codeWith, confirmationOptions, creationOptions, factorsOf, newUser, refusal, registerPasskey, sendAssertion, sendAttestation, signInOptions, signInWith } from './kit/passkeys.ts'
import { runBin, startServer, type Answer } from './kit/server.ts'

/** Disables limits that are not under test. */
const unlimited = { REGISTRATIONS_PER_HOUR: '0', RATE_LIMIT_PER_MINUTE: '0' }

t.test('a challenge is for one act, one account and five minutes, and is used once', async t => {
  const secret = '0123456789abcdefghijklmnopqrstuv'
  const server = await startServer(t, { ...unlimited, SIGNING_KEYS: `test:${secret}` })
  const [ann, bob] = [await newUser(server, 'ann'), await newUser(server, 'bob')]
  const [phone, other] = [authenticatorFor(server), authenticatorFor(server)]
  const keys = [{ kid: 'test', secret }]
  const signedTexts = createSignedTexts({ keyRing: createKeyRing(keys, async () => keys) })
  const issue = (now: number) => createChallenges({ signedTexts, metadata: { now: async () => now } })
  const refused = { status: 401, code: 'passkey_refused' }
  const invalid = { status: 400, code: 'passkey_invalid' }
  const now = Date.now()

  const creation = await creationOptions(server, ann.user)
  const attest = async (challenge: string, authenticator = authenticatorFor(server)) =>
    refusal(await sendAttestation(server, ann.user, authenticator.create({ ...creation, challenge })))
  t.strictSame(await attest((await signInOptions(server)).challenge), invalid)
  t.strictSame(await attest((await creationOptions(server, bob.user)).challenge), invalid)
  t.strictSame(await attest(await issue(now - 5 * MINUTE).issue('registration', ann.id, 'handle')), invalid)
  t.strictSame(await factorsOf(server, ann.token), { totp: null, passkeys: [], recoveryCodesLeft: 0 })
  t.equal((await attest(await issue(now - 4 * MINUTE).issue('registration', ann.id, creation.user.id), phone)).status, 201)
  await registerPasskey(server, bob.user, other)

  const confirmation = await confirmationOptions(server, ann.user)
  const expired = issue(now - 5 * MINUTE)
  const forSignIn = [
    confirmation.challenge, creation.challenge, await expired.issue('sign-in', null), `${confirmation.challenge}A`, ''
  ]
  for (const challenge of forSignIn) {
    t.strictSame(refusal(await sendAssertion(server, phone.get({ ...confirmation, challenge }))), refused)
  }
  const confirm = async (challenge: string) => {
    const credential = phone.get({ ...confirmation, challenge })
    return refusal(await server.send('POST', '/api/passkeys/confirm', { user: ann.user, json: { credential } }))
  }
  t.strictSame(await confirm((await signInOptions(server)).challenge), refused)
  t.strictSame(await confirm((await confirmationOptions(server, bob.user)).challenge), refused)
  t.strictSame(await confirm(await expired.issue('confirmation', ann.id)), refused)
  t.equal((await confirm(confirmation.challenge)).status, 200)
  t.strictSame(await confirm(confirmation.challenge), refused, 'a second code for one signature')

  const credential = phone.get(await signInOptions(server))
  const signIns = await Promise.all(Array.from({ length: 8 }, () => sendAssertion(server, credential)))
  t.strictSame(signIns.map(({ status }) => status).sort(), [201, ...Array.from({ length: 7 }, () => 401)], 'eight at once: one session')
  const code = async () => codeWith(server, ann.user, phone)
  const again = authenticatorFor(server).create(await creationOptions(server, ann.user, await code()))
  const codes = [await code(), await code(), await code(), await code()]
  const registrations = await Promise.all(codes.map(code => sendAttestation(server, ann.user, again, { code })))
  t.equal(registrations.filter(({ status }) => status === 201).length, 1, 'four at once: one passkey')
  t.equal((await factorsOf(server, ann.token)).passkeys.length, 2)
})

t.test('a passkey whose counter goes back is refused, which is an event', async t => {
  const server = await startServer(t)
  const { user, token } = await newUser(server, 'ann')
  const phone = authenticatorFor(server)
  phone.counter = 7
  await registerPasskey(server, user, phone)
  const counters = [[8, 201], [8, 401], [7, 401], [0, 401], [9, 201], [2 ** 32 - 1, 201], [9, 401]] as const
  for (const [counter, status] of counters) {
    t.equal((await signInWith(server, phone, { counter })).status, status, String(counter))
  }
  await checkEvents(t, server, token, { kind: 'passkey_refused', count: 4 })
  const [ben, synced] = [await newUser(server, 'ben'), authenticatorFor(server)]
  await registerPasskey(server, ben.user, synced)
  for (const status of [201, 201]) t.equal((await signInWith(server, synced)).status, status, 'one that does not count always tells 0')
  t.equal((await signInWith(server, synced, { counter: 1 })).status, 201)
  t.equal((await signInWith(server, synced)).status, 401, 'from then on it counts')
})

t.test('the passkey of a disabled account is refused', async t => {
  const server = await startServer(t)
  const { user } = await newUser(server, 'ann')
  const phone = authenticatorFor(server)
  await registerPasskey(server, user, phone)
  const refused = [await signInWith(server, phone, { flags: USER_PRESENT })]
  await runBin(['user', 'disable', 'ann'], { DATA_DIR: server.dataDir })
  refused.push(await signInWith(server, phone))
  await runBin(['user', 'enable', 'ann'], { DATA_DIR: server.dataDir })
  t.equal((await signInWith(server, phone)).status, 201)
  refused.push(await signInWith(server, authenticatorFor(server)))
  const shown = ({ status, headers, json }: Answer) => ({ status, challenge: headers['www-authenticate'], ...json, instance: '' })
  t.match(refused[0], { status: 401, headers: { 'www-authenticate': /^Basic / }, json: { code: 'passkey_refused' } })
  for (const answer of refused) t.strictSame(shown(answer), shown(refused[0] as Answer), 'every refusal has one answer')
})

/** Arrays in arrays: deeper than the stack of a parser that calls itself. */
const nested = Buffer.concat([Buffer.alloc(10_000, 0x81), Buffer.from([0])])

const bytes = Buffer.alloc(32, 1)

/** A COSE key of these members (RFC 9053 section 7). */
const coseKey = (...members: [number, number | Uint8Array | string][]) => encodeCbor(new Map(members))

/** What is wrong with the new credential of an authenticator. */
const wrongAttestations: Record<string, Fault> = {
  'without a verified user': { flags: USER_PRESENT },
  'without a user': { flags: USER_VERIFIED },
  'backed up, but not eligible': { flags: USER_PRESENT | USER_VERIFIED | 16 },
  'for another host': { rpId: 'example.org' },
  'of another origin': { clientData: { origin: 'https://example.org' } },
  'of the same host without its port': { clientData: { origin: 'http://localhost' } },
  'of an address': { clientData: { origin: 'http://127.0.0.1:5000' } },
  'of another type': { clientData: { type: 'webauthn.get' } },
  'with another id': { signedId: Buffer.alloc(32) },
  'without an id': { signedId: Buffer.alloc(0) },
  'with bytes at the end': { extra: Buffer.alloc(1) },
  'with extensions that are missing': { flags: USER_PRESENT | USER_VERIFIED | 128 },
  'with a key that is cut': { publicKey: coseKey([1, 2], [3, -7]).subarray(0, 3) },
  'with a key that lacks its point': { publicKey: coseKey([1, 2], [3, -7], [-1, 1]) },
  'with a point that is not on the curve': { publicKey: coseKey([1, 2], [3, -7], [-1, 1], [-2, bytes], [-3, bytes]) },
  'with a number that would be 4 GB': { publicKey: coseKey([1, 2], [3, -7], [-1, 1], [-2, 2 ** 32 - 1], [-3, bytes]) },
  'with a text that would be 4 GB': { publicKey: coseKey([1, 2], [3, -7], [-1, 1], [-2, '4294967295'], [-3, bytes]) },
  'with a key of an unknown algorithm': { publicKey: coseKey([1, 2], [3, -65_535]) },
  'with a key without an algorithm': { publicKey: coseKey([1, 2]) },
  'with an algorithm that is text': { publicKey: coseKey([3, 'ES256']) },
  'with a key that is slow to use': { publicKey: coseKey([1, 3], [3, -257], [-1, Buffer.alloc(513, 1)], [-2, bytes]) },
  'with an exponent that is slow to use': { publicKey: coseKey([1, 3], [3, -257], [-1, Buffer.alloc(512, 1)], [-2, Buffer.alloc(67, 1)]) },
  'with a key that is no map': { publicKey: encodeCbor([1, 2]) },
  'with a key of nested arrays': { publicKey: nested },
  'with a key that says 4 GB': { publicKey: Buffer.from('5affffffff', 'hex') },
  'with a key that says 2^32 members': { publicKey: Buffer.from('9affffffff', 'hex') },
  'with a key of 2^53 bytes': { publicKey: Buffer.from('5b0020000000000000', 'hex') },
  'with members twice': { publicKey: Buffer.from('a201020102', 'hex') }
}

/** Client data that browsers do not make. */
const wrongClientData: Record<string, Fault> = {
  'that is empty': { clientDataText: ' ' },
  'that is no JSON': { clientDataText: '{' },
  'that is null': { clientDataText: 'null' },
  'that is a number': { clientDataText: '1' },
  'of nested arrays': { clientDataText: '['.repeat(3000) },
  'without a challenge': { clientData: { challenge: undefined } },
  'with a number as the challenge': { clientData: { challenge: 1 } },
  'with a challenge that looks like 2 GB': { clientData: { challenge: { length: 2 ** 31 } } },
  'with a challenge that can\'t be text': { clientData: { challenge: { toString: 1 } } },
  'with an origin that is an object': { clientData: { origin: {} } },
  'with a token binding that is a number': { clientData: { tokenBinding: 1 } },
  'with a token binding of an unknown status': { clientData: { tokenBinding: { status: 'x' } } },
  'in a frame of another page': { clientData: { crossOrigin: true, topOrigin: 'https://example.org' } },
  'in a frame that says no more': { clientData: { crossOrigin: true } }
}

t.test('a new passkey that is not right is refused, and leaves nothing behind', async t => {
  const server = await startServer(t, unlimited)
  const { user, token } = await newUser(server, 'ann')
  const phone = authenticatorFor(server)
  const options = await creationOptions(server, user)
  const invalid = { status: 400, code: 'passkey_invalid' }
  const send = async (credential: object) => refusal(await sendAttestation(server, user, credential))
  for (const [what, fault] of Object.entries({ ...wrongAttestations, ...wrongClientData })) {
    t.strictSame(await send(phone.create(options, fault)), invalid, what)
  }
  const right = phone.create(options)
  const { attestationObject } = right.response
  const whole = Buffer.from(attestationObject, 'base64url')
  const objects = {
    'random bytes': Buffer.alloc(100, 0xff),
    'a number': encodeCbor(1),
    'nested arrays': nested,
    'nested tags': Buffer.concat([Buffer.alloc(10_000, 0xc1), Buffer.from([0])]),
    'no authenticator data': encodeCbor(new Map([['fmt', 'none']])),
    'text as authenticator data': encodeCbor(new Map([['authData', 'x'.repeat(100)]])),
    'a map as authenticator data': encodeCbor(new Map([['authData', new Map()]])),
    'short authenticator data': encodeCbor(new Map([['authData', Buffer.alloc(36)]])),
    'authenticator data without a key': encodeCbor(new Map([['authData', phone.headOf('localhost')]])),
    ...Object.fromEntries([1, 50, 100, whole.length - 1].map(length => [`the first ${length} bytes`, whole.subarray(0, length)]))
  }
  for (const [what, object] of Object.entries(objects)) {
    t.strictSame(await send({ ...right, response: { ...right.response, attestationObject: object.toString('base64url') } }), invalid, what)
  }
  const malformed = [
    null, [], 'x', {}, { ...right, id: undefined }, { ...right, id: '' }, { ...right, id: 'a b' }, { ...right, id: 1 },
    { ...right, id: 'A'.repeat(1365) }, { ...right, response: null }, { ...right, response: {} },
    { ...right, response: { ...right.response, attestationObject: `${attestationObject}=` } },
    { ...right, response: { ...right.response, attestationObject: 'A'.repeat(16_385) } },
    { ...right, response: { ...right.response, clientDataJSON: 'A'.repeat(4097) } }
  ]
  for (const credential of malformed) {
    t.strictSame(await send(credential as object), { status: 400, code: 'validation_failed' }, JSON.stringify(credential).slice(0, 60))
  }
  for (const name of ['', 'x'.repeat(101), 'a\nb', '\ud800']) {
    t.strictSame(refusal(await sendAttestation(server, user, right, { name })), { status: 400, code: 'validation_failed' }, JSON.stringify(name))
  }
  t.strictSame(await send({ ...right, more: 'x'.repeat(65_536) }), { status: 413, code: 'body_too_large' })
  t.strictSame(await factorsOf(server, token), { totp: null, passkeys: [], recoveryCodesLeft: 0 })
  t.equal((await sendAttestation(server, user, right)).status, 201, 'the challenge was not used')
})

t.test('an attestation statement is not read, whatever it contains', async t => {
  const server = await startServer(t)
  const formats = ['packed', 'android-key', 'fido-u2f', 'tpm', 'apple', 'android-safetynet', 'unknown']
  for (const [index, format] of formats.entries()) {
    const { user } = await newUser(server, `user${index}`)
    const phone = authenticatorFor(server)
    const statement = new Map<string, any>([['alg', -7], ['sig', Buffer.alloc(64)], ['x5c', [Buffer.alloc(200), Buffer.alloc(200)]]])
    const credential = phone.create(await creationOptions(server, user), { format, statement })
    t.equal((await sendAttestation(server, user, credential)).status, 201, format)
    t.equal((await signInWith(server, phone)).status, 201, format)
  }
})

/** What is wrong with a signature. */
const wrongAssertions: Record<string, Fault> = {
  'without a verified user': { flags: USER_PRESENT },
  'without a user': { flags: USER_VERIFIED },
  'backed up, but not eligible': { flags: USER_PRESENT | USER_VERIFIED | 16 },
  'for another host': { rpId: 'example.org' },
  'of another origin': { clientData: { origin: 'https://example.org' } },
  'of another type': { clientData: { type: 'webauthn.create' } },
  'of no account': { userHandle: undefined },
  'of another account': { userHandle: 'another' },
  'with bytes at the end': { extra: Buffer.alloc(1) },
  'with a key that is missing': { flags: USER_PRESENT | USER_VERIFIED | 64 },
  'with extensions of nested arrays': { flags: USER_PRESENT | USER_VERIFIED | 128, extra: nested.subarray(0, 3000) },
  ...wrongClientData
}

t.test('a signature that is not right is refused, which is an event of the account whose passkey it claims to be of', async t => {
  const server = await startServer(t, unlimited)
  const { user, token } = await newUser(server, 'ann')
  const phone = authenticatorFor(server)
  await registerPasskey(server, user, phone)
  const refused = { status: 401, code: 'passkey_refused' }
  for (const [what, fault] of Object.entries(wrongAssertions)) {
    t.strictSame(refusal(await signInWith(server, phone, fault)), refused, what)
  }
  const right = phone.get(await signInOptions(server))
  const foreign = authenticatorFor(server, phone.id).get(await signInOptions(server))
  const responses = [
    { ...right.response, signature: 'AAAA' },
    { ...right.response, signature: 'A'.repeat(8192) },
    { ...right.response, signature: foreign.response.signature },
    { ...right.response, authenticatorData: 'AAAA' },
    { ...right.response, authenticatorData: 'A'.repeat(4096) },
    { ...right.response, clientDataJSON: 'A' }
  ]
  for (const response of responses) {
    const answer = await sendAssertion(server, { ...right, response })
    t.strictSame(refusal(answer), refused, JSON.stringify(response).slice(0, 60))
  }
  for (const id of ['AAAA', 'A'.repeat(1364)]) t.strictSame(refusal(await sendAssertion(server, { ...right, id })), refused)
  const malformed = [
    null, [], {}, { ...right, id: `${right.id}=` }, { ...right, id: 'A'.repeat(1365) }, { ...right, response: 1 },
    { ...right, response: { ...right.response, signature: 1 } },
    { ...right, response: { ...right.response, userHandle: null } },
    { ...right, response: { ...right.response, signature: 'A'.repeat(8193) } }
  ]
  for (const credential of malformed) {
    t.strictSame(refusal(await sendAssertion(server, credential as object)), { status: 400, code: 'validation_failed' }, JSON.stringify(credential).slice(0, 60))
  }
  t.equal((await sendAssertion(server, right)).status, 201)
  // Of one kind and account, so many are kept in a quarter of an hour.
  await checkEvents(t, server, token, { kind: 'passkey_refused', count: 10 })
})
