import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { download, getRepeatedly, upload, type Load, type Target } from './load.ts'
import type { Comparison } from './report.ts'
import { cpuSeconds, measureBaseline, peakAbove, untilQuiet, type Running } from './servers.ts'
import { interleave, MICROSECONDS, rowsOf, speedOf, workOf } from './speed.ts'

const MIB = 1024 ** 2

/** Memory that transfers may use above idle, in MiB. */
const MEMORY_LIMIT_MIB = 64

/** CPU milliseconds per second that an idle server may use. */
const IDLE_LIMIT_MILLISECONDS = 0.5

/** The bytes of a small file. */
export const SMALL = Buffer.alloc(4096, 'x')

/** Settings and servers for the cases. */
export interface Bench {
  readonly rounds: number
  readonly seconds: number
  /** Size of a large transfer. */
  readonly bytes: number
  /** Size of a transfer in the memory case. */
  readonly hugeBytes: number
  /** Deletes in the longer of two runs. */
  readonly deletes: number
  readonly ours: Running
  readonly http: Running
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

export async function compareResource (bench: Bench): Promise<Comparison[]> {
  const headers = await signIn(bench)
  const get = (server: Running, target: Omit<Target, 'port'>) => async () => {
    let load: Load | undefined
    const speed = await speedOf(server, async () => {
      load = await getRepeatedly({ port: server.port, ...target }, { connections: 32, seconds: bench.seconds })
      return workOf(load)
    })
    return { ...speed, p99: load?.p99Milliseconds ?? NaN }
  }
  const measureOurs = get(bench.ours, { path: '/api/resource', headers })
  const work = 'GET /api/resource, 32 connections'
  const byFastify = await interleave(bench.rounds, measureOurs, get(bench.fastify, { path: '/' }))
  const byHttp = await interleave(bench.rounds, measureOurs, get(bench.http, { path: '/' }))
  return [
    ...rowsOf({ work, against: 'bare Fastify', rate: { unit: '/s', least: 0.5 }, cpu: MICROSECONDS }, byFastify).slice(0, 1),
    { work: 'p99 of the same', against: 'bare Fastify', target: { most: 4 }, unit: 'ms', rounds: byFastify.map(({ ours, baseline }) => ({ ours: ours.p99, baseline: baseline.p99 })) },
    ...rowsOf({ work, against: 'bare Node', rate: { unit: '/s', least: 0 }, cpu: { ...MICROSECONDS, most: 2 } }, byHttp).slice(1)
  ]
}

function signInRepeatedly ({ ours, user }: Bench, seconds: number): Promise<Load> {
  return getRepeatedly({ port: ours.port, path: '/api/token', headers: { Authorization: `Basic ${btoa(user)}` } }, { connections: 8, seconds })
}

/** Longer rounds: when time is up, eight sign-ins are in progress, which wrk does not count and our own loop waits for. */
export async function compareSignIns (bench: Bench): Promise<Comparison[]> {
  const seconds = 3 * bench.seconds
  const rounds = await interleave(bench.rounds, async () => (await signInRepeatedly(bench, seconds)).perSecond, () => measureBaseline('argon2', String(seconds)))
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

export async function putSmall ({ ours }: Bench, headers: Record<string, string>): Promise<void> {
  await fetch(`http://127.0.0.1:${ours.port}/uploads/small`, { method: 'PUT', headers, body: SMALL })
}

/** CPU time of a server that nobody asks anything. */
export async function compareIdle ({ ours, seconds }: Bench): Promise<Comparison[]> {
  await untilQuiet(ours.pid)
  const before = cpuSeconds(ours.pid)
  await wait(20 * seconds * 1000)
  const used = (cpuSeconds(ours.pid) - before) * 1000 / (20 * seconds)
  return [{ work: 'CPU of an idle second', against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: [{ ours: used, baseline: IDLE_LIMIT_MILLISECONDS }] }]
}

/** Peak memory during four transfers of 1 GiB each way, compared with the idle server after a sign-in. */
export async function compareMemory (bench: Bench): Promise<Comparison[]> {
  const { ours, hugeBytes } = bench
  const headers = await signIn(bench)
  const names = Array.from({ length: 4 }, () => randomUUID())
  const used = await peakAbove(ours.pid, async () => {
    await Promise.all(names.map(name => upload({ port: ours.port, method: 'PUT', path: `/uploads/${name}`, headers }, hugeBytes)))
    await Promise.all(names.map(name => download({ port: ours.port, path: `/uploads/${name}`, headers }, hugeBytes)))
  })
  for (const name of names) await fetch(`http://127.0.0.1:${ours.port}/uploads/${name}?permanent=true`, { method: 'DELETE', headers })
  return [{ work: 'memory of 4 transfers of 1 GiB each way, above idle', against: 'the limit', target: { most: 1 }, unit: 'MiB', rounds: [{ ours: used / MIB, baseline: MEMORY_LIMIT_MIB }] }]
}
