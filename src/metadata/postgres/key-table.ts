import { asc, sql } from 'drizzle-orm'
import { createSigningKey, type SigningKey } from '../../config/signing-keys.ts'
import type { Connections, Db } from './connections.ts'
import type { sealingKeys, signingKeys } from './schema.ts'

type Table = typeof signingKeys | typeof sealingKeys

/** The keys in a table, which all processes that share the database use. By position: the first one is used. */
export interface KeyTable {
  /** Made at the first call, once, however many processes ask. */
  readonly read: () => Promise<SigningKey[]>
  /** Undefined if there are none. */
  readonly find: () => Promise<SigningKey[] | undefined>
  /** Replaces them by what `change` makes of them, in one transaction. */
  readonly change: (change: (keys: readonly SigningKey[]) => SigningKey[]) => Promise<void>
}

/** Replaces all keys, inside a transaction. */
export async function replaceKeys (db: Db, table: Table, keys: readonly SigningKey[]): Promise<void> {
  await db.delete(table)
  await db.insert(table).values(keys.map((key, position) => ({ ...key, position })))
}

export function createKeyTable (connections: Connections, table: Table): KeyTable {
  const list = (db: Db) => db.select({ kid: table.kid, secret: table.secret }).from(table).orderBy(asc(table.position))
  // Reads go on; a second writer waits.
  const lock = (db: Db) => db.execute(sql`LOCK TABLE ${table} IN SHARE ROW EXCLUSIVE MODE`)

  async function find (): Promise<SigningKey[] | undefined> {
    const keys = await connections.read(list)
    return keys.length === 0 ? undefined : keys
  }

  return {
    find,

    async read () {
      return await find() ?? connections.write(async db => {
        await lock(db)
        const made = await list(db)
        if (made.length > 0) return made
        const keys = [createSigningKey()]
        await replaceKeys(db, table, keys)
        return keys
      })
    },

    change: change => connections.write(async db => {
      await lock(db)
      await replaceKeys(db, table, change(await list(db)))
    })
  }
}
