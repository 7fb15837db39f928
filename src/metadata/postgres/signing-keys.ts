import { asc, sql } from 'drizzle-orm'
import type { SigningKey } from '../../tokens/signing-keys.ts'
import { createSigningKey } from '../../tokens/signing-keys.ts'
import type { Connections, Db } from './connections.ts'
import { signingKeys } from './schema.ts'

/** The signing keys of all processes that share the database. */
export interface SigningKeyRepository {
  /** By position: the first one signs. Made at the first call, once, however many processes ask. */
  readSigningKeys (): Promise<SigningKey[]>
  /** Replaces all of them in one act. */
  replaceSigningKeys (keys: readonly SigningKey[]): Promise<void>
}

export function createSigningKeyRepository ({ read, write }: Connections): SigningKeyRepository {
  const find = (db: Db) => db.select({ kid: signingKeys.kid, secret: signingKeys.secret }).from(signingKeys).orderBy(asc(signingKeys.position))
  // Reads go on; a second writer waits.
  const lock = (db: Db) => db.execute(sql`LOCK TABLE ${signingKeys} IN SHARE ROW EXCLUSIVE MODE`)
  const insert = (db: Db, keys: readonly SigningKey[]) => db.insert(signingKeys).values(keys.map((key, position) => ({ ...key, position })))

  return {
    async readSigningKeys () {
      const present = await read(find)
      if (present.length > 0) return present
      return write(async db => {
        await lock(db)
        const made = await find(db)
        if (made.length > 0) return made
        const keys = [createSigningKey()]
        await insert(db, keys)
        return keys
      })
    },

    replaceSigningKeys: keys => write(async db => {
      await lock(db)
      await db.delete(signingKeys)
      await insert(db, keys)
    })
  }
}
