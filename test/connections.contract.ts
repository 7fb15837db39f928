import type { Test } from 'tap'
import type { ConnectionLimits, ConnectionToken, NewConnection } from '#src/metadata/connections.ts'
import type { AccountRecord } from '#src/metadata/records.ts'
import { DAY, HOUR } from './kit/durations.ts'
import { hex, outcomes, setPassword } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { openStory } from './uploads.contract.ts'

const MINUTE = HOUR / 60
const LIMITS: ConnectionLimits = { milliseconds: 10 * MINUTE, maxOfNetwork: 3, maxInAll: 5 }

function newConnection (fields: Partial<NewConnection> = {}): NewConnection {
  return {
    id: hex(16), codeHash: hex(32), secretHash: hex(32), name: 'a program', scopes: 'files:read', network: 'n1', block: 'b1', ...fields
  }
}

function newToken (fields: Partial<ConnectionToken> = {}): ConnectionToken {
  return {
    secretHash: hex(32),
    maxTokens: 10,
    lifetimeMilliseconds: 90 * DAY,
    event: { kind: 'personal_token_created', network: 'n1', requestId: 'r' },
    keep: { all: 20_000, ofKind: 1000 },
    ...fields
  }
}

/** The contract in src/metadata/connections.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { connections, tokens, events, accounts } = story.metadata
    const accountOf = async (id: number) => await accounts.find(id) as AccountRecord
    return {
      ...story,
      connections,
      ada: () => accountOf(story.ownerId),
      bob: () => accountOf(story.otherId),
      async add (fields: Partial<NewConnection> = {}) {
        const connection = newConnection(fields)
        const expiresAt = await connections.add(connection, LIMITS)
        const { id, codeHash, secretHash } = connection
        return {
          ...connection,
          expiresAt,
          find: () => connections.find(codeHash),
          allow: async (by: AccountRecord, factors = 'password') => connections.allow(by, id, factors),
          take: (token = newToken()) => connections.take(id, secretHash, token)
        }
      },
      tokensOf: (id: number) => tokens.list(id, { beforeId: undefined, limit: 99 }),
      async eventsOf (id: number) {
        return (await events.list(id, { beforeId: undefined, limit: 99 })).map(({ kind }) => kind)
      }
    }
  }

  t.test('a connection is found by its code until it is allowed, and becomes one token of that account', async t => {
    const { ada, clock, add, ownerId, tokensOf, eventsOf, metadata } = await start(t)
    const { expiresAt, find, allow, take, ...connection } = await add()
    t.equal(expiresAt, clock.now() + 10 * MINUTE)
    t.strictSame(await find(), { ...connection, expiresAt, accountId: null, factors: null })
    t.equal(await take(), undefined, 'it is not allowed yet')
    await allow(await ada(), 'password totp')
    t.equal(await find(), undefined)
    clock.advance(MINUTE)
    const token = newToken()
    t.strictSame(await take(token), { id: ownerId, username: (await ada()).username })
    const expected = {
      kind: 'personal', name: 'a program', scopes: 'files:read', factors: 'password totp', createdAt: clock.now(), expiresAt: clock.now() + 90 * DAY
    }
    t.match(await tokensOf(ownerId), [expected])
    t.match(await metadata.tokens.findBySecret(token.secretHash as string), { account: { id: ownerId } })
    t.strictSame(await eventsOf(ownerId), ['personal_token_created'])
    t.strictSame(await outcomes([allow(await ada()), take()]), { not_found: 2 })
  })

  t.test('of two that pick up a token at once one gets it, and of two accounts that allow at once one does', async t => {
    const { ada, bob, add, ownerId, otherId, tokensOf } = await start(t)
    const { allow, take } = await add()
    const [one, other] = [await ada(), await bob()]
    t.strictSame(await outcomes([allow(one), allow(other), allow(one)]), { ok: 1, not_found: 2 })
    t.strictSame(await outcomes([take(), take(), take()]), { ok: 1, not_found: 2 })
    t.equal((await tokensOf(ownerId)).length + (await tokensOf(otherId)).length, 1)
  })

  t.test('a connection with another secret, one that was refused, and one that has expired are not found', async t => {
    const { ada, bob, add, clock, connections, ownerId, otherId } = await start(t)
    const refused = await add()
    t.strictSame(await outcomes([connections.take(refused.id, hex(32), newToken())]), { not_found: 1 })
    await connections.refuse(otherId, refused.id)
    const afterwards = [refused.allow(await ada()), refused.take(), connections.refuse(ownerId, refused.id)]
    t.strictSame(await outcomes(afterwards), { not_found: 3 })
    const allowed = await add()
    await allowed.allow(await ada())
    t.strictSame(await outcomes([connections.refuse(otherId, allowed.id)]), { not_found: 1 }, 'another account has no say in it')
    await connections.refuse(ownerId, allowed.id)
    t.strictSame(await outcomes([allowed.take()]), { not_found: 1 })
    const [late, lateAllowed] = [await add(), await add()]
    await lateAllowed.allow(await bob())
    clock.advance(10 * MINUTE - 1)
    t.match(await late.find(), { id: late.id })
    clock.advance(1)
    t.equal(await late.find(), undefined)
    const tooLate = [late.allow(await ada()), late.take(), lateAllowed.take(), connections.refuse(otherId, late.id)]
    t.strictSame(await outcomes(tooLate), { not_found: 4 })
  })

  t.test('what is allowed ends with the tokens of the account, and waits while that is disabled', async t => {
    const { ada, add, metadata, ownerId } = await start(t)
    const allowed = async () => {
      const connection = await add()
      await connection.allow(await ada())
      return connection
    }
    const before = await ada()
    const [first, waiting] = [await allowed(), await add()]
    await setPassword(metadata, ownerId, 'another hash', true)
    t.strictSame(await outcomes([first.take(), waiting.allow(before)]), { not_found: 1, credentials_wrong: 1 })
    const second = await allowed()
    await metadata.tokens.removeAll(ownerId)
    t.strictSame(await outcomes([second.take()]), { not_found: 1 })
    t.equal(await waiting.take(), undefined, 'what nobody has allowed is no token of anybody')
    const third = await allowed()
    await metadata.accounts.setDisabled(ownerId, 1)
    t.strictSame(await outcomes([third.take()]), { not_found: 1 })
    await metadata.accounts.setDisabled(ownerId, null)
    t.match(await third.take(), { id: ownerId })
    await waiting.allow(await ada())
    await metadata.accounts.remove(ownerId, 1)
    t.strictSame(await outcomes([waiting.take()]), { not_found: 1 })
    while (await metadata.accounts.purgeDeleted(100));
    t.strictSame(await outcomes([waiting.take()]), { not_found: 1 })
  })

  t.test('a connection of an account that has all tokens it may have stays until one is revoked', async t => {
    const { ada, add, metadata, ownerId, tokensOf } = await start(t)
    const [first, second] = [await add(), await add()]
    for (const { allow, take } of [first, second]) {
      await allow(await ada())
      t.match(await outcomes([take(newToken({ maxTokens: 1 }))]), {})
    }
    t.strictSame(await outcomes([second.take(newToken({ maxTokens: 1 }))]), { too_many_tokens: 1 })
    const [token] = await tokensOf(ownerId)
    await metadata.tokens.remove(ownerId, Number(token?.id))
    t.match(await second.take(newToken({ maxTokens: 1 })), { id: ownerId })
  })

  t.test('a network has few at once, also of those that come together, and room again when one has ended', async t => {
    const { add, clock, connections, ownerId } = await start(t)
    const first = await add()
    clock.advance(MINUTE)
    t.strictSame(await outcomes([add(), add(), add()]), { ok: 2, too_many_connections: 1 })
    await t.rejects(add(), { code: 'too_many_connections', options: { retrySeconds: 540 } })
    t.match(await add({ network: 'n2', block: 'b2' }), { network: 'n2' })
    await connections.refuse(ownerId, first.id)
    await add()
    t.strictSame(await outcomes([add()]), { too_many_connections: 1 })
    clock.advance(10 * MINUTE)
    t.match(await add(), { network: 'n1' })
  })

  t.test('when there are too many in all, the block with most loses its newest, which may be the one that comes', async t => {
    const { add, clock } = await start(t)
    const others: Awaited<ReturnType<typeof add>>[] = []
    for (const network of ['n1', 'n2', 'n3']) {
      others.push(await add({ network }))
      clock.advance(1)
    }
    const quiet = [await add({ network: 'm1', block: 'b2' }), await add({ network: 'm2', block: 'b2' })]
    t.match(await add({ network: 'k1', block: 'b3' }), { block: 'b3' })
    t.equal(await others[2]?.find(), undefined, 'the newest of the block with three')
    t.match(await Promise.all([...quiet, others[0], others[1]].map(each => each?.find())), [{}, {}, {}, {}])
    clock.advance(1)
    await t.rejects(add({ network: 'n4' }), { code: 'too_many_connections', options: { retrySeconds: 600 } })
    t.match(await Promise.all([...quiet, others[0], others[1]].map(each => each?.find())), [{}, {}, {}, {}])
  })

  t.test('of two with one code the later stays', async t => {
    const { add, ada } = await start(t)
    const first = await add()
    const second = await add({ codeHash: first.codeHash })
    t.match(await first.find(), { id: second.id })
    t.strictSame(await outcomes([first.allow(await ada()), first.take()]), { not_found: 2 })
  })

  t.test('what has expired is removed once, in batches, and told with the account that had allowed it', async t => {
    const { add, ada, clock, connections, ownerId, reopen } = await start(t)
    const [allowed, pending] = [await add(), await add()]
    await allowed.allow(await ada())
    t.strictSame(await connections.removeExpired(5), [])
    clock.advance(10 * MINUTE)
    const open = await add()
    const again = (await reopen()).connections
    const removed = (await Promise.all([again.removeExpired(1), again.removeExpired(5), again.removeExpired(5)])).flat()
    const accountIds = Object.fromEntries(removed.map(({ id, accountId }) => [id, accountId]))
    t.strictSame(accountIds, { [allowed.id]: ownerId, [pending.id]: null })
    t.match(await again.find(open.codeHash), { id: open.id }, 'also after a restart')
  })
}
