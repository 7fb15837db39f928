import type { Test } from 'tap'
import type { NewClaim } from '#src/metadata/claims.ts'
import { MAX_PASSKEYS, type FirstFactor, type NewPasskey } from '#src/metadata/factor-records.ts'
import type { AccountRecord, NewToken } from '#src/metadata/records.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { hex, newLink, outcomes, setPassword, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { newToken, openStory } from './uploads.contract.ts'

const MINUTE = HOUR / 60

/** The contract in src/metadata/factor-records.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const { metadata, clock, ownerId: id, otherId } = await openStory(t, open)
    const { factors, tokens, accounts, claims } = metadata
    const ada = async () => await accounts.find(id) as AccountRecord
    const challenge = () => ({ id: hex(16), expiresAt: clock.now() + 5 * MINUTE })
    return {
      metadata,
      clock,
      id,
      otherId,
      ada,
      challenge,
      confirm: async (secret: string, { step = 1, first = firstFactor() } = {}) => {
        await factors.setPendingTotp(await ada(), secret, 10 * MINUTE)
        return factors.confirmTotp(await ada(), { secret, step }, first)
      },
      addPasskey: async (fields: Partial<NewPasskey> = {}, { used = challenge(), first = firstFactor() } = {}) =>
        factors.addPasskey(await ada(), passkey(fields), used, first),
      token: (fields: Partial<NewToken>) => tokens.add(newToken(id, { expiresAt: null, ...fields })),
      live: async () =>
        (await tokens.list(id, { beforeId: undefined, limit: 99 })).map(token => token.id).sort((a, b) => a - b),
      claim: (fields: Partial<NewClaim> = {}, milliseconds = DAY) =>
        claims.add({ hash: 'claim', accountId: null, username: null, removesFactors: false, ...fields }, milliseconds)
    }
  }

  t.test('the first factor brings recovery codes and ends sign-ins, but not personal tokens and one session', async t => {
    const { metadata: { factors }, ada, confirm, token, live, otherId, metadata } = await start(t)
    const access = await token({})
    const personal = await token({ kind: 'personal', name: 'p' })
    const [session, other] = [await token({ kind: 'session' }), await token({ kind: 'session' })]
    const parents = [personal, session, other]
    const children = []
    for (const { id: parentId } of parents) children.push(await token({ parentId }))
    const bobs = await metadata.tokens.add({ ...access, accountId: otherId })
    const before = await ada()
    for (const account of [before, { id: otherId, factorVersion: 0 }]) await metadata.attempts.addKnownNetwork(account, 'n1', 1)
    await metadata.attempts.addKnownNetwork(before, 'n2', 1)
    t.equal(await confirm('sealed', { first: { recoveryCodes: ['one', 'two'], sessionId: session.id, network: 'n2' } }), true)
    t.strictSame(await live(), [personal.id, session.id, children[0]?.id, children[1]?.id])
    t.ok(await metadata.tokens.find(bobs.id))
    const known = (name: string) => metadata.attempts.isKnownNetwork(name, 'n1')
    t.strictSame([await known('ada'), await known('bob')], [false, true], 'and its other networks are forgotten')
    t.equal(await metadata.attempts.isKnownNetwork('ada', 'n2'), true)
    t.equal(await metadata.attempts.addKnownNetwork(before, 'n1', 2), false, 'by who signed in before it')
    t.equal(await metadata.attempts.addKnownNetwork(await ada(), 'n1', 3), true)
    t.match(await ada(), { factorCount: 1, factorVersion: 1 })
    t.match(await factors.list((await ada()).id), { totp: { secret: 'sealed', lastStep: 1 }, passkeys: [], recoveryCodes: 2 })
    t.strictSame(await factors.list(otherId), { totp: null, passkeys: [], recoveryCodes: 0 })
  })

  t.test('a second factor, and a replaced one, keep the recovery codes and the sessions', async t => {
    const { metadata: { factors }, id, ada, confirm, addPasskey, token, live } = await start(t)
    await confirm('first')
    const session = await token({ kind: 'session' })
    t.equal((await addPasskey()).isFirst, false)
    t.equal(await confirm('second', { step: 5 }), false)
    t.match(await ada(), { factorCount: 2, factorVersion: 3 })
    t.match(await factors.list(id), { totp: { secret: 'second', lastStep: 5 }, recoveryCodes: 2 })
    t.strictSame(await live(), [session.id])
    await factors.removeTotp(await ada())
    t.match(await factors.list(id), { totp: null, passkeys: [{ name: 'a key' }], recoveryCodes: 2 })
    await factors.removePasskey(await ada(), (await factors.list(id)).passkeys[0]?.id ?? 0)
    t.match(await ada(), { factorCount: 0, factorVersion: 5 })
    t.strictSame(await factors.list(id), { totp: null, passkeys: [], recoveryCodes: 0 })
    t.strictSame(await live(), [session.id])
  })

  t.test('a secret is pending for a time, once, and only the latest', async t => {
    const { metadata: { factors }, id, ada, clock } = await start(t)
    const confirm = async (secret: string) => factors.confirmTotp(await ada(), { secret, step: 1 }, firstFactor())
    await factors.setPendingTotp(await ada(), 'first', MINUTE)
    await factors.setPendingTotp(await ada(), 'second', MINUTE)
    t.match(await factors.findTotp(id), { totp: undefined, pending: { secret: 'second' }, now: clock.now() })
    t.strictSame(await outcomes([confirm('first')]), { factor_not_pending: 1 })
    clock.advance(MINUTE)
    t.equal((await factors.findTotp(id)).pending, undefined)
    t.strictSame(await outcomes([confirm('second')]), { factor_not_pending: 1 })
    await factors.setPendingTotp(await ada(), 'third', MINUTE)
    t.equal(await confirm('third'), true)
    t.strictSame(await outcomes([confirm('third')]), { factor_not_pending: 1 })
    t.match(await factors.findTotp(id), { totp: { secret: 'third' }, pending: undefined })
  })

  t.test('a time step is used once, forwards, with the secret that is on; a recovery code once, a confirmation code once and for a time', async t => {
    const { metadata: { factors }, id, otherId, ada, confirm, clock } = await start(t)
    await confirm('sealed', { step: 10, first: { recoveryCodes: ['one', 'two', 'three'], sessionId: undefined } })
    const use = (step: number, secret = 'sealed', accountId = id) => factors.useTotp(accountId, { secret, step })
    t.strictSame([await use(10), await use(9), await use(11, 'other'), await use(11, 'sealed', otherId)], [false, false, false, false])
    const used = await Promise.all(Array.from({ length: 8 }, () => use(11)))
    t.equal(used.filter(Boolean).length, 1)
    t.strictSame([await use(11), await use(12)], [false, true])

    t.equal(await factors.useRecoveryCode(otherId, 'one'), undefined)
    const codes = await Promise.all(Array.from({ length: 8 }, () => factors.useRecoveryCode(id, 'one')))
    t.strictSame(codes.filter(left => left !== undefined), [2])
    await factors.setRecoveryCodes(await ada(), ['four'])
    t.strictSame([await factors.useRecoveryCode(id, 'two'), await factors.useRecoveryCode(id, 'four')], [undefined, 0])
    await factors.addConfirmation(await ada(), 'c1', MINUTE)
    await factors.addConfirmation(await ada(), 'c2', MINUTE)
    t.equal(await factors.useConfirmation(otherId, 'c1'), false)
    t.strictSame(await Promise.all([factors.useConfirmation(id, 'c1'), factors.useConfirmation(id, 'c1')]).then(ends => ends.filter(Boolean)), [true])
    clock.advance(MINUTE)
    t.equal(await factors.useConfirmation(id, 'c2'), false)
  })

  t.test('passkeys have a challenge that is used once, and a counter that only rises, or stays 0', async t => {
    const { metadata: { factors }, id, ada, addPasskey, challenge, clock } = await start(t)
    const used = challenge()
    const { passkey: added, isFirst } = await addPasskey({ counter: 7 }, { used })
    t.equal(isFirst, true)
    t.match(added, { accountId: id, name: 'a key', counter: 7, lastUsedAt: null })
    t.strictSame(await outcomes([addPasskey({}, { used })]), { passkey_invalid: 1 }, 'a challenge that was used')
    t.strictSame(await outcomes([addPasskey({ credentialId: added.credentialId })]), { passkey_invalid: 1 }, 'a credential that is known')
    t.match(await ada(), { factorCount: 1, factorVersion: 1 }, 'and nothing is changed by it')
    t.match(await factors.findPasskey(added.credentialId), { passkey: added, account: { id } })
    t.equal(await factors.findPasskey('other'), undefined)
    t.equal(await factors.usePasskey({ id: added.id, counter: 7 }, challenge()), false)
    const again = challenge()
    t.equal(await factors.usePasskey({ id: added.id, counter: 8 }, again), true)
    t.strictSame(await outcomes([factors.usePasskey({ id: added.id, counter: 9 }, again)]), { passkey_refused: 1 })
    const late = { id: hex(16), expiresAt: clock.now() }
    t.strictSame(await outcomes([addPasskey({}, { used: late })]), { passkey_invalid: 1 }, 'a challenge that has expired')
    t.strictSame(await outcomes([factors.usePasskey({ id: added.id, counter: 9 }, late)]), { passkey_refused: 1 })
    t.type((await factors.list(id)).passkeys[0]?.lastUsedAt, 'number')
    const { passkey: uncounted } = await addPasskey({ counter: 0 })
    t.equal(await factors.usePasskey({ id: uncounted.id, counter: 0 }, challenge()), true)
    t.equal(await factors.usePasskey({ id: 99, counter: 1 }, challenge()), false)
    const once = challenge()
    const race = Array.from({ length: 8 }, (_, counter) => factors.usePasskey({ id: uncounted.id, counter }, once))
    t.strictSame(await outcomes(race), { ok: 1, passkey_refused: 7 })
    t.strictSame(await outcomes([factors.removePasskey(await ada(), 99)]), { not_found: 1 })
  })

  t.test('an account has so many passkeys, and no more', async t => {
    const { id, addPasskey, metadata } = await start(t)
    for (let index = 1; index < MAX_PASSKEYS; index++) await addPasskey()
    await metadata.factors.setPendingTotp(await metadata.accounts.find(id) as AccountRecord, 'sealed', MINUTE)
    t.strictSame(await outcomes([addPasskey()]), { ok: 1 })
    t.strictSame(await outcomes([addPasskey()]), { too_many_passkeys: 1 })
    t.equal((await metadata.factors.list(id)).passkeys.length, MAX_PASSKEYS)
  })

  t.test('nothing is done for an account whose password or factors have changed', async t => {
    const { metadata, ada, id, confirm, challenge } = await start(t)
    const { factors, accounts, tokens } = metadata
    const before = await ada()
    await confirm('sealed')
    const late = () => outcomes([
      factors.setPendingTotp(before, 'late', MINUTE),
      factors.confirmTotp(before, { secret: 'late', step: 1 }, firstFactor()),
      factors.addPasskey(before, passkey(), challenge(), firstFactor()),
      factors.removeTotp(before),
      factors.removePasskey(before, 1),
      factors.setRecoveryCodes(before, ['late']),
      factors.addConfirmation(before, 'late', MINUTE),
      accounts.setPasswordHash(before, 'late', { revokesTokens: true }),
      tokens.add(newToken(id), { verified: before })
    ])
    t.strictSame(await late(), { credentials_wrong: 9 })
    await factors.removeAll(id)
    t.strictSame(await late(), { credentials_wrong: 9 }, 'not even once the factors are gone')
    t.strictSame(await factors.list(id), { totp: null, passkeys: [], recoveryCodes: 0 })
    const account = await ada()
    const adding = [0, 1].map(() => factors.addPasskey(account, passkey(), challenge(), firstFactor()))
    t.strictSame(await outcomes(adding), { ok: 1, credentials_wrong: 1 }, 'of two first factors at once')
    t.strictSame(await outcomes([factors.removeTotp(await ada())]), { not_found: 1 })
    await accounts.remove(id, 1)
    t.strictSame(await outcomes([factors.setRecoveryCodes(before, ['late'])]), { credentials_wrong: 1 })
  })

  t.test('an invitation adds one account', async t => {
    const { metadata: { claims, accounts }, claim, clock } = await start(t)
    const newAccount = (name: string) => ({ username: name, usernameKey: name, passwordHash: 'hash' })
    t.equal(await claim({ username: 'Eve' }), clock.now() + DAY)
    t.match(await claims.find('claim'), { claim: { username: 'Eve', accountId: null, removesFactors: false }, account: undefined })
    t.strictSame(await outcomes([claims.invite('claim', newAccount('ada'))]), { username_taken: 1 })
    t.strictSame(await outcomes([claims.reset('claim', 'new')]), { not_found: 1 })
    t.strictSame(await outcomes(['eve', 'eva', 'evi'].map(name => claims.invite('claim', newAccount(name)))), { ok: 1, not_found: 2 })
    t.equal((await accounts.listAfter(0, 9)).length, 3)
    t.equal(await claims.find('claim'), undefined)
    await claim({}, MINUTE)
    clock.advance(MINUTE)
    t.equal(await claims.find('claim'), undefined)
    t.strictSame(await outcomes([claims.invite('claim', newAccount('late'))]), { not_found: 1 })
  })

  t.test('a reset sets the password once, ends the tokens, and keeps the factors or removes them', async t => {
    const { metadata: { claims, accounts, factors }, claim, id, otherId, ada, confirm, token, live } = await start(t)
    await confirm('sealed')
    await token({ kind: 'personal', name: 'p' })
    await Promise.all([1, 2, 3].map(index => claim({ hash: `at once ${index}`, accountId: id })))
    const found = await Promise.all([1, 2, 3].map(index => claims.find(`at once ${index}`)))
    t.equal(found.filter(each => each !== undefined).length, 1)
    await claim({ hash: 'earlier', accountId: id })
    await claim({ accountId: id })
    t.equal(await claims.find('earlier'), undefined, 'one reset an account')
    t.match(await claims.find('claim'), { claim: { accountId: id }, account: { id } })
    t.strictSame(await outcomes([claims.invite('claim', { username: 'eve', usernameKey: 'eve', passwordHash: 'hash' })]), { not_found: 1 })
    t.strictSame(await outcomes(['a', 'b', 'c'].map(hash => claims.reset('claim', hash))), { ok: 1, not_found: 2 })
    t.strictSame(await live(), [])
    t.match(await ada(), { factorCount: 1 })
    t.not((await ada()).passwordHash, 'hash')
    t.match(await accounts.find(otherId), { passwordHash: 'hash' })
    await claim({ accountId: id, removesFactors: true })
    await claims.reset('claim', 'new')
    t.match(await ada(), { factorCount: 0, passwordHash: 'new' })
    t.strictSame(await factors.list(id), { totp: null, passkeys: [], recoveryCodes: 0 })
  })

  t.test('a reset ends with a change of the password or of the factors, and with the account', async t => {
    const { metadata, claim, id, ada, confirm, addPasskey } = await start(t)
    const { claims, factors, accounts } = metadata
    const changes: (() => Promise<unknown>)[] = [
      () => setPassword(metadata, id, 'new', true),
      () => confirm('sealed'),
      () => confirm('again'),
      () => addPasskey(),
      async () => factors.removeTotp(await ada()),
      () => factors.removeAll(id),
      () => accounts.remove(id, 1)
    ]
    for (const change of changes) {
      await claim({ accountId: id })
      await setPassword(metadata, id, 'rehashed')
      t.ok(await claims.find('claim'))
      await change()
      t.equal(await claims.find('claim'), undefined)
      t.strictSame(await outcomes([claims.reset('claim', 'late')]), { not_found: 1 })
    }
    t.equal(await accounts.find(id), undefined)
  })

  t.test('sealed secrets are found by what they do not begin with, and replaced unless they were meanwhile', async t => {
    const { metadata: { factors, sealedTexts, folders, links }, id, otherId, ada, confirm, metadata } = await start(t)
    await confirm('k1.a')
    await factors.setPendingTotp(await ada(), 'k2.b', MINUTE)
    await factors.setPendingTotp(await metadata.accounts.find(otherId) as AccountRecord, 'k1.c', MINUTE)
    await folders.add(id, 'a', unlimited)
    const link = await links.add(newLink(id, 'a', { secretSealed: 'k1.d' }))
    await links.add(newLink(id, 'a'))
    const ofLink = { accountId: id, sealed: 'k1.d', context: ['link', link.secretHash] }
    const [ofAda, ofOther] = [{ accountId: id, sealed: 'k1.a', context: [] }, { accountId: otherId, sealed: 'k1.c', context: [] }]
    t.strictSame(await sealedTexts.list('k2.', 9), [ofAda, ofOther, ofLink])
    t.strictSame(await sealedTexts.list('k3.', 1), [ofAda, ofLink], 'so many of each kind')
    for (const sealed of ['k2.a', 'k2.other']) await sealedTexts.replace(ofAda, sealed)
    await sealedTexts.replace({ ...ofLink, accountId: otherId }, 'k2.other')
    t.strictSame(await sealedTexts.list('k2.', 9), [ofOther, ofLink])
    await sealedTexts.replace(ofLink, 'k2.d')
    t.match(await links.find(id, link.id), { secretSealed: 'k2.d', secretHash: link.secretHash })
    t.match(await factors.findTotp(id), { totp: { secret: 'k2.a' }, pending: { secret: 'k2.b' } })
  })

  t.test('what has expired is deleted, and nothing else', async t => {
    const { metadata: { factors, claims }, id, ada, addPasskey, challenge, confirm, claim, clock } = await start(t)
    t.equal(await factors.removeExpired(9), false)
    await confirm('sealed')
    const [old, fresh] = [challenge(), { id: 'fresh', expiresAt: clock.now() + HOUR }]
    await addPasskey({}, { used: old })
    await addPasskey({}, { used: fresh })
    await factors.setPendingTotp(await ada(), 'pending', MINUTE)
    for (const hash of ['a', 'b', 'c']) await claim({ hash }, MINUTE)
    await claim({ hash: 'later' }, HOUR)
    clock.advance(6 * MINUTE)
    t.equal(await factors.removeExpired(2), true)
    t.equal(await factors.removeExpired(2), false)
    t.strictSame(await outcomes([addPasskey({}, { used: old })]), { passkey_invalid: 1 }, 'though it is forgotten')
    t.strictSame(await outcomes([addPasskey({}, { used: fresh })]), { passkey_invalid: 1 })
    t.ok(await claims.find('later'))
    t.match(await factors.list(id), { totp: { secret: 'sealed' }, recoveryCodes: 2 })
  })
}

const firstFactor = (): FirstFactor => ({ recoveryCodes: [hex(32), hex(32)], sessionId: undefined })

function passkey (fields: Partial<NewPasskey> = {}): NewPasskey {
  return { name: 'a key', credentialId: hex(16), publicKey: 'key', userHandle: 'handle', counter: 0, ...fields }
}
