import { randomBytes } from 'node:crypto'
import { access, chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { signingKeys, type SigningKey } from './config.ts'

/** Where everything lies in DATA_DIR. */
export const dataFolderLayout = {
  database: 'magicstore.db',
  lock: 'lock.db',
  reserve: 'reserve',
  signingKeys: 'signing-keys'
} as const

/** Makes the folder if need be and closes it to everybody else on the machine. */
export async function prepareDataFolder (folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
}

/** Whether a server ever ran on the folder. */
export async function hasDatabase (folder: string): Promise<boolean> {
  return access(join(folder, dataFolderLayout.database)).then(() => true, () => false)
}

/** The key ring of the folder, made at the first call: lines of `kid:secret`, the first signs. */
export async function readSigningKeys (folder: string): Promise<SigningKey[]> {
  const file = join(folder, dataFolderLayout.signingKeys)
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return writeSigningKeys(folder, [createSigningKey()])
  await chmod(file, 0o600)
  return signingKeys(text.split('\n').filter(line => line !== ''))
}

/** Puts a key ring in place of the present one, whole or not at all. */
export async function writeSigningKeys (folder: string, keys: SigningKey[]): Promise<SigningKey[]> {
  const file = join(folder, dataFolderLayout.signingKeys)
  const draft = `${file}.new`
  await rm(draft, { force: true })
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(keys.map(key => `${key.kid}:${key.secret}\n`).join(''))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
  const folderHandle = await open(folder)
  await folderHandle.sync().finally(() => folderHandle.close())
  return keys
}

/** A fresh key: 256 bits, as many as HS256 can use (RFC 7518 section 3.2). */
export function createSigningKey (): SigningKey {
  return { kid: randomBytes(6).toString('hex'), secret: randomBytes(32).toString('base64url') }
}
