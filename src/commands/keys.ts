import { withKeys } from '../backends/backends.ts'
import { readConfig, type Config } from '../config.ts'
import { createSigningKey } from '../config/signing-keys.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import { reseal, rotateSealingKeys } from '../factors/resealing.ts'
import { createSealer } from '../factors/sealing.ts'
import { FLAG, print, readArguments, UsageError } from './command.ts'
import { recordAct, recordStoreAct, warnOfLostRecord, withStore } from './store.ts'

export const help = `magicstore keys: change the keys in DATA_DIR, or in the database of DATABASE_URL.

  keys rotate              add a new signing key in first place. Tokens signed with the two previous keys stay valid
                           until they expire. A running server uses the new key within two seconds
  keys rotate --sealing    add a new key that encrypts the secrets of one-time codes and of links, and encrypt all of
                           them with it. Keys that are used no more are deleted, but the previous one stays until the
                           next rotation
  keys reseal              encrypt all these secrets with the first sealing key: after a new one was set in SEALING_KEYS

  --json                   one JSON object: kid, the id of the new or first key; of sealing keys also resealed, the
                           number of secrets; lost, the accounts whose one-time codes can't be decrypted; and
                           lostLinks, how many links have an address that can't be decrypted

  Keys in SIGNING_KEYS or SEALING_KEYS are in the environment, and can't be rotated by this command.

Exit code: 1 if a secret of one-time codes can't be decrypted. Its owner needs a recovery code or a passkey, and can
then set up one-time codes again.`

/** The new key, and two older ones that may have signed tokens which are still valid. */
const KEPT_KEYS = 3

/** Rotates keys that are kept beside the database, or seals with the first one. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [verb, ...rest] } = readArguments(args, { sealing: FLAG })
  if ((verb !== 'rotate' && verb !== 'reseal') || rest.length > 0) {
    throw new UsageError('the verbs are rotate and reseal; see magicstore keys --help')
  }
  if (verb === 'reseal' && values.sealing) throw new UsageError('--sealing is for rotate')
  const config = readConfig()
  const isOfSealing = values.sealing || verb === 'reseal'
  if (!isOfSealing && config.signingKeys !== undefined) {
    throw new UsageError('SIGNING_KEYS is set: add a new key there, in first place')
  }
  if (values.sealing && config.sealingKeys !== undefined) {
    const next = 'restart the server, and run magicstore keys reseal'
    throw new UsageError(`SEALING_KEYS is set: add a new key there, in first place, ${next}`)
  }
  await requireDatabase(config)
  await (isOfSealing ? changeSealing(config, values) : rotateSigning(config, values))
}

async function rotateSigning (config: Config, values: { json: boolean }): Promise<void> {
  const key = createSigningKey()
  await withKeys(config, ({ keys }) => keys.change(others => [key, ...others].slice(0, KEPT_KEYS)))
  // Not the key itself, which has the secret.
  const { kid } = key
  print(values, { kid }, ({ kid }) => `added key ${kid}`)
  await recordStoreAct(config, { kind: 'keys_rotated', details: { kid } }).catch(warnOfLostRecord)
}

function changeSealing (config: Config, values: { json: boolean, sealing: boolean }): Promise<void> {
  return withStore(config, async store => {
    const { sealingKeys: keys, metadata } = store
    // The first secret makes the first key.
    if (await keys.find() === undefined) {
      return print(values, { kid: null, resealed: 0, lost: [], lostLinks: 0 }, () => 'no secret is encrypted yet')
    }
    const options = { texts: metadata.sealedTexts, sealer: createSealer({ keys, ...metadata }) }
    const { kid, resealed, lost: texts } = await (values.sealing
      ? withKeys(config, ({ sealingKeys }) => rotateSealingKeys({ ...options, keys: sealingKeys }))
      : reseal({ ...options, keys }))
    // A link whose address can't be decrypted still opens: nobody has to act.
    const secrets = texts.filter(({ context }) => context.length === 0)
    const owners = await Promise.all(secrets.map(({ accountId }) => metadata.accounts.find(accountId)))
    const lost = owners.map(owner => String(owner?.username))
    print(values, { kid, resealed, lost, lostLinks: texts.length - secrets.length }, textOf)
    await recordAct(store, { kind: 'keys_rotated', details: { kid, isSealing: true, resealed, lost: lost.length } })
    if (lost.length > 0) process.exitCode = 1
  })
}

function textOf (
  { kid, resealed, lost, lostLinks }: { kid: string, resealed: number, lost: string[], lostLinks: number }
): string {
  return [
    `encrypted ${resealed} secrets with key ${kid}`,
    ...lost.map(name => `  the secret of ${name} can't be decrypted: its key is gone`),
    ...lostLinks > 0 ? [`  the addresses of ${lostLinks} links can't be decrypted: their owners can make new ones`] : []
  ].join('\n')
}
