import { join } from 'node:path'
import t from 'tap'
import { openSqliteMetadata } from '../../src/metadata/sqlite/sqlite.ts'
import { suite } from '../metadata.contract.ts'

// Run by node-versions.proof.ts under each Node: contracts.test.ts does the same under that of the tests.
// The time is that of the proof.
t.setTimeout(0)
t.test('SQLite keeps the contract of metadata', async t => suite(t, place => openSqliteMetadata(join(place, 'magicstore.db'))))
