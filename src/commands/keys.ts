import { parseArgs } from 'node:util'
import { openKeySource } from '../backends/backends.ts'
import { readConfig } from '../config.ts'
import { createSigningKey } from '../config/signing-keys.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import { recordStoreAct, warnOfLostRecord } from './acts.ts'
import { jsonOption, print, UsageError } from './command.ts'

export const help = `magicstore keys rotate: add a new signing key in DATA_DIR, or in the database of DATABASE_URL, in first place.

  --json     one JSON object: kid, the id of the new key

  Tokens signed with the two previous keys stay valid until they expire. A running server uses the new key within two seconds.
  If SIGNING_KEYS is set, the keys are in the environment and this command can't rotate them.`

/** The new key, and two older ones that may have signed tokens which are still valid. */
const KEPT_KEYS = 3

/** Rotates the keys that are kept beside the database. */
export async function run (args: string[]): Promise<void> {
  const { values, positionals: [verb, ...rest] } = parseArgs({ args, options: jsonOption, allowPositionals: true })
  if (verb !== 'rotate' || rest.length > 0) throw new UsageError('the only verb is rotate; see magicstore keys --help')
  const config = readConfig()
  if (config.signingKeys !== undefined) throw new UsageError('SIGNING_KEYS is set: add a new key there, in first place')
  // A mistyped DATA_DIR must not get a key that no server uses.
  if (config.databaseUrl === undefined) await requireDatabase(config.dataDir)
  const keys = await openKeySource(config)
  const key = createSigningKey()
  await keys.rotate(key, KEPT_KEYS).finally(() => keys.close())
  // Not the key itself, which has the secret.
  const { kid } = key
  print(values, { kid }, ({ kid }) => `added key ${kid}`)
  await recordStoreAct(config, { kind: 'keys_rotated', details: { kid } }).catch(warnOfLostRecord)
}
