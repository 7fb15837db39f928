import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { download, getRepeatedly, openRequester, repeat, upload, type Load, type Target } from './load.ts'
import type { Comparison } from './report.ts'
import { measureRawArgon2, residentBytes, type Running } from './servers.ts'

const MIB = 1024 ** 2

/** Memory that transfers may use above idle, in MiB. */
const MEMORY_LIMIT_MIB = 64

/** Settings and servers for the cases. */
export interface Bench {
  readonly rounds: number
  readonly seconds: number
  /** Size of a large transfer. */
  readonly bytes: number
  /** Size of a transfer in the memory case. */
  readonly hugeBytes: number
  readonly ours: Running
  readonly fastify: Running
  readonly files: Running
  readonly nginx: Running | undefined
  /** Folder of the baselines' files. */
  readonly folder: string
  readonly user: string
}

/** Signs in the user of the bench. The token lasts ten minutes, so each case gets a new one. */
export async function signIn ({ ours, user }: Pick<Bench, 'ours' | 'user'>): Promise<Record<string, string>> {
  const answer = await fetch(`http://127.0.0.1:${ours.port}/api/token`, { headers: { authorization: `Basic ${btoa(user)}` } })
  return { Authorization: `Bearer ${(await answer.json()).token}` }
}

/** Runs both contenders in each round, and swaps their order every round. */
async function interleave (rounds: number, ours: () => Promise<number>, baseline: () => Promise<number>): Promise<Comparison['rounds']> {
  const pairs = []
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      const value = await ours()
      pairs.push({ ours: value, baseline: await baseline() })
    } else {
      const value = await baseline()
      pairs.push({ ours: await ours(), baseline: value })
    }
  }
  return pairs
}

export async function compareResource (bench: Bench): Promise<Comparison[]> {
  const headers = await signIn(bench)
  const loads: { ours: Load, baseline: Load }[] = []
  const measure = (target: Target) => getRepeatedly(target, { connections: 32, seconds: bench.seconds })
  for (let round = 0; round < bench.rounds; round++) {
    const baseline = await measure({ port: bench.fastify.port, path: '/' })
    loads.push({ ours: await measure({ port: bench.ours.port, path: '/api/resource', headers }), baseline })
  }
  const of = (key: keyof Load) => loads.map(({ ours, baseline }) => ({ ours: ours[key], baseline: baseline[key] }))
  return [
    { work: 'GET /api/resource, 32 connections', against: 'bare Fastify', target: { least: 0.5 }, unit: '/s', rounds: of('perSecond') },
    { work: 'p99 of the same', against: 'bare Fastify', target: { most: 4 }, unit: 'ms', rounds: of('p99Milliseconds') }
  ]
}

function signInRepeatedly ({ ours, user }: Bench, seconds: number): Promise<Load> {
  return getRepeatedly({ port: ours.port, path: '/api/token', headers: { Authorization: `Basic ${btoa(user)}` } }, { connections: 8, seconds })
}

/** Longer rounds: when time is up, eight sign-ins are in progress, which wrk does not count and our own loop waits for. */
export async function compareSignIns (bench: Bench): Promise<Comparison[]> {
  const seconds = 3 * bench.seconds
  const rounds = await interleave(bench.rounds, async () => (await signInRepeatedly(bench, seconds)).perSecond, () => measureRawArgon2(seconds))
  return [{ work: 'sign-ins, 8 connections', against: 'raw argon2', target: { least: 0.95 }, unit: '/s', rounds }]
}

export async function compareUnderSignIns (bench: Bench): Promise<Comparison[]> {
  const headers = await signIn(bench)
  await putSmall(bench, headers)
  const cases = [['GET /api/resource, 32 connections', '/api/resource', 32], ['4 KiB downloads, 16 connections', '/uploads/small', 16]] as const
  const comparisons: Comparison[] = []
  for (const [work, path, connections] of cases) {
    const target = { port: bench.ours.port, path, headers }
    const alone = async () => (await getRepeatedly(target, { connections, seconds: bench.seconds })).p99Milliseconds
    const beside = async () => (await Promise.all([alone(), signInRepeatedly(bench, bench.seconds)]))[0]
    comparisons.push({ work: `p99 of ${work}, beside 8 sign-in loops`, against: 'alone', target: { most: 3 }, unit: 'ms', rounds: await interleave(bench.rounds, beside, alone) })
  }
  return comparisons
}

async function putSmall ({ ours }: Bench, headers: Record<string, string>): Promise<void> {
  await fetch(`http://127.0.0.1:${ours.port}/uploads/small`, { method: 'PUT', headers, body: Buffer.alloc(4096, 'x') })
}

/** MiB per second of parallel transfers, from the first byte to the last response. */
async function inParallel (streams: number, bytes: number, transfer: (index: number) => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await Promise.all(Array.from({ length: streams }, (_, index) => transfer(index)))
  return streams * bytes / MIB / ((performance.now() - began) / 1000)
}

export async function compareUploads (bench: Bench): Promise<Comparison[]> {
  const { bytes, rounds, ours, files, nginx } = bench
  const headers = await signIn(bench)
  const form = { before: '--b\r\nContent-Disposition: form-data; name="file"; filename="%"\r\n\r\n', after: '\r\n--b--\r\n' }
  const kinds = [
    ['256 MiB by form', 0.7, (name: string) => upload({ port: ours.port, method: 'POST', path: '/', headers: { ...headers, 'Content-Type': 'multipart/form-data; boundary=b' } }, bytes, { ...form, before: form.before.replace('%', name) })],
    ['256 MiB by PUT', 0.9, (name: string) => upload({ port: ours.port, method: 'PUT', path: `/uploads/${name}`, headers }, bytes)]
  ] as const
  const comparisons: Comparison[] = []
  for (const streams of [1, 4]) {
    for (const [work, least, send] of kinds) {
      const measureOurs = async () => {
        const names = Array.from({ length: streams }, () => randomUUID())
        const rate = await inParallel(streams, bytes, index => send(names[index] as string))
        for (const name of names) await fetch(`http://127.0.0.1:${ours.port}/uploads/${name}`, { method: 'DELETE', headers })
        return rate
      }
      const measureBaseline = async ({ port }: Running) => {
        const rate = await inParallel(streams, bytes, () => upload({ port, method: 'PUT', path: `/${randomUUID()}` }, bytes))
        await deleteUploads(bench.folder)
        return rate
      }
      const row = { work: `upload ${work}, ${streams === 1 ? '1 stream' : `${streams} streams`}`, unit: 'MiB/s' }
      comparisons.push({ ...row, against: 'bare Node, hashed and synced', target: { least }, rounds: await interleave(rounds, measureOurs, () => measureBaseline(files)) })
      if (nginx !== undefined) comparisons.push({ ...row, against: 'nginx, neither hashed nor synced', rounds: await interleave(rounds, measureOurs, () => measureBaseline(nginx)) })
    }
  }
  return comparisons
}

/** Deletes the baselines' uploads, whose names are UUIDs. */
async function deleteUploads (folder: string): Promise<void> {
  for (const name of readdirSync(folder)) if (/^[0-9a-f-]{36}$/.test(name)) await rm(join(folder, name))
}

export async function compareDownloads (bench: Bench): Promise<Comparison[]> {
  const { bytes, rounds, ours, files, nginx } = bench
  const headers = await signIn(bench)
  await upload({ port: ours.port, method: 'PUT', path: '/uploads/large', headers }, bytes)
  await writeFile(join(bench.folder, 'large'), Buffer.alloc(bytes, 'MagicStore '))
  const baselines = [['bare Node', 0.9, files], ...(nginx === undefined ? [] : [['nginx', 0.8, nginx] as const])] as const
  const comparisons: Comparison[] = []
  for (const streams of [1, 4]) {
    for (const [against, least, server] of baselines) {
      const measureOurs = () => inParallel(streams, bytes, () => download({ port: ours.port, path: '/uploads/large', headers }, bytes))
      const measureBare = () => inParallel(streams, bytes, () => download({ port: server.port, path: '/large' }, bytes))
      comparisons.push({ work: `download 256 MiB, ${streams === 1 ? '1 stream' : `${streams} streams`}`, against, target: { least }, unit: 'MiB/s', rounds: await interleave(rounds, measureOurs, measureBare) })
    }
  }
  await fetch(`http://127.0.0.1:${ours.port}/uploads/large`, { method: 'DELETE', headers })
  return comparisons
}

export async function compareSmall (bench: Bench): Promise<Comparison[]> {
  const { rounds, seconds, ours, files } = bench
  const headers = await signIn(bench)
  await putSmall(bench, headers)
  await writeFile(join(bench.folder, 'small'), Buffer.alloc(4096, 'x'))
  const body = Buffer.alloc(4096, 'x')
  const put = async (port: number, authorization: Record<string, string>) => {
    const load = await repeat(16, seconds, () => openRequester({ port, method: 'PUT', path: '', headers: authorization, body, nextPath: () => `/uploads/${randomUUID()}` }))
    await deleteUploads(bench.folder)
    return load.perSecond
  }
  const get = async (target: Target) => (await getRepeatedly(target, { connections: 16, seconds })).perSecond
  return [
    { work: '4 KiB uploads, 16 connections', against: 'bare Node, hashed and synced', target: { least: 0.5 }, unit: '/s', rounds: await interleave(rounds, () => put(ours.port, headers), () => put(files.port, {})) },
    { work: '4 KiB downloads, 16 connections', against: 'bare Node', target: { least: 0.5 }, unit: '/s', rounds: await interleave(rounds, () => get({ port: ours.port, path: '/uploads/small', headers }), () => get({ port: files.port, path: '/small' })) }
  ]
}

/** Peak memory during four transfers of 1 GiB each way, compared with the idle server after a sign-in. */
export async function compareMemory (bench: Bench): Promise<Comparison[]> {
  const { ours, hugeBytes } = bench
  const headers = await signIn(bench)
  const idle = residentBytes(ours.pid)
  let peak = idle
  const sampler = setInterval(() => { peak = Math.max(peak, residentBytes(ours.pid)) }, 20)
  const names = Array.from({ length: 4 }, () => randomUUID())
  await Promise.all(names.map(name => upload({ port: ours.port, method: 'PUT', path: `/uploads/${name}`, headers }, hugeBytes)))
  await Promise.all(names.map(name => download({ port: ours.port, path: `/uploads/${name}`, headers }, hugeBytes)))
  clearInterval(sampler)
  for (const name of names) await fetch(`http://127.0.0.1:${ours.port}/uploads/${name}`, { method: 'DELETE', headers })
  return [{ work: 'memory of 4 transfers of 1 GiB each way, above idle', against: 'the limit', target: { most: 1 }, unit: 'MiB', rounds: [{ ours: (peak - idle) / MIB, baseline: MEMORY_LIMIT_MIB }] }]
}
