import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { openS3Blobs } from '#src/blobs/s3/s3.ts'
import { putNew } from '../blobs.contract.ts'
import { inChunks } from '../kit/bytes.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { MIB } from '../kit/sizes.ts'

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)

t.test('a client that takes longer than the bucket may be silent is not cut', async t => {
  const s3 = await openS3(t)
  const url = { bucket: 'files', prefix: '', endpoint: `http://127.0.0.1:${s3.port}`, region: 'eu-central-1', isPathStyle: true }
  const store = await openS3Blobs({ url, graceSeconds: 3600, idleMilliseconds: 2000, partMemoryBytes: 64 * MIB })
  t.teardown(() => store.close())
  const bytes = randomBytes(8 * MIB)
  const { id, size } = await putNew(store, inChunks(bytes))
  const stream = await store.read({ id, size }, [{ start: 0, end: size - 1 }]) as Readable
  const chunks: Buffer[] = []
  for await (const chunk of stream) if (chunks.push(chunk) === 1) await wait(5000)
  t.ok(Buffer.concat(chunks).equals(bytes))
})
