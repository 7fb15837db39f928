import { asc, sql } from 'drizzle-orm'
import { createSigningKey, type KeyStore, type SigningKey } from '../../config/signing-keys.ts'
import type { ConnectionPool, Connection } from './connections.ts'
import type { sealingKeys, signingKeys } from './schema.ts'

type Table = typeof signingKeys | typeof sealingKeys

/** Replaces all keys, inside a transaction. */
export async function replaceKeys (db: Connection, table: Table, keys: readonly SigningKey[]): Promise<void> {
  await db.delete(table)
  await db.insert(table).values(keys.map((key, position) => ({ ...key, position })))
}

/** The keys in a table, by position, which all processes that share the database use. */
export function createKeyTable (connections: ConnectionPool, table: Table): KeyStore {
  const list = (db: Connection) => db.select({ kid: table.kid, secret: table.secret }).from(table)
    .orderBy(asc(table.position))
  // Reads go on; a second writer waits.
  const lock = (db: Connection) => db.execute(sql`LOCK TABLE ${table} IN SHARE ROW EXCLUSIVE MODE`)

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
