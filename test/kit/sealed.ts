import type { Test } from 'tap'
import { readConfig } from '#src/config.ts'
import { createSealer, type Sealer } from '#src/factors/sealing.ts'
import { openOperatorStore, type OperatorStore } from '#src/services.ts'
import type { Settings } from './server.ts'

export interface Opened extends OperatorStore { readonly sealer: Sealer }

/** Opens the store of the settings in this process, with or without a server. */
export async function openAt (t: Test, settings: Settings): Promise<Opened> {
  const store = await openOperatorStore(readConfig(settings))
  let closing: Promise<void> | undefined
  const close = () => (closing ??= store.close())
  t.teardown(close)
  const { sealingKeys: keys, metadata: { installationId } } = store
  return { ...store, close, sealer: createSealer({ keys, installationId }) }
}

/** Adds an account with one-time codes, whose secret is `secret of NAME`, and a recovery code. */
export async function addWithCodes ({ accounts, metadata, sealer }: Opened, username: string): Promise<number> {
  const account = await accounts.add({ username, password: 'pwd' })
  const secret = await sealer.seal(account.id, `secret of ${username}`)
  await metadata.factors.setPendingTotp(account, secret, 60_000)
  await metadata.factors.confirmTotp(account, { secret, step: 1 }, { recoveryCodes: ['hash'], sessionId: undefined })
  return account.id
}

/** The sealed secret of an account. */
export async function sealedOf ({ metadata }: Opened, accountId: number): Promise<string> {
  return String((await metadata.factors.findTotp(accountId)).totp?.secret)
}
