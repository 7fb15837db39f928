import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'tap'
import { complete, createBlobId } from '#src/blobs/blob-writer.ts'
import { openDiskBlobs } from '#src/blobs/disk/disk.ts'
import { openReserve } from '#src/blobs/disk/free-space.ts'
import type { IncomingBody } from '#src/files/incoming-file.ts'
import { OutcomeUnknown } from '#src/metadata/metadata.ts'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { openSqliteMetadata } from '#src/metadata/sqlite/sqlite.ts'
import { Problem } from '#src/problems.ts'
import { DAY } from '../kit/durations.ts'
import { override } from '../kit/override.ts'
import { rulesOver } from '../kit/rules.ts'
import { until } from '../kit/waiting.ts'

test('a lease is renewed while its bytes arrive, ends with the upload, and what an ended process left is deleted twice', async t => {
  const folder = t.testdir()
  const file = join(folder, 'magicstore.db')
  const metadata = await openSqliteMetadata(file)
  // A folder that processes share, as a bucket is.
  const disk = await openDiskBlobs({ folder, minFreeBytes: 0 })
  const { files, cleanup, incoming, close } = rulesOver({ metadata, blobs: override(disk, { needsLeases: true }), reserve: await openReserve(join(folder, 'reserve')) })
  const database = new Database(file)
  t.teardown(async () => { database.close(); await close(); await disk.close(); await metadata.close() })
  interface Lease { blob_id: string, expires_at: number, abandoned_at: number | null }
  const leases = () => database.prepare('SELECT * FROM blob_leases').all() as Lease[]
  const owner = await metadata.accounts.add({ username: 'ann', usernameKey: 'ann', passwordHash: 'x', createdAt: 1 })
  const uploader = { owner, linkId: null }
  const upload = (bytes: AsyncIterable<Uint8Array>): IncomingBody => ({ name: 'a', minBytes: 0, maxBytes: 1000, async * read () { yield { name: 'a', type: undefined, bytes } } })

  incoming.renew()
  let arrive = (_text: string) => {}
  const text = new Promise<string>(resolve => { arrive = resolve })
  const slow = Readable.from((async function * () { yield Buffer.from(await text) })())
  const storing = files.store({ uploader, upload: upload(slow) })
  await until(() => leases().length === 1)
  const [lease] = leases() as [Lease]
  t.ok(lease.expires_at > Date.now() + 250_000 && lease.expires_at <= Date.now() + 300_000)
  database.exec('UPDATE blob_leases SET expires_at = expires_at - 200000')
  await until(() => {
    // The lease is in the database a moment before the process renews it.
    incoming.renew()
    return leases().every(({ expires_at: at }) => at >= lease.expires_at)
  })
  t.ok(leases().every(({ expires_at: at }) => at >= lease.expires_at), 'renewed')
  arrive('text')
  t.equal((await storing).file.blobId, lease.blob_id)
  t.strictSame(leases(), [])

  const failing = Readable.from((async function * () { yield Buffer.from('x'); throw new Error('of the client') })())
  await t.rejects(files.store({ uploader, upload: upload(failing), put: { conditions: {} } }), { message: 'of the client' })
  t.strictSame(leases(), [])

  // Bytes of a process that ended before it recorded them.
  const id = createBlobId()
  await complete(disk.put(id, Readable.from([Buffer.from('left')]), { maxBytes: 10 }))
  await metadata.blobs.lease(id, 0)
  cleanup.sweep()
  await until(() => !existsSync(join(folder, 'incoming', id)))
  t.notOk(existsSync(join(folder, 'incoming', id)))
  await until(() => leases().some(({ expires_at: at }) => at > Date.now() + DAY - 60_000))
  t.match(leases(), [{ blob_id: id, abandoned_at: Number }])
  t.ok(leases().every(({ expires_at: at }) => at > Date.now() + DAY - 60_000), 'once more a day later')
  database.exec(`UPDATE blob_leases SET expires_at = 1, abandoned_at = abandoned_at - ${DAY}`)
  cleanup.sweep()
  await until(() => leases().length === 0)
  t.strictSame(leases(), [])

  // The connection to the database breaks in the commit: the bytes may belong to a file, and stay until the lease has
  // run out.
  const cut = rulesOver({
    metadata: {
      ...metadata,
      files: override(metadata.files, {
        async put () { throw new OutcomeUnknown(new Error('cut'), 'unavailable') }
      })
    },
    blobs: override(disk, { needsLeases: true }),
    reserve: await openReserve(join(folder, 'reserve'))
  })
  t.teardown(() => cut.close())
  await t.rejects(cut.files.store({ uploader, upload: upload(Readable.from([Buffer.from('kept')])), put: { conditions: {} } }), { code: 'unavailable' })
  const [kept] = leases() as [Lease]
  t.ok(existsSync(join(folder, 'incoming', kept.blob_id)))
  await metadata.blobs.endLease(kept.blob_id)

  // A store that gave no answer may still finish the write, so that the lease stays until it has run out.
  const away = rulesOver({
    metadata,
    blobs: override(disk, { needsLeases: true, async * put () { throw new Problem('unavailable') } }),
    reserve: await openReserve(join(folder, 'reserve'))
  })
  t.teardown(() => away.close())
  await t.rejects(away.files.store({ uploader, upload: upload(Readable.from([Buffer.from('late')])), put: { conditions: {} } }), { code: 'unavailable' })
  const [late] = leases() as [Lease]
  t.equal(late.abandoned_at, null)
  await metadata.blobs.endLease(late.blob_id)

  // Leases that can't be renewed or ended are no failure of their own.
  const arrival = new Promise<string>(resolve => { arrive = resolve })
  const lost = Readable.from((async function * () { yield Buffer.from(await arrival); throw new Error('of the client') })())
  const failed = files.store({ uploader, upload: upload(lost), put: { conditions: {} } })
  await until(() => leases().length === 1)
  database.exec('DROP TABLE blob_leases')
  incoming.renew()
  arrive('text')
  await t.rejects(failed, { message: 'of the client' })
})
