import { asc, sql } from 'drizzle-orm'
import type { SigningKey } from '../../config/signing-keys.ts'
import { createSigningKey } from '../../config/signing-keys.ts'
import type { Connections, Db } from './connections.ts'
import { signingKeys } from './schema.ts'

/** The signing keys of all processes that share the database. */
export interface SigningKeyRepository {
  /** By position: the first one signs. Made at the first call, once, however many processes ask. */
  readSigningKeys (): Promise<SigningKey[]>
  /** Puts a key in first place and keeps `count` in all, in one transaction. */
  rotateSigningKeys (key: SigningKey, count: number): Promise<void>
}

/** Replaces all keys, inside a transaction. */
export async function replaceSigningKeys (db: Db, keys: readonly SigningKey[]): Promise<void> {
  await db.delete(signingKeys)
  await db.insert(signingKeys).values(keys.map((key, position) => ({ ...key, position })))
}

export function createSigningKeyRepository (connections: Connections): SigningKeyRepository {
  const find = (db: Db) =>
    db.select({ kid: signingKeys.kid, secret: signingKeys.secret }).from(signingKeys).orderBy(asc(signingKeys.position))
  // Reads go on; a second writer waits.
  const lock = (db: Db) => db.execute(sql`LOCK TABLE ${signingKeys} IN SHARE ROW EXCLUSIVE MODE`)

  return {
    async readSigningKeys () {
      const present = await connections.read(find)
      if (present.length > 0) return present
      return connections.write(async db => {
        await lock(db)
        const made = await find(db)
        if (made.length > 0) return made
        const keys = [createSigningKey()]
        await replaceSigningKeys(db, keys)
        return keys
      })
    },

    rotateSigningKeys: (key, count) => connections.write(async db => {
      await lock(db)
      await replaceSigningKeys(db, [key, ...await find(db)].slice(0, count))
    })
  }
}
