import { CopyObjectCommand, DeleteObjectCommand } from '@aws-sdk/client-s3'
import { Problem } from '../../problems.ts'
import type { Bucket } from './bucket.ts'
import { failAsUnavailable } from './failures.ts'

/** How a store refuses to copy an object of more than 5 GiB in one request. */
const TOO_LARGE = new Set(['InvalidRequest', 'EntityTooLarge'])

/**
 * Moves an object to `<prefix>quarantine/<id>`. False for one of more than 5 GiB: a copy in parts would need its own recovery, for what
 * hardly ever occurs.
 */
export async function quarantineObject ({ requests, name: Bucket, prefix, keyOf }: Bucket, id: string): Promise<boolean> {
  try {
    const CopySource = `${Bucket}/${keyOf(id)}`
    await requests.send(new CopyObjectCommand({ Bucket, Key: `${prefix}quarantine/${id}`, CopySource })).catch(failAsUnavailable)
    await requests.send(new DeleteObjectCommand({ Bucket, Key: keyOf(id) })).catch(failAsUnavailable)
    return true
  } catch (error) {
    const { code, cause } = error as Problem
    if (code === 'file_damaged') return true
    if (TOO_LARGE.has((cause as Error).name)) return false
    throw error
  }
}
