import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { SMALL } from '../cases.ts'
import { getRepeatedly, openRequester, repeat, type Load } from '../load.ts'
import type { Comparison } from '../report.ts'
import { cpuSeconds, startBaseline, startOf, untilQuiet, type Running } from '../servers.ts'
import { interleave, MICROSECONDS, rowsOf, speedOf, workOf, type Speed } from '../speed.ts'
import type { Scale } from './scale.ts'
import { signUp, startServer } from './services.ts'

const CONNECTIONS = 16

/** Longest time from start to first response with PostgreSQL, in milliseconds. */
const START_LIMIT_MILLISECONDS = 700

export async function compareResource (scale: Scale): Promise<Comparison[]> {
  const { services, rounds, seconds } = scale
  const server = await startServer(services, { DATABASE_URL: await services.postgres.newDatabase() })
  const fastify = await startBaseline('fastify', services.folder)
  const [headers = {}] = await signUp(server, 1)
  const get = ({ port, pid, stop }: Running, path: string) => () =>
    speedOf({ port, pid, stop }, () => workOf(getRepeatedly({ port, path, headers }, { connections: 32, seconds })))
  const pairs = await interleave(rounds, get(server, '/api/resource'), get(fastify, '/'))
  await server.stop()
  await fastify.stop()
  return rowsOf({ work: 'GET /api/resource on PostgreSQL, 32 connections', against: 'bare Fastify', rate: { unit: '/s', least: 0.25 }, cpu: MICROSECONDS }, pairs)
}

/** Each connection uploads for the account of its index. */
function putRepeatedly ({ port }: Running, accounts: Record<string, string>[], seconds: number): Promise<Load> {
  const next = () => ({ path: `/uploads/${randomUUID()}`, body: SMALL })
  return repeat(CONNECTIONS, seconds, index => openRequester({ port, method: 'PUT', headers: accounts[index % accounts.length] ?? {}, next }))
}

export async function compareSmallUploads (scale: Scale): Promise<Comparison[]> {
  const { services, rounds, seconds } = scale
  const servers = [
    await startServer(services, { DATABASE_URL: await services.postgres.newDatabase() }),
    await startServer(services, {})
  ] as const
  const comparisons: Comparison[] = []
  // The writes of one account wait for each other, each for a commit and two round trips before it.
  for (const { count, least } of [{ count: CONNECTIONS, least: 0.4 }, { count: 1, least: 0.25 }]) {
    const [ours, baseline] = await Promise.all(servers.map(async server => {
      const accounts = await signUp(server, count)
      return () => speedOf(server, () => workOf(putRepeatedly(server, accounts, seconds)))
    })) as [() => Promise<Speed>, () => Promise<Speed>]
    const work = `4 KiB uploads on PostgreSQL and a folder, 16 connections, ${count === 1 ? '1 account' : `${count} accounts`}`
    comparisons.push(...rowsOf({ work, against: 'SQLite and a folder', rate: { unit: '/s', least }, cpu: MICROSECONDS }, await interleave(rounds, ours, baseline)))
  }
  for (const server of servers) await server.stop()
  return comparisons
}

/**
 * One, two and four processes on one database and bucket. With few cores the CPU time of a request says more than the
 * rate.
 */
export async function compareProcesses (scale: Scale): Promise<Comparison[]> {
  const { services, rounds, seconds } = scale
  const settings = services.onBucket(await services.postgres.newDatabase(), 'processes')
  const servers = await Promise.all(Array.from({ length: 4 }, () => startServer(services, settings)))
  const accounts = await signUp(servers[0] as Running, CONNECTIONS)
  const kinds = {
    'GET /api/resource': (server: Running) => getRepeatedly({ port: server.port, path: '/api/resource', headers: accounts[0] ?? {} }, { connections: CONNECTIONS, seconds }),
    '4 KiB uploads': (server: Running) => putRepeatedly(server, accounts, seconds)
  }
  const comparisons: Comparison[] = []
  for (const [kind, load] of Object.entries(kinds)) {
    const by = (count: number) => () => speedOfAll(servers.slice(0, count), load)
    for (const count of [2, 4]) {
      const work = `${kind} on PostgreSQL and S3, ${count} processes, 16 connections each`
      comparisons.push(...rowsOf({ work, against: '1 process', rate: { unit: '/s', least: 0 }, cpu: { ...MICROSECONDS, most: 1.5 } }, await interleave(rounds, by(count), by(1))))
    }
  }
  for (const server of servers) await server.stop()
  return comparisons.map(({ target, ...comparison }) => target !== undefined && 'least' in target ? comparison : { ...comparison, ...(target && { target }) })
}

async function speedOfAll (servers: Running[], load: (server: Running) => Promise<Load>): Promise<Speed> {
  const used = () => servers.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
  for (const { pid } of servers) await untilQuiet(pid)
  const before = used()
  const loads = await Promise.all(servers.map(load))
  for (const { pid } of servers) await untilQuiet(pid)
  const sum = (of: (load: Load) => number) => loads.reduce((sum, load) => sum + of(load), 0)
  return { perSecond: sum(({ perSecond }) => perSecond), cpuSeconds: (used() - before) / sum(({ count }) => count) }
}

/** From the start of the process to its first answer, with a database that is up to date. */
export async function compareStarts ({ services, rounds }: Scale): Promise<Comparison[]> {
  const { folder, postgres, onBucket } = services
  const start = (name: string, settings: Record<string, string>) => () => startOf(join(folder, `start-${name}`), settings)
  const onSqlite = start('sqlite', {})
  const onPostgres = start('postgres', { DATABASE_URL: await postgres.newDatabase() })
  const onS3 = start('s3', onBucket(await postgres.newDatabase(), 'start'))
  // The first start makes the databases.
  for (const first of [onSqlite, onPostgres, onS3]) await first()
  const compare = async (engines: string, ours: () => Promise<number>): Promise<Comparison> =>
    ({ work: `start to first answer on ${engines}`, against: 'SQLite and a folder', unit: 'ms', rounds: await interleave(rounds, ours, onSqlite) })
  const withPostgres = await compare('PostgreSQL and a folder', onPostgres)
  return [
    withPostgres,
    { ...withPostgres, against: 'the limit', target: { most: 1 }, rounds: withPostgres.rounds.map(({ ours }) => ({ ours, baseline: START_LIMIT_MILLISECONDS })) },
    await compare('PostgreSQL and S3', onS3)
  ]
}
