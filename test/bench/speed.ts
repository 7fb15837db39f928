import type { Load } from './load.ts'
import type { Comparison } from './report.ts'
import { cpuSeconds, untilQuiet, type Running } from './servers.ts'

/** Runs both contenders in each round, and swaps their order every round. */
export async function interleave<T> (
  rounds: number, ours: () => Promise<T>, baseline: () => Promise<T>
): Promise<{ ours: T, baseline: T }[]> {
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

/**
 * Units of work per second, and the CPU seconds of one unit, with what the server does in the background afterwards.
 */
export interface Speed { readonly perSecond: number, readonly cpuSeconds: number }

/** `work` resolves with the units done and the seconds they took. */
export async function speedOf (
  server: Running, work: () => Promise<{ units: number, seconds: number }>
): Promise<Speed> {
  await untilQuiet(server.pid)
  const before = cpuSeconds(server.pid)
  const { units, seconds } = await work()
  await untilQuiet(server.pid)
  return { perSecond: units / seconds, cpuSeconds: (cpuSeconds(server.pid) - before) / units }
}

/** The work of a load, for `speedOf`. */
export async function workOf (load: Load | Promise<Load>): Promise<{ units: number, seconds: number }> {
  const { count, perSecond } = await load
  return { units: count, seconds: count / perSecond }
}

/** The better of two ways to do the same work: the faster one's rate, and the CPU time of the one that uses less. */
export async function bestOf (...tests: (() => Promise<Speed>)[]): Promise<Speed> {
  const speeds: Speed[] = []
  for (const test of tests) speeds.push(await test())
  return {
    perSecond: Math.max(...speeds.map(({ perSecond }) => perSecond)),
    cpuSeconds: Math.min(...speeds.map(({ cpuSeconds }) => cpuSeconds))
  }
}

export interface Work {
  readonly work: string
  readonly against: string
  /** Unit of the rate, and how many of it are one unit of work. */
  readonly rate: { readonly unit: string, readonly factor?: number, readonly least: number }
  readonly cpu: { readonly unit: string, readonly factor: number, readonly most?: number }
}

/** Two rows: the rate, and the CPU time of one unit of work. */
export function rowsOf ({ work, against, rate, cpu }: Work, rounds: { ours: Speed, baseline: Speed }[]): Comparison[] {
  const pairs = (of: (speed: Speed) => number) =>
    rounds.map(({ ours, baseline }) => ({ ours: of(ours), baseline: of(baseline) }))
  return [
    {
      work,
      against,
      target: {
        least: rate.least
      },
      unit: rate.unit,
      rounds: pairs(({ perSecond }) => perSecond * (rate.factor ?? 1))
    },
    { work: `CPU of ${work}`, against, ...(cpu.most !== undefined && { target: { most: cpu.most } }), unit: cpu.unit, rounds: pairs(({ cpuSeconds }) => cpuSeconds * cpu.factor) }
  ]
}

export const MICROSECONDS = { unit: 'µs', factor: 1e6 }
export const PER_GIB = { unit: 's/GiB', factor: 1 }
export const MIB_PER_SECOND = { unit: 'MiB/s', factor: 1024 }
