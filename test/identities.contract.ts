import type { Test } from 'tap'
import { MAX_IDENTITIES, type NewIdentity } from '#src/metadata/identities.ts'
import type { AccountRecord, NewToken } from '#src/metadata/records.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { hex, outcomes, setPassword } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { newToken, openStory } from './uploads.contract.ts'

const MINUTE = HOUR / 60

const identity = (subject: string, fields: Partial<NewIdentity> = {}): NewIdentity =>
  ({ issuer: 'https://id.example.org/', subject, label: 'a label', ...fields })

/** The contract in src/metadata/identities.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata, clock, ownerId: id } = story
    const challenge = () => ({ id: hex(16), expiresAt: clock.now() + MINUTE })
    const attempt = { kind: 'registration', network: 'n1', usernameKey: 'k', isKnownNetwork: false } as const
    return {
      ...story,
      challenge,
      ada: async () => await metadata.accounts.find(id) as AccountRecord,
      bob: async () => await metadata.accounts.find(story.otherId) as AccountRecord,
      token: (fields: Partial<NewToken>) => metadata.tokens.add(newToken(id, { expiresAt: null, ...fields })),
      live: async () => (await metadata.tokens.list(id, { beforeId: undefined, limit: 99 })).map(token => token.id)
        .sort((a, b) => a - b),
      register: (username: string, subject: string, used = challenge()) =>
        metadata.identities.register(identity(subject), {
          account: { username, usernameKey: username }, challenge: used, attempt
        })
    }
  }

  t.test('an identity has one account, by issuer and subject together, compared by code point', async t => {
    const { metadata: { identities }, ada, bob, clock } = await start(t)
    const before = await ada()
    const added = await identities.add(before, identity('s'))
    t.match(added, { accountId: before.id, ...identity('s'), createdAt: clock.now(), lastUsedAt: clock.now() })
    t.match(await ada(), { factorVersion: before.factorVersion + 1, factorCount: 0, providerSignInAt: clock.now() })
    t.strictSame(await outcomes([identities.add(await ada(), identity('s'))]), { identity_taken: 1 })
    t.strictSame(await outcomes([identities.add(await bob(), identity('s', { label: null }))]), { identity_taken: 1 })
    t.strictSame(await outcomes([identities.add(before, identity('late'))]), { credentials_wrong: 1 })
    t.match(await bob(), { factorVersion: 0, providerSignInAt: null }, 'a refusal changes nothing')
    for (const other of [identity('S'), identity('s '), identity('s', { issuer: 'https://id.example.org/a' })]) {
      t.equal(await identities.findAccount(other), undefined)
      t.strictSame(await outcomes([identities.use(other)]), { not_found: 1 })
    }
    t.match(await identities.findAccount(identity('s')), { id: before.id })
    const race = await outcomes([identities.add(await ada(), identity('r')), identities.add(await bob(), identity('r'))])
    t.strictSame(race, { ok: 1, identity_taken: 1 })
  })

  t.test('the use of an identity is noted, unless its account is disabled or another one is expected', async t => {
    const { metadata: { identities, accounts }, ada, otherId, clock } = await start(t)
    await identities.add(await ada(), identity('s'))
    clock.advance(HOUR)
    const { id, providerSignInAt } = await ada()
    t.strictSame(await outcomes([identities.use(identity('s'), otherId)]), { not_found: 1 })
    await accounts.setDisabled(id, 1)
    t.match(await identities.use(identity('s')), { id, disabledAt: 1 })
    t.match(await ada(), { providerSignInAt })
    await accounts.setDisabled(id, null)
    t.match(await identities.use(identity('s'), id), { id, providerSignInAt: clock.now() })
    t.match(await identities.list(id), [{ lastUsedAt: clock.now(), createdAt: clock.now() - HOUR }])
  })

  t.test('an account has so many identities, which are removed one by one with the sessions that a provider began', async t => {
    const { metadata: { identities }, ada, ownerId: id, bob, token, live } = await start(t)
    for (let index = 0; index < MAX_IDENTITIES; index++) await identities.add(await ada(), identity(`s${index}`))
    t.strictSame(await outcomes([identities.add(await ada(), identity('more'))]), { too_many_identities: 1 })
    t.strictSame((await identities.list(id)).map(({ subject }) => subject), ['s0', 's1', 's2', 's3', 's4'])
    const personal = await token({ kind: 'personal', name: 'p', factors: 'oidc' })
    const own = await token({ kind: 'session', factors: 'password' })
    const begun = await token({ kind: 'session', factors: 'oidc' })
    const child = await token({ parentId: own.id })
    await token({ parentId: begun.id, factors: 'oidc' })
    const [first] = await identities.list(id)
    t.strictSame(await outcomes([identities.remove(await bob(), first?.id ?? 0)]), { not_found: 1 })
    const before = await ada()
    await identities.remove(before, first?.id ?? 0)
    t.strictSame(await live(), [personal.id, own.id, child.id])
    t.match(await ada(), { factorVersion: before.factorVersion + 1 })
    t.strictSame(await outcomes([identities.remove(await ada(), first?.id ?? 0)]), { not_found: 1 })
    t.strictSame(await outcomes([identities.remove(before, 1)]), { credentials_wrong: 1 })
    t.equal((await identities.list(id)).length, MAX_IDENTITIES - 1)
  })

  t.test('connecting and removing end a reset and codes, and so does a new password, which ends identities too', async t => {
    const { metadata, ada, ownerId } = await start(t)
    const { identities, claims } = metadata
    const prepare = async () => {
      await claims.add({ hash: 'reset', accountId: ownerId, username: null, removesFactors: false }, DAY)
      await identities.addCode(await ada(), 'code', MINUTE)
    }
    const ended = async () => [await claims.find('reset'), await identities.useCode('code')]
    await prepare()
    t.equal(await claims.find('code'), undefined, 'a code is no claim')
    const { id } = await identities.add(await ada(), identity('s'))
    t.strictSame(await ended(), [undefined, undefined])
    await prepare()
    await identities.remove(await ada(), id)
    t.strictSame(await ended(), [undefined, undefined])
    await identities.add(await ada(), identity('s'))
    await setPassword(metadata, ownerId, 'rehashed')
    t.equal((await identities.list(ownerId)).length, 1, 'another hash of the same password ends none')
    await setPassword(metadata, ownerId, 'new', true)
    t.strictSame(await identities.list(ownerId), [])
    await identities.add(await ada(), identity('s'))
    await claims.add({ hash: 'again', accountId: ownerId, username: null, removesFactors: false }, DAY)
    await claims.reset('again', 'newer')
    t.strictSame(await identities.list(ownerId), [])
  })

  t.test('the first second factor ends the identities of its account, and a later one does not', async t => {
    const { metadata: { identities, factors }, ada, bob, ownerId: id, otherId } = await start(t)
    const turnOn = async (secret: string) => {
      await factors.setPendingTotp(await ada(), secret, MINUTE)
      await factors.confirmTotp(await ada(), { secret, step: 1 }, { recoveryCodes: ['one'], sessionId: undefined })
    }
    await identities.add(await ada(), identity('thief'))
    await identities.add(await bob(), identity('bob'))
    await turnOn('first')
    t.strictSame([await identities.list(id), await identities.findAccount(identity('thief'))], [[], undefined])
    t.equal((await identities.list(otherId)).length, 1)
    await identities.add(await ada(), identity('own'))
    await turnOn('second')
    await factors.removeTotp(await ada())
    t.match(await identities.list(id), [{ subject: 'own' }])
  })

  t.test('a code is for a time, once, and neither a confirmation nor a claim', async t => {
    const { metadata: { identities, factors, claims }, ada, ownerId, clock } = await start(t)
    const before = await ada()
    await identities.addCode(before, 'one', MINUTE)
    await identities.addCode(before, 'two', MINUTE)
    await factors.addConfirmation(before, 'passkey', MINUTE)
    t.equal(await factors.useConfirmation(ownerId, 'one'), false)
    t.equal(await identities.useCode('passkey'), undefined)
    t.equal(await factors.useConfirmation(ownerId, 'passkey'), true, 'it was not spent')
    const uses = await Promise.all(Array.from({ length: 8 }, () => identities.useCode('one')))
    t.strictSame(uses.filter(found => found !== undefined), [ownerId])
    await claims.add({ hash: 'invited', accountId: null, username: null, removesFactors: false }, DAY)
    t.equal(await identities.useCode('invited'), undefined)
    clock.advance(MINUTE)
    t.equal(await identities.useCode('two'), undefined)
    await identities.add(before, identity('s'))
    t.strictSame(await outcomes([identities.addCode(before, 'three', MINUTE)]), { credentials_wrong: 1 })
  })

  t.test('a registration adds account and identity together, or nothing, once', async t => {
    const { metadata: { accounts, identities }, register, challenge, clock } = await start(t)
    const used = challenge()
    const added = await register('cyd', 'c', used)
    t.match(added, { username: 'cyd', passwordHash: '', providerSignInAt: clock.now() })
    t.match(await identities.findAccount(identity('c')), { id: added.id })
    t.strictSame(await outcomes([register('dan', 'd', used)]), { oidc_refused: 1 })
    t.strictSame(await outcomes([register('dan', 'c')]), { identity_taken: 1 })
    t.equal(await accounts.findByKey('dan'), undefined)
    const kept = challenge()
    t.strictSame(await outcomes([register('cyd', 'd', kept)]), { username_taken: 1 })
    t.match(await register('dan', 'd', kept), { username: 'dan' }, 'a name that is taken does not use the challenge up')
    const late = { id: hex(16), expiresAt: clock.now() }
    t.strictSame(await outcomes([register('eve', 'e', late), identities.useChallenge(late)]), { oidc_refused: 2 })
    const once = challenge()
    const uses = Array.from({ length: 8 }, () => identities.useChallenge(once))
    t.strictSame(await outcomes(uses), { ok: 1, oidc_refused: 7 })
    const race = await outcomes(Array.from({ length: 4 }, (_, index) => register(`race-${index}`, 'race')))
    t.strictSame(race, { ok: 1, identity_taken: 3 })
    await accounts.remove(added.id, 1)
    t.equal(await identities.findAccount(identity('c')), undefined)
    t.match(await register('cyd', 'c'), { username: 'cyd' }, 'a removed account frees its identities')
  })

  t.test('the operator removes a password only where an identity of the issuer opens the account', async t => {
    const { metadata: { identities, factors, attempts }, ada, ownerId, token, live, clock } = await start(t)
    const [personal, session] = [await token({ kind: 'personal', name: 'p' }), await token({ kind: 'session' })]
    await token({})
    const child = await token({ parentId: personal.id })
    await factors.setPendingTotp(await ada(), 'sealed', MINUTE)
    await factors.confirmTotp(await ada(), { secret: 'sealed', step: 1 }, { recoveryCodes: ['one'], sessionId: session.id })
    t.equal(await identities.removePassword(ownerId, 'https://id.example.org/'), false)
    await identities.add(await ada(), identity('s', { issuer: 'https://other.example/' }))
    t.equal(await identities.removePassword(ownerId, 'https://id.example.org/'), false)
    t.match(await ada(), { passwordHash: 'hash' })
    await identities.add(await ada(), identity('s'))
    clock.advance(HOUR)
    t.equal(await identities.removePassword(ownerId, 'https://id.example.org/'), true)
    t.match(await ada(), { passwordHash: '', factorCount: 0, providerSignInAt: clock.now() })
    t.strictSame(await factors.list(ownerId), { totp: null, passkeys: [], recoveryCodes: 0 })
    t.strictSame(await live(), [personal.id, child.id])
    t.equal((await identities.list(ownerId)).length, 2)
    t.strictSame(await outcomes([identities.removePassword(99, 'https://id.example.org/')]), { not_found: 1 })
    t.equal(await attempts.isKnownNetwork('ada', 'n1'), false)
  })
}
