import t, { type Test } from 'tap'
import { startPostgres } from './postgres.ts'
import type { Settings } from './server.ts'

/** Runs tests with an empty store, once with its database in the data folder, and once on PostgreSQL. */
export async function openBothDatabases () {
  const postgres = await startPostgres(t)
  return {
    test (name: string, run: (t: Test, settings: Settings) => Promise<void>): void {
      t.test(name, async t => {
        await t.test('SQLite', t => run(t, { DATA_DIR: t.testdir() }))
        await t.test('PostgreSQL', async t => run(t, { DATA_DIR: t.testdir(), DATABASE_URL: await postgres.newMigratedDatabase() }))
      })
    }
  }
}
