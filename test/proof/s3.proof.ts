import { basename } from 'node:path'
import { test } from 'tap'
import type { BlobStore } from '../../src/blobs/blob-store.ts'
import { openS3Blobs } from '../../src/blobs/s3/s3.ts'
import { suite } from '../blobs.contract.ts'
import { credentials, startS3, type FakeS3 } from '../s3.ts'

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, credentials)

function openBlobs ({ port }: FakeS3, { prefix = 'blobs/', idleMilliseconds = 5000 } = {}): Promise<BlobStore> {
  const url = { bucket: 'files', prefix, endpoint: `http://127.0.0.1:${port}`, region: 'eu-central-1', isPathStyle: true }
  return openS3Blobs({ url, graceSeconds: 3600, idleMilliseconds })
}

test('S3 keeps the contract of blobs', async t => {
  const s3 = await startS3(t.testdir())
  t.teardown(s3.stop)
  suite(t, place => openBlobs(s3, { prefix: `${basename(place)}/` }))
})
