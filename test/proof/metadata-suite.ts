import { join } from 'node:path'
import t from 'tap'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { suite } from '../metadata.contract.ts'

// Run by node-versions.proof.ts under each Node version; contracts.test.ts runs it under the version of the tests.
// The proof limits the time.
t.setTimeout(0)
t.test('SQLite keeps the contract of metadata', async t => suite(t, (place, options) => openSqliteMetadata(join(place, 'magicstore.db'), options)))
