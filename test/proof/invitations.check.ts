import type { Test } from 'tap'
import { hashClaim, isClaimSecret } from '#src/accounts/claim-secrets.ts'
import { readConfig } from '#src/config.ts'
import { openOperatorStore, type OperatorStore } from '#src/services.ts'
import { runCommand } from '../kit/commands.ts'
import { openBothDatabases } from '../kit/databases.ts'
import { DAY } from '../kit/durations.ts'
import type { Settings } from '../kit/server.ts'

/** Runs a command that succeeds, and returns what it prints as JSON. */
async function json (args: string[], settings: Settings, input = ''): Promise<any> {
  const { code, stdout, stderr } = await runCommand([...args, '--json'], settings, input)
  if (code !== 0 || stderr !== '') throw new Error(`${args} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

/** The claim of a link, and the account of a reset. */
async function claimOf ({ metadata }: OperatorStore, link: string) {
  const secret = String(new URLSearchParams(new URL(link).hash.slice(1)).get('claim'))
  if (!isClaimSecret(secret)) throw new Error(link)
  return metadata.claims.find(hashClaim(secret))
}

async function openAt (t: Test, settings: Settings): Promise<OperatorStore> {
  const store = await openOperatorStore(readConfig(settings))
  t.teardown(() => store.close())
  return store
}

/** Turns on one-time codes and two passkeys, with three recovery codes. */
async function addFactors ({ accounts, metadata: { factors } }: OperatorStore, username: string): Promise<void> {
  const account = () => accounts.getByUsername(username)
  await factors.setPendingTotp(await account(), 'sealed', DAY)
  const first = { recoveryCodes: ['a', 'b', 'c'], sessionId: undefined }
  await factors.confirmTotp(await account(), { secret: 'sealed', step: 1 }, first)
  for (const id of ['one', 'two']) {
    const passkey = { name: id, credentialId: id, publicKey: id, userHandle: id, counter: 0 }
    await factors.addPasskey(await account(), passkey, { id, expiresAt: Date.now() + DAY }, first)
  }
}

const both = await openBothDatabases()

both.test('an invitation is a link for one account, of a given name or of any', async (t, settings) => {
  const store = await openAt(t, settings)
  const open = await json(['user', 'invite'], settings)
  t.match(open, { link: /^http:\/\/127\.0\.0\.1:5000\/#claim=inv_[a-z2-7]{32}$/, username: null })
  t.ok(Math.abs(Date.parse(open.expiresAt) - Date.now() - DAY) < 60_000)
  const claim = { accountId: null, username: null, removesFactors: false }
  t.match(await claimOf(store, open.link), { claim, account: undefined })
  const named = await json(['user', 'invite', 'Zoë Q&A'], { ...settings, PUBLIC_URL: 'https://files.example.org/store' })
  t.match(named.link, /^https:\/\/files\.example\.org\/store\/#claim=inv_[a-z2-7]{32}&username=Zo%C3%AB%20Q%26A$/)
  t.match(await claimOf(store, named.link), { claim: { accountId: null, username: 'Zoë Q&A' } })
  const { stdout } = await runCommand(['user', 'invite'], { ...settings, PORT: '8443', TLS_CERT: 'cert.pem', TLS_KEY: 'key.pem' })
  t.match(stdout, /^https:\/\/127\.0\.0\.1:8443\/#claim=inv_[a-z2-7]{32}\nIt can be used once, until \d{4}-\d\d-\d\dT[\d:.]+Z\.\n$/)
  const events = (await runCommand(['events', '--json'], settings)).stdout.trim().split('\n').map(line => JSON.parse(line))
  t.match(events, [{ kind: 'invitation_created', accountId: null, details: { username: null, expiresAt: open.expiresAt } }, { details: { username: 'Zoë Q&A' } }, { details: { username: null } }])
})

both.test('a reset is a link for one account, and a new one ends the one before', async (t, settings) => {
  const store = await openAt(t, settings)
  const { id } = await json(['user', 'add', 'ann'], settings, 'pwd')
  const first = await json(['user', 'reset', 'ANN'], settings)
  t.match(first, { link: /^http:\/\/127\.0\.0\.1:5000\/#claim=rst_[a-z2-7]{32}&username=ann$/, username: 'ann' })
  t.match(await claimOf(store, first.link), { claim: { accountId: id, username: 'ann', removesFactors: false }, account: { username: 'ann' } })
  const second = await json(['user', 'reset', 'ann', '--without-factor'], settings)
  t.equal(await claimOf(store, first.link), undefined)
  t.match(await claimOf(store, second.link), { claim: { removesFactors: true } })
  const events = (await runCommand(['events', '--user', 'ann', '--json'], settings)).stdout.trim().split('\n').map(line => JSON.parse(line))
  t.match(events.slice(-2), [{ kind: 'reset_created', network: 'operator', accountId: id, details: { removesFactors: false, expiresAt: first.expiresAt } }, { kind: 'reset_created', details: { removesFactors: true } }])
  await json(['user', 'passwd', 'ann'], settings, 'another')
  t.equal(await claimOf(store, second.link), undefined, 'a changed password ends it')
})

both.test('the factors of an account are shown, and removed by the operator', async (t, settings) => {
  const store = await openAt(t, settings)
  await json(['user', 'add', 'ann'], settings, 'pwd')
  t.match(await json(['user', 'show', 'ann'], settings), { totp: false, passkeys: 0, recoveryCodesLeft: 0 })
  t.match((await runCommand(['user', 'show', 'ann'], settings)).stdout, /\tno second factor\n$/)
  await addFactors(store, 'ann')
  t.match(await json(['user', 'show', 'ann'], settings), { username: 'ann', totp: true, passkeys: 2, recoveryCodesLeft: 3 })
  t.match((await runCommand(['user', 'show', 'ann'], settings)).stdout, /\tone-time codes\t2 passkeys\t3 recovery codes left\n$/)
  await store.metadata.factors.removeTotp(await store.accounts.getByUsername('ann'))
  t.match((await runCommand(['user', 'show', 'ann'], settings)).stdout, /trash\t2 passkeys\t3 recovery codes left\n$/)
  const { link } = await json(['user', 'reset', 'ann'], settings)
  t.match(await json(['user', 'second-factor', 'ann', '--remove'], settings), { username: 'ann', totp: false, passkeys: 0, recoveryCodesLeft: 0 })
  t.equal((await store.accounts.getByUsername('ann')).factorCount, 0)
  t.equal(await claimOf(store, link), undefined, 'changed factors end a reset')
  t.match(await runCommand(['user', 'second-factor', 'ann', '--remove'], settings), { code: 1, stderr: 'magicstore: ann has no second factor\n' })
  const events = (await runCommand(['events', '--user', 'ann', '--json'], settings)).stdout.trim().split('\n').map(line => JSON.parse(line))
  t.match(events.at(-1), { kind: 'factor_removed', network: 'operator' })
})
