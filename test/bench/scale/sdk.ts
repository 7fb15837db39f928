/**
 * The AWS SDK alone, from memory and into nothing: node --import ts-blank-space/register test/bench/scale/sdk.ts PORT
 * parts|put|get BYTES Prints gibibytes per second and CPU seconds per gibibyte, without what starting takes.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { CompleteMultipartUploadCommand, CreateMultipartUploadCommand, DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3'
import { GIB, MIB } from '../../kit/sizes.ts'
import type { Speed } from '../speed.ts'

const PART_BYTES = 5 * MIB
/** Of the SDK's own upload in parts (lib-storage). */
const PARTS_AT_ONCE = 4

const [port = '', way = '', size = ''] = process.argv.slice(2)
const bytes = Number(size)
const chunk = Buffer.alloc(MIB, 'MagicStore ')
const target = { Bucket: 'files', Key: `sdk/${way === 'get' ? 'put' : way}` }
const client = new S3Client({
  endpoint: `http://127.0.0.1:${port}`,
  region: 'eu-central-1',
  forcePathStyle: true,
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED'
})

const ways: Record<string, () => Promise<unknown>> = {
  /** The SDK hashes each part, as the server has to. */
  async parts () {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(target))
    const part = Buffer.alloc(PART_BYTES, 'MagicStore ')
    const Parts: { PartNumber: number, ETag: string | undefined }[] = []
    const count = Math.ceil(bytes / PART_BYTES)
    let next = 0
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, async () => {
      while (next < count) {
        const index = next++
        const Body = part.subarray(0, Math.min(PART_BYTES, bytes - index * PART_BYTES))
        const { ETag } = await client.send(
          new UploadPartCommand({ ...target, UploadId, PartNumber: index + 1, Body, ContentLength: Body.length })
        )
        Parts[index] = { PartNumber: index + 1, ETag }
      }
    }))
    await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }))
  },

  /** One request, whose digest was made before: what a client can do that has the whole file. */
  put () {
    const command =
      new PutObjectCommand({ ...target, Body: Readable.from(chunks(), { objectMode: false }), ContentLength: bytes })
    command.middlewareStack.add(next => args => {
      Object.assign((args.request as { headers: object }).headers, { 'x-amz-content-sha256': sha256 })
      return next(args)
    }, { step: 'build' })
    return client.send(command)
  },

  async get () {
    const { Body } = await client.send(new GetObjectCommand(target))
    const body = (Body as Readable).resume()
    await once(body, 'end')
  }
}

function * chunks (): Generator<Buffer> {
  for (let sent = 0; sent < bytes; sent += MIB) yield chunk.subarray(0, Math.min(MIB, bytes - sent))
}

const hash = createHash('sha256')
if (way === 'put') for (const piece of chunks()) hash.update(piece)
const sha256 = hash.digest('hex')
if (way === 'get' && (await client.send(new ListObjectsV2Command({ Bucket: 'files', Prefix: target.Key }))).KeyCount !== 1) throw new Error('put comes first')
// Connected, and its code compiled.
await client.send(new ListObjectsV2Command({ Bucket: 'files', MaxKeys: 1 }))
const before = process.cpuUsage()
const began = performance.now()
await ways[way]?.()
const seconds = (performance.now() - began) / 1000
const { user, system } = process.cpuUsage(before)
const gibibytes = bytes / GIB
console.log(
  JSON.stringify({ perSecond: gibibytes / seconds, cpuSeconds: (user + system) / 1e6 / gibibytes } satisfies Speed)
)
if (way === 'parts') await client.send(new DeleteObjectCommand(target))
client.destroy()
