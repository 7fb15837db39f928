import { chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createSigningKey, parseSigningKeys, signingKeyLines, type SigningKey } from '../config/signing-keys.ts'
import { ConfigError } from '../problems.ts'
import { dataFolderLayout } from './data-folder.ts'
import { readIfThere, sync, writeDurably } from './durable-files.ts'

/** The files of keys in a data folder, and in a snapshot, with what to do if one can't be used. */
const REMEDIES = {
  [dataFolderLayout.signingKeys]: 'restore it from a backup, or remove it: the next start makes a new key, and every access token ends',
  [dataFolderLayout.sealingKeys]: 'restore it from a backup, or remove it: the one-time codes that are on can then be used no more, and their owners need a recovery code'
} as const

/** The name of a file of keys. */
export type KeyFileName = keyof typeof REMEDIES

/** The files of keys of a data folder, and of a snapshot. */
export const keyFiles = Object.keys(REMEDIES) as KeyFileName[]

/** Keys by the name of their file, as far as there are any. */
export type KeyRings = Partial<Record<KeyFileName, SigningKey[]>>

/** A file with a key in each line, as `kid:secret`. The first key is used, the others are known. */
export class KeyFile {
  readonly #path: string
  readonly #remedy: string
  #reading: Promise<SigningKey[]> | undefined

  constructor (folder: string, name: KeyFileName) {
    this.#path = join(folder, name)
    this.#remedy = REMEDIES[name]
  }

  /**
   * The keys, created at the first call. Only the server creates some, so no other process does at the same time.
   * @throws {ConfigError} with the line that is not a key, storage_full.
   */
  read (): Promise<SigningKey[]> {
    // One call at a time, or two could each make a key.
    this.#reading ??= this.#readOrMake().finally(() => { this.#reading = undefined })
    return this.#reading
  }

  async #readOrMake (): Promise<SigningKey[]> {
    const keys = await this.find() ?? await this.replace([createSigningKey()])
    await chmod(this.#path, 0o600)
    return keys
  }

  /** The keys; undefined if there is no such file. @throws {ConfigError} as `read`. */
  async find (): Promise<SigningKey[] | undefined> {
    const bytes = await readIfThere(this.#path)
    if (bytes === undefined) return undefined
    const items = bytes.toString().split('\n').map((text, index) => ({ text, place: `${this.#path}, line ${index + 1}` })).filter(({ text }) => text !== '')
    try {
      if (items.length === 0) throw new ConfigError(`${this.#path}: there is no key in it`)
      return parseSigningKeys(items)
    } catch (error) {
      throw new ConfigError((error as ConfigError).reason, { remedy: this.#remedy, cause: error })
    }
  }

  /** Replaces the keys atomically and durably. */
  async replace (keys: SigningKey[]): Promise<SigningKey[]> {
    await writeDurably(this.#path, [Buffer.from(signingKeyLines(keys))])
    await sync(dirname(this.#path))
    return keys
  }
}
