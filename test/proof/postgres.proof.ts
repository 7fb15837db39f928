import { test } from 'tap'
import { openPostgresMetadata } from '../../src/metadata/postgres/postgres.ts'
import { suite } from '../metadata.contract.ts'
import { startPostgres } from '../postgres.ts'

test('PostgreSQL keeps the contract of metadata', async t => {
  const server = await startPostgres(t)
  await t.test('the suite', async t => suite(t, async place => openPostgresMetadata({ url: await server.databaseOf(place) })))
})
