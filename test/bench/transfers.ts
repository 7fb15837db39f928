import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GIB, MIB } from '../kit/sizes.ts'
import { signIn, type Bench } from './cases.ts'
import { download, upload, type Target } from './load.ts'
import { median, type Comparison } from './report.ts'
import type { Running } from './servers.ts'
import { afterFile, beforeFile, deleteUploads, formHeaders } from './small.ts'
import { bestOf, interleave, MIB_PER_SECOND, PER_GIB, rowsOf, speedOf } from './speed.ts'

/**
 * Resolves with the gibibytes that parallel transfers moved, and the seconds from the first byte to the last response.
 */
export async function inParallel (
  streams: number, bytes: number, transfer: (index: number) => Promise<unknown>
): Promise<{ units: number, seconds: number }> {
  const began = performance.now()
  await Promise.all(Array.from({ length: streams }, (_, index) => transfer(index)))
  return { units: streams * bytes / GIB, seconds: (performance.now() - began) / 1000 }
}

export async function compareUploads (bench: Bench): Promise<Comparison[]> {
  const { bytes, rounds, ours, files, nginx } = bench
  const headers = await signIn(bench)
  const kinds = [
    ['256 MiB by form', { rate: 0.7, cpu: undefined }, (name: string) => upload({ port: ours.port, method: 'POST', path: '/', headers: { ...headers, ...formHeaders } }, bytes, { before: beforeFile(name), after: afterFile })],
    ['256 MiB by tus in one PATCH', { rate: 0.7, cpu: undefined }, (name: string) => uploadByTus({ port: ours.port, headers }, name, bytes)],
    ['256 MiB by PUT', { rate: 0.95, cpu: 1.25 }, (name: string) => upload({ port: ours.port, method: 'PUT', path: `/uploads/${name}`, headers }, bytes)]
  ] as const
  const comparisons: Comparison[] = []
  for (const streams of [1, 4]) {
    for (const [kind, { rate, cpu }, send] of kinds) {
      const measureOurs = async () => {
        const names = Array.from({ length: streams }, () => randomUUID())
        const speed = await speedOf(ours, () => inParallel(streams, bytes, index => send(names[index] as string)))
        for (const name of names) await fetch(`http://127.0.0.1:${ours.port}/uploads/${name}?permanent=true`, { method: 'DELETE', headers })
        return speed
      }
      const measure = (server: Running, way: string) => async () => {
        const speed = await speedOf(server, () => inParallel(streams, bytes, () => upload({ port: server.port, method: 'PUT', path: `${way}/${randomUUID()}` }, bytes)))
        await deleteUploads(bench.folder)
        return speed
      }
      const work = `upload ${kind}, ${streams === 1 ? '1 stream' : `${streams} streams`}`
      const bare = () => bestOf(measure(files, '/piped'), measure(files, '/batched'))
      comparisons.push(...rowsOf({ work, against: 'bare Node, hashed and synced', rate: { ...MIB_PER_SECOND, least: rate }, cpu: { ...PER_GIB, ...(cpu !== undefined && { most: cpu }) } }, await interleave(rounds, measureOurs, bare)))
      if (nginx === undefined) continue
      const pairs = await interleave(rounds, measureOurs, measure(nginx, ''))
      comparisons.push({ work, against: 'nginx, neither hashed nor synced', unit: 'MiB/s', rounds: pairs.map(pair => ({ ours: pair.ours.perSecond * MIB_PER_SECOND.factor, baseline: pair.baseline.perSecond * MIB_PER_SECOND.factor })) })
    }
  }
  return comparisons
}

const TUS = { 'Tus-Resumable': '1.0.0' }

/** Begins a resumable upload; resolves with its path. */
async function beginUpload ({ port, headers }: Omit<Target, 'path'>, name: string, bytes: number): Promise<string> {
  const fields = { ...headers, ...TUS, 'Upload-Length': String(bytes), 'Upload-Metadata': `filename ${btoa(name)}` }
  const { headers: answer } = await fetch(`http://127.0.0.1:${port}/api/uploads`, { method: 'POST', headers: fields })
  return new URL(String(answer.get('location'))).pathname
}

/** Sends bytes from one buffer to the end of a resumable upload. */
async function append ({ port, headers, path }: Target, offset: number, bytes: number): Promise<void> {
  await upload({ port, method: 'PATCH', path, headers: { ...headers, ...TUS, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' } }, bytes)
}

async function uploadByTus (target: Omit<Target, 'path'>, name: string, bytes: number): Promise<void> {
  await append({ ...target, path: await beginUpload(target, name, bytes) }, 0, bytes)
}

const PART_BYTES = 5 * MIB

/** What it costs to send a file in parts of 5 MiB: each is as durable as a file of this size. */
export async function compareAppends (bench: Bench): Promise<Comparison[]> {
  const { rounds, ours } = bench
  const headers = await signIn(bench)
  const count = Math.max(2, Math.round(bench.bytes / PART_BYTES))
  const target = { port: ours.port, headers }
  const measure = (send: (names: string[]) => Promise<void>) => async () => {
    const names = Array.from({ length: count }, () => randomUUID())
    const speed = await speedOf(ours, async () => {
      const { seconds } = await inParallel(1, PART_BYTES, () => send(names))
      return { units: count, seconds }
    })
    for (const name of names) await fetch(`http://127.0.0.1:${ours.port}/uploads/${name}?permanent=true`, { method: 'DELETE', headers })
    return speed
  }
  const byAppends = measure(async ([name = '']) => {
    const path = await beginUpload(target, name, count * PART_BYTES)
    for (let part = 0; part < count; part++) await append({ ...target, path }, part * PART_BYTES, PART_BYTES)
  })
  const byPuts = measure(async names => {
    for (const name of names) await upload({ ...target, method: 'PUT', path: `/uploads/${name}` }, PART_BYTES)
  })
  return rowsOf({ work: 'append of 5 MiB by tus', against: 'PUT of 5 MiB', rate: { unit: '/s', least: 0.7 }, cpu: { unit: 'ms', factor: 1000, most: 1.3 } }, await interleave(rounds, byAppends, byPuts))
}

export async function compareDownloads (bench: Bench): Promise<Comparison[]> {
  const { bytes, rounds, ours, files, nginx } = bench
  const headers = await signIn(bench)
  await upload({ port: ours.port, method: 'PUT', path: '/uploads/large', headers }, bytes)
  await writeFile(join(bench.folder, 'large'), Buffer.alloc(bytes, 'MagicStore '))
  const large = { path: '/uploads/large', headers }
  const comparisons: Comparison[] = []
  for (const streams of [1, 4]) {
    const measure = (server: Running, target: Omit<Target, 'port'>) => () => speedOf(server, () => inParallel(streams, bytes, () => download({ port: server.port, ...target }, bytes)))
    const work = `download 256 MiB, ${streams === 1 ? '1 stream' : `${streams} streams`}`
    const bare = () => bestOf(measure(files, { path: '/piped/large' }), measure(files, { path: '/read/large' }))
    comparisons.push(...rowsOf({ work, against: 'bare Node', rate: { ...MIB_PER_SECOND, least: 0.9 }, cpu: PER_GIB }, await interleave(rounds, measure(ours, large), bare)))
    if (nginx === undefined) continue
    comparisons.push(...rowsOf({ work, against: 'nginx', rate: { ...MIB_PER_SECOND, least: 0.8 }, cpu: PER_GIB }, await interleave(rounds, measure(ours, large), measure(nginx, { path: '/large' }))).slice(0, 1))
  }
  const firstByte = (server: Running, target: Omit<Target, 'port'>) => async () => {
    const times = []
    for (let time = 0; time < 5; time++) times.push(await download({ port: server.port, ...target }, bytes))
    return median(times)
  }
  const rounded = await interleave(rounds, firstByte(ours, large), async () => Math.min(await firstByte(files, { path: '/piped/large' })(), await firstByte(files, { path: '/read/large' })()))
  comparisons.push({ work: 'first byte of a download of 256 MiB', against: 'bare Node', target: { most: 1.5 }, unit: 'ms', rounds: rounded })
  await fetch(`http://127.0.0.1:${ours.port}/uploads/large?permanent=true`, { method: 'DELETE', headers })
  return comparisons
}
