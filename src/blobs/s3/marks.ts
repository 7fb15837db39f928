import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import type { BlobStore } from '../blob-store.ts'
import type { Bucket } from './bucket.ts'
import { failAsUnavailable } from './failures.ts'

/** Marks as objects named `<prefix>installations/<mark>`. There are few. */
export function createMarks ({ requests, name: Bucket, prefix }: Bucket): Pick<BlobStore, 'marks' | 'mark' | 'unmark'> {
  const Prefix = `${prefix}installations/`

  return {
    async marks () {
      const { Contents = [] } = await requests.send(new ListObjectsV2Command({ Bucket, Prefix })).catch(failAsUnavailable)
      return Contents.map(({ Key = '' }) => Key.slice(Prefix.length))
    },

    async mark (name) {
      await requests.send(new PutObjectCommand({ Bucket, Key: Prefix + name, Body: Buffer.from(name) })).catch(failAsUnavailable)
    },

    async unmark (name) {
      await requests.send(new DeleteObjectCommand({ Bucket, Key: Prefix + name })).catch(failAsUnavailable)
    }
  }
}
