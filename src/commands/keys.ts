import { parseArgs } from 'node:util'
import { readConfig } from '../config.ts'
import { createSigningKey } from '../config/signing-keys.ts'
import { requireDatabase } from '../data-folder/data-folder.ts'
import { openOperatorStore } from '../store.ts'
import { recordAct } from './acts.ts'
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
  const store = await openOperatorStore(config)
  try {
    const key = createSigningKey()
    await store.keys.rotate(key, KEPT_KEYS)
    await recordAct(config, store.metadata, { kind: 'keys_rotated', details: { kid: key.kid } })
    // Not the key itself, which has the secret.
    print(values, { kid: key.kid }, ({ kid }) => `added key ${kid}`)
  } finally {
    await store.close()
  }
}
