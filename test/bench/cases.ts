import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { MIB } from '../kit/sizes.ts'
import { download, getRepeatedly, upload, type Load, type Target } from './load.ts'
import type { Comparison } from './report.ts'
import { cpuSeconds, measureBaseline, peakAbove, untilQuiet, type Running } from './servers.ts'
import { interleave, MICROSECONDS, rowsOf, speedOf, workOf } from './speed.ts'

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

function signInRepeatedly ({ port }: Running, user: string, seconds: number): Promise<Load> {
  return getRepeatedly({ port, path: '/api/token', headers: { Authorization: `Basic ${btoa(user)}` } }, { connections: 8, seconds })
}

/**
 * Longer rounds: when time is up, eight sign-ins are in progress, which wrk does not count and our own loop waits for.
 */
export async function compareSignIns (bench: Bench): Promise<Comparison[]> {
  const seconds = 3 * bench.seconds
  const rounds = await interleave(bench.rounds, async () => (await signInRepeatedly(bench.ours, bench.user, seconds)).perSecond, () => measureBaseline('argon2', String(seconds)))
  return [{ work: 'sign-ins, 8 connections', against: 'raw argon2', target: { least: 0.95 }, unit: '/s', rounds }]
}

/**
 * Against the same server alone, and against bare Node that hashes too, which shows what the hashes cost any server.
 */
export async function compareUnderSignIns (bench: Bench): Promise<Comparison[]> {
  const { rounds, seconds, user, ours, http } = bench
  const headers = await signIn(bench)
  await putSmall(bench, headers)
  const get = { path: '/api/resource', connections: 32 }
  const download = { path: '/uploads/small', connections: 16 }
  const alone = (server: Running, { path, connections }: typeof get) =>
    async () => (await getRepeatedly({ port: server.port, path, headers }, { connections, seconds })).p99Milliseconds
  const beside = (server: Running, target: typeof get) =>
    async () => (await Promise.all([alone(server, target)(), signInRepeatedly(server, user, seconds)]))[0]
  const row = (work: string) => ({ work: `p99 of ${work}, beside 8 sign-in loops`, unit: 'ms' })
  return [
    { ...row('GET /api/resource, 32 connections'), against: 'alone', target: { most: 3 }, rounds: await interleave(rounds, beside(ours, get), alone(ours, get)) },
    { ...row('GET /api/resource, 32 connections'), against: 'bare Node beside the same', target: { most: 1 }, rounds: await interleave(rounds, beside(ours, get), beside(http, get)) },
    { ...row('4 KiB downloads, 16 connections'), against: 'alone', target: { most: 3 }, rounds: await interleave(rounds, beside(ours, download), alone(ours, download)) }
  ]
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
