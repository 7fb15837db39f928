import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { credentials } from '../../kit/s3.ts'
import { MIB } from '../../kit/sizes.ts'
import { download, upload } from '../load.ts'
import type { Comparison } from '../report.ts'
import { peakAbove, resultOf } from '../servers.ts'
import { interleave, MIB_PER_SECOND, PER_GIB, rowsOf, speedOf, type Speed } from '../speed.ts'
import { inParallel } from '../transfers.ts'
import type { Scale } from './scale.ts'
import { signUp, startServer } from './services.ts'

/** Memory that four uploads may use above idle, in MiB. */
const MEMORY_LIMIT_MIB = 160

const sdk = fileURLToPath(new URL('sdk.ts', import.meta.url))

/** A server on PostgreSQL and S3 with one account. */
async function open ({ services }: Scale) {
  const server = await startServer(services, services.onBucket(await services.postgres.newDatabase(), randomUUID()))
  const [headers = {}] = await signUp(server, 1)
  return { server, headers, remove: (name: string) => fetch(`http://127.0.0.1:${server.port}/uploads/${name}?permanent=true`, { method: 'DELETE', headers }) }
}

/**
 * Large files through the server to the S3 server and back, against the AWS SDK that sends them from its own memory.
 */
export async function compareObjects (scale: Scale): Promise<Comparison[]> {
  const { services: { s3 }, bytes } = scale
  // Three processes share the cores here: single rounds differ by half.
  const rounds = 3 * scale.rounds
  const { server, headers, remove } = await open(scale)
  const alone = (way: string) => () => resultOf<Speed>(sdk, [String(s3.port), way, String(bytes)], credentials)
  const up = async () => {
    const name = randomUUID()
    const speed = await speedOf(server, () => inParallel(1, bytes, () => upload({ port: server.port, method: 'PUT', path: `/uploads/${name}`, headers }, bytes)))
    await remove(name)
    return speed
  }
  await alone('put')()
  await upload({ port: server.port, method: 'PUT', path: '/uploads/large', headers }, bytes)
  const down = () => speedOf(server, () => inParallel(1, bytes, () => download({ port: server.port, path: '/uploads/large', headers }, bytes)))
  // Connected, and its code compiled, as in the process of the SDK.
  await down()
  const rate = { ...MIB_PER_SECOND, least: 0.7 }
  const comparisons = [
    ...rowsOf({ work: 'upload 256 MiB to S3', against: 'AWS SDK alone, in parts', rate, cpu: PER_GIB }, await interleave(rounds, up, alone('parts'))),
    ...rowsOf({ work: 'upload 256 MiB to S3', against: 'AWS SDK alone, one PUT hashed before', rate, cpu: PER_GIB }, await interleave(rounds, up, alone('put'))),
    ...rowsOf({ work: 'download 256 MiB from S3', against: 'AWS SDK alone', rate, cpu: PER_GIB }, await interleave(rounds, down, alone('get')))
  ]
  await server.stop()
  return comparisons
}

export async function compareUploadMemory (scale: Scale): Promise<Comparison[]> {
  const { server, headers, remove } = await open(scale)
  const names = Array.from({ length: 4 }, () => randomUUID())
  const used = await peakAbove(server.pid, () => Promise.all(names.map(name => upload({ port: server.port, method: 'PUT', path: `/uploads/${name}`, headers }, scale.hugeBytes))))
  for (const name of names) await remove(name)
  await server.stop()
  return [{ work: 'memory of 4 uploads of 1 GiB to S3, above idle', against: 'the limit', target: { most: 1 }, unit: 'MiB', rounds: [{ ours: used / MIB, baseline: MEMORY_LIMIT_MIB }] }]
}
