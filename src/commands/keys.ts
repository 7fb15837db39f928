import { readSigningKeys, writeSigningKeys } from '../blobs/disk/data-folder.ts'
import { readConfig } from '../config.ts'
import { createSigningKey } from '../tokens/signing-keys.ts'
import { UsageError } from './command.ts'

export const help = `magicstore keys rotate: put a new signing key first in DATA_DIR.

  Tokens signed by the two keys before it hold on until they expire. A server that runs takes the new key up when it is
  started again. With SIGNING_KEYS set the keys are in the environment, and there is nothing here to rotate.`

/** Keys that are kept: the new one, and those that tokens which still hold may have been signed with. */
const KEPT_KEYS = 3

/** Rotates the built-in key ring. */
export async function run ([verb, ...rest]: string[]): Promise<void> {
  if (verb !== 'rotate' || rest.length > 0) throw new UsageError('the one verb is rotate; see magicstore keys --help')
  const config = readConfig()
  if (config.signingKeys !== undefined) throw new UsageError('SIGNING_KEYS is set: put a new key first there')
  const ring = [createSigningKey(), ...await readSigningKeys(config.dataDir)].slice(0, KEPT_KEYS)
  await writeSigningKeys(config.dataDir, ring)
  console.log(`${ring[0]?.kid} signs now; start the server again`)
}
