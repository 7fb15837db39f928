import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { createSigningKey, parseSigningKeys, signingKeyLines, type SigningKey } from '../config/signing-keys.ts'
import { ConfigError } from '../problems.ts'
import { dataFolderLayout } from './data-folder.ts'
import { readIfThere, sync, writeDurably } from './durable-files.ts'

/** The files of keys in a data folder, and in a snapshot, with what ends if one is removed. */
const USES = {
  [dataFolderLayout.signingKeys]: 'the next start makes a new key, and every access token ends',
  [dataFolderLayout.sealingKeys]:
    'the one-time codes that are on can then be used no more, and their owners need a recovery code'
} as const

/** The name of a file of keys: one in each line, as `kid:secret`. The first key is used, the others are known. */
export type KeyFileName = keyof typeof USES

/** The files of keys of a data folder, and of a snapshot. */
export const keyFiles = Object.keys(USES) as KeyFileName[]

/** Keys by the name of their file, as far as there are any. */
export type KeyRings = Partial<Record<KeyFileName, SigningKey[]>>

/** The keys in a file; undefined if there is no such file. @throws {ConfigError} with the line that is not a key. */
export async function findKeys (folder: string, name: KeyFileName): Promise<SigningKey[] | undefined> {
  const path = join(folder, name)
  const text = (await readIfThere(path))?.toString()
  if (text === undefined) return undefined
  const lines = text.split('\n').map((text, index) => ({ text, place: `${path}, line ${index + 1}` }))
  const items = lines.filter(({ text }) => text !== '')
  try {
    if (items.length === 0) throw new ConfigError(`${path}: there is no key in it`)
    return parseSigningKeys(items)
  } catch (error) {
    const remedy = `restore it from a backup, or remove it: ${USES[name]}`
    throw new ConfigError((error as ConfigError).reason, { remedy, cause: error })
  }
}

/** Replaces the keys in a file atomically and durably. */
export async function replaceKeys (folder: string, name: KeyFileName, keys: SigningKey[]): Promise<SigningKey[]> {
  await writeDurably(join(folder, name), [Buffer.from(signingKeyLines(keys))])
  await sync(folder)
  return keys
}

/**
 * Returns a function that reads the keys in a file, created at the first call. Only the server creates some, so no
 * other process does at the same time.
 * @throws {ConfigError} as `findKeys`, storage_full.
 */
export function createKeyReader (folder: string, name: KeyFileName): () => Promise<SigningKey[]> {
  let reading: Promise<SigningKey[]> | undefined

  async function readOrMake (): Promise<SigningKey[]> {
    const keys = await findKeys(folder, name) ?? await replaceKeys(folder, name, [createSigningKey()])
    await chmod(join(folder, name), 0o600)
    return keys
  }

  return () => {
    // One call at a time, or two could each make a key.
    reading ??= readOrMake().finally(() => { reading = undefined })
    return reading
  }
}
