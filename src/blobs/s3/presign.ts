import { GetObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { Presigned } from '../blob-store.ts'
import type { Bucket } from './bucket.ts'

/** A URL of an object, with a signature that covers the headers of the response too. Sends no request. */
export async function presignObject (bucket: Bucket, key: string, { seconds, type, disposition }: Presigned): Promise<string> {
  const command = new GetObjectCommand({
    Bucket: bucket.name,
    Key: key,
    ResponseContentType: type,
    ResponseContentDisposition: disposition,
    ResponseCacheControl: 'private, no-cache'
  })
  return getSignedUrl(bucket.downloads, command, { expiresIn: seconds })
}
