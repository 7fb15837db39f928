import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { certify } from '../kit/certificates.ts'
import { startProxy, type PostgresServer } from '../kit/postgres.ts'
import { WITHOUT_ROOTS_ACCESS } from '../kit/programs.ts'
import { credentials, openS3, type FakeS3 } from '../kit/s3.ts'
import { signUp, spawnServer, startServer, type Settings } from '../kit/server.ts'

/** A line of `doctor --json`. */
export interface Finding { check: string, verdict: 'good' | 'warning' | 'fault', message: string, remedy?: string }

export const findingsIn = (output: string): Finding[] => output.trim().split('\n').map(line => JSON.parse(line))

/** What a server leaves that has stored one file with these settings. Returns its data folder. */
export async function leaveStore (t: Test, settings: Settings): Promise<string> {
  const server = await startServer(t, settings)
  const { token } = await signUp(server, 'ada')
  await server.send('PUT', '/uploads/a', { token, body: 'a' })
  await server.close()
  return server.dataDir
}

/** Everything in a folder: bytes, times and permissions. What a running server changes by itself is left out. */
export function snapshotOf (folder: string): object {
  if (!existsSync(folder)) return { isThere: false }
  if (!statSync(folder).isDirectory()) return {}
  const names = readdirSync(folder, { recursive: true }).map(String).filter(name => !/-shm$|^probe$/.test(name)).sort()
  return Object.fromEntries(['', ...names].map(name => {
    const path = join(folder, name)
    const { mtimeMs, mode, uid } = statSync(path)
    return [name, { mtimeMs, mode, uid, text: statSync(path).isFile() ? readFileSync(path, 'latin1') : '' }]
  }))
}

/** What a set-up is made with. */
export interface Services {
  readonly t: Test
  /** A new folder. */
  readonly folder: string
  readonly postgres: PostgresServer
  readonly s3: FakeS3
  /** A data folder that a server has left, with one file; not to be changed. */
  readonly sound: string
  readonly port: number
}

/** A set-up, most of them wrong. */
export interface SetUp {
  readonly name: string
  /** What doctor says: the fault with its remedy, or the line of a setting that can't be read. Undefined: no fault. */
  readonly doctor?: RegExp
  /** What starting says, if it is not the message of the fault. `works`: an upload succeeds. */
  readonly start?: RegExp | 'works' | 'uploads fail'
  /** A program that runs doctor and server. */
  readonly under?: readonly string[]
  readonly make: (services: Services) => Settings | Promise<Settings>
  /** Undoes what others would notice. */
  readonly undo?: (services: Services) => unknown
  /** Whether the SQL after the last colon of the remedy, run by a superuser in the database, makes it right. */
  readonly isMendedBySql?: true
}

const always = (settings: Settings) => () => settings

/** A store with a folder of its own that a server has left, in which something is changed. */
function copyOf ({ folder, sound }: Services, change: (dataDir: string) => unknown = () => {}): { DATA_DIR: string } {
  const DATA_DIR = join(folder, 'copy')
  cpSync(sound, DATA_DIR, { recursive: true, preserveTimestamps: true })
  change(DATA_DIR)
  return { DATA_DIR }
}

/** A data folder with a folder or file in it. */
function folderWith ({ folder }: Services, path: string, isFile = false): { DATA_DIR: string } {
  const DATA_DIR = join(folder, 'made')
  mkdirSync(join(DATA_DIR, isFile ? '.' : path), { recursive: true })
  if (isFile) writeFileSync(join(DATA_DIR, path), '')
  return { DATA_DIR }
}

const NEWER = "INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 99999999999999)"

/** An HTTP server that is not MagicStore, or imitates it; returns its port. */
export async function listen (
  t: Test, answer: RequestListener, tls?: { TLS_CERT: string, TLS_KEY: string }
): Promise<number> {
  const server = tls === undefined
    ? createServer(answer)
    : createTlsServer({ cert: readFileSync(tls.TLS_CERT), key: readFileSync(tls.TLS_KEY) }, answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

/** The port of another program. */
const occupied = async ({ t }: Services) => String(await listen(t, (_request, response) => response.end('<html>')))

const settings: SetUp[] = [
  { name: 'all defaults', start: 'works', make: always({}) },
  { name: 'metrics at the port of the server', doctor: /^magicstore: METRICS_PORT: PORT is the same/, make: ({ port }) => ({ METRICS_PORT: String(port) }) },
  { name: 'the same through all addresses', doctor: /^magicstore: METRICS_PORT: PORT is the same/, make: ({ port }) => ({ METRICS_PORT: String(port), METRICS_HOST: '0.0.0.0' }) },
  { name: '# in the password of the database', doctor: /^magicstore: DATABASE_URL: .*contains #; write it as %23\n$/, make: always({ DATABASE_URL: 'postgres://ann:pass#word@127.0.0.1/files' }) },
  { name: '/ in a password that begins like a port', doctor: /contains \/; write it as %2F\n$/, make: always({ DATABASE_URL: 'postgres://ann:12/34@127.0.0.1/files' }) },
  { name: '? in the password of the database', doctor: /contains \?; write it as %3F\n$/, make: always({ DATABASE_URL: 'postgres://ann:pass?word@127.0.0.1/files' }) },
  { name: '% in the password of the database', doctor: /URI malformed.*write % in the password as %25/, make: always({ DATABASE_URL: 'postgres://ann:100%de@127.0.0.1/files' }) },
  { name: 'a certificate that is not there', doctor: /TLS_CERT: ENOENT.*set TLS_CERT to/, make: async ({ folder }) => ({ ...await certify(folder), TLS_CERT: join(folder, 'none.crt') }) },
  { name: 'the key of another certificate', doctor: /TLS_CERT and TLS_KEY can't be used: .*set TLS_CERT and TLS_KEY to/, make: async ({ folder }) => ({ ...await certify(folder), TLS_KEY: (await certify(folder, { days: 3 })).TLS_KEY }) },
  { name: 'a host without an address', doctor: /HOST: "nowhere\.invalid" has no address.*set HOST to/, make: always({ HOST: 'nowhere.invalid', PASSWORD_POLICY: 'open', TRUST_PROXY: '127.0.0.1' }) },
  { name: 'an address of another machine', doctor: /HOST: can't listen on 192\.0\.2\.1, .*set HOST to/, make: always({ HOST: '192.0.2.1', TRUST_PROXY: '127.0.0.1' }) },
  { name: 'a port for root only', doctor: /HOST: can't listen on 127\.0\.0\.1, port 443: .*set PORT to/, under: ['setpriv', '--bounding-set=-net_bind_service', '--inh-caps=-all'], make: always({ PORT: '443' }) },
  { name: 'a port that another program uses', doctor: /PORT: 127\.0\.0\.1:\d+ is in use by another program.*set PORT to/, start: /PORT: 127\.0\.0\.1:\d+ is in use/, make: async services => ({ PORT: await occupied(services) }) },
  { name: 'a port of metrics that another program uses', doctor: /METRICS_PORT: 127\.0\.0\.1:\d+ is in use.*set METRICS_PORT to/, make: async services => ({ METRICS_PORT: await occupied(services) }) },
  {
    name: 'the port of the server of another store',
    doctor: /the MagicStore server at .* uses another DATA_DIR.*set PORT to/,
    start: /PORT: 127\.0\.0\.1:\d+ is in use/,
    make: async ({ t, folder }) => ({ PORT: String((await startServer(t, { DATA_DIR: join(folder, 'other') })).port) })
  },
  {
    name: 'the folder of a server that runs',
    doctor: /another MagicStore server uses DATA_DIR.*set DATA_DIR to/,
    start: /another MagicStore server uses this data folder; stop it, or set DATA_DIR/,
    async make ({ t, folder }) {
      const settings = { DATA_DIR: join(folder, 'running') }
      await spawnServer(t, settings)
      return settings
    }
  }
]

const folders: SetUp[] = [
  { name: 'a first start that was cut', start: 'works', make: services => folderWith(services, 'lock.db', true) },
  {
    name: 'a DATA_DIR in a folder that can\'t be written',
    doctor: /can't read and write the folder.*set DATA_DIR to/,
    start: /DATA_DIR: .*can't be used as a folder.*set DATA_DIR to/,
    under: WITHOUT_ROOTS_ACCESS,
    make ({ folder }) { mkdirSync(join(folder, 'closed'), { mode: 0o555 }); return { DATA_DIR: join(folder, 'closed/data') } },
    undo: ({ folder }) => chmodSync(join(folder, 'closed'), 0o755)
  },
  { name: 'a restore that was cut', doctor: /DATA_DIR: .* has a part of a backup only: a restore was interrupted.*--discard to begin anew/, make: services => folderWith(services, 'restoring') },
  { name: 'a damaged file of signing keys', doctor: /signing-keys, line 1: expected kid:secret.*restore it from a backup/, make: services => copyOf(services, dataDir => writeFileSync(join(dataDir, 'signing-keys'), '\0')) },
  { name: 'a database of a newer version', doctor: /made by a newer version.*run the newer version/, make: services => copyOf(services, dataDir => new Database(join(dataDir, 'magicstore.db')).exec(NEWER).close()) },
  { name: 'a database of its own beside DATABASE_URL', doctor: /has a database of its own.*set DATA_DIR to/, make: async services => ({ ...copyOf(services), DATABASE_URL: await services.postgres.newDatabase() }) },
  { name: 'files of its own beside STORAGE_URL', doctor: /has files of its own.*set DATA_DIR to/, make: services => ({ ...copyOf(services), STORAGE_URL: services.s3.url('own'), ...credentials }) }
]

let roles = 0

/** A new role that is no superuser, and the address of a new database for it. */
async function limited ({ postgres }: Services, options = ''): Promise<{ role: string, url: string, database: string }> {
  const role = `role_${++roles}`
  const url = new URL(await postgres.newDatabase())
  const database = url.pathname.slice(1)
  await postgres.run(postgres.url('postgres'), `CREATE ROLE ${role} LOGIN PASSWORD 'a#b@c' ${options}`)
  Object.assign(url, { username: role, password: 'a#b@c' })
  return { role, url: url.href, database }
}

/** The same, with the right to create tables. */
async function owning (services: Services, options = ''): ReturnType<typeof limited> {
  const made = await limited(services, options)
  const { postgres } = services
  await postgres.run(postgres.url('postgres'), `ALTER DATABASE ${made.database} OWNER TO ${made.role}`)
  return made
}

function changed (url: string, changes: Partial<URL>): string {
  return Object.assign(new URL(url), changes).href
}

/** A database of a role of its own, whose address is changed. */
const owned = (change: (url: string) => string, options = '') => async (services: Services) =>
  ({ DATABASE_URL: change((await owning(services, options)).url) })

/** The same, where SQL of a superuser was run in the database. */
const prepared = (sqlOf: (database: Awaited<ReturnType<typeof owning>>) => string) => async (services: Services) => {
  const made = await owning(services)
  await services.postgres.run(services.postgres.url(made.database), sqlOf(made))
  return { DATABASE_URL: made.url }
}

/** A store of another role that a server has left, where SQL of a superuser was run in the database. */
const othersTables = (sqlOf: (role: string) => string) => async (services: Services) => {
  const { postgres, folder, t } = services
  const [{ url, database }, { role }] = [await owning(services), await limited(services)]
  const DATA_DIR = await leaveStore(t, { DATABASE_URL: url, DATA_DIR: join(folder, 'shared') })
  await postgres.run(postgres.url(database), sqlOf(role))
  return { DATABASE_URL: changed(url, { username: role }), DATA_DIR }
}

/** SQL that lets a role use the tables of another one. */
const grants = (role: string) => `GRANT USAGE ON SCHEMA drizzle TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA drizzle TO ${role};
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`

const databases: SetUp[] = [
  { name: '@ in the password of the database', start: 'works', make: owned(url => url.replace('%40', '@')) },
  { name: 'a role that can\'t create tables', doctor: /role role_\d+ can't create tables in the database magicstore_\d+/, isMendedBySql: true, make: async services => ({ DATABASE_URL: (await limited(services)).url }) },
  {
    name: 'transactions that are read-only',
    doctor: /default_transaction_read_only is on for the role role_\d+ in the database/,
    isMendedBySql: true,
    make: prepared(({ database }) => `ALTER DATABASE ${database} SET default_transaction_read_only = on`)
  },
  { name: 'tables of another role', doctor: /role role_\d+ may not use the tables, which belong to role_\d+/, isMendedBySql: true, make: othersTables(() => 'SELECT 1') },
  { name: 'tables of another role that may be used', start: 'works', make: othersTables(grants) },
  { name: 'four connections for the role', doctor: /the role role_\d+ allows 4 connections, and each server uses up to 11/, start: 'uploads fail', isMendedBySql: true, make: owned(url => url, 'CONNECTION LIMIT 4') },
  { name: 'no connection for the role', doctor: /can't connect to PostgreSQL: too many connections for role/, isMendedBySql: true, make: owned(url => url, 'CONNECTION LIMIT 0') },
  {
    name: 'four connections for the database',
    doctor: /the database magicstore_\d+ allows 4 connections/,
    start: 'uploads fail',
    isMendedBySql: true,
    make: prepared(({ database }) => `ALTER DATABASE ${database} CONNECTION LIMIT 4`)
  },
  { name: 'a database that does not exist', doctor: /no such database: nowhere/, isMendedBySql: true, make: async services => ({ DATABASE_URL: changed((await limited(services)).url, { pathname: '/nowhere' }) }), undo: ({ postgres }) => postgres.run(postgres.url('postgres'), 'DROP DATABASE IF EXISTS nowhere WITH (FORCE)') },
  { name: 'a wrong password', doctor: /refuses the user role_\d+ or the password.*%23.*ALTER ROLE/, make: owned(url => changed(url, { password: 'a' })) },
  { name: 'a name without an address', doctor: /can't connect to PostgreSQL: .*correct the host in DATABASE_URL/, make: owned(url => changed(url, { hostname: 'nowhere.invalid' })) },
  { name: 'a port where nothing listens', doctor: /ECONNREFUSED.*start PostgreSQL at 127\.0\.0\.1, port \d+/, make: owned(url => changed(url, { port: '1' })) },
  { name: 'TLS that the server does not offer', doctor: /does not support SSL.*sslmode=disable/, make: owned(url => `${url}?sslmode=verify-full`) },
  {
    name: 'TLS that the server requires',
    doctor: /refuses this user from this machine: pg_hba\.conf rejects connection.*sslmode=verify-full/,
    async make (services) {
      const { url, database } = await owning(services)
      await setAccess(services.postgres, `hostnossl ${database} all all reject`)
      return { DATABASE_URL: url }
    },
    undo: ({ postgres }) => setAccess(postgres)
  },
  {
    name: 'a PostgreSQL that is too old',
    doctor: /runs PostgreSQL 14\.9; MagicStore needs 15 or newer.*upgrade PostgreSQL/,
    async make (services) {
      const proxy = await startProxy(services.t, services.postgres.port)
      proxy.alter = answer => Buffer.from(answer.toString('latin1').replaceAll(/(?<=server_version\0|\0\0\0.)18\.4/g, '14.9'), 'latin1')
      return { DATABASE_URL: changed((await owning(services)).url, { port: String(proxy.port) }) }
    }
  },
  {
    name: 'another encoding',
    doctor: /encoding of the database is LATIN1; MagicStore needs UTF8.*CREATE DATABASE/,
    async make ({ postgres }) {
      await postgres.run(postgres.url('postgres'), "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
      return { DATABASE_URL: postgres.url('latin') }
    }
  },
  { name: 'tables of a newer version', doctor: /made by a newer version.*run the newer version/, make: othersTables(role => `${grants(role)}; ${NEWER.replace('__', 'drizzle.__')}`) },
  {
    name: 'a standby',
    doctor: /the server is a read-only standby.*pg_promote/,
    // A real one would need a second server: this one only says so.
    make: prepared(({ role }) => `CREATE SCHEMA standby; GRANT USAGE ON SCHEMA standby TO ${role};
      CREATE FUNCTION standby.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS 'SELECT true'; ALTER ROLE ${role} SET search_path = standby, pg_catalog, public`)
  }
]

/** Puts a line before the others of pg_hba.conf, or removes it again. */
async function setAccess (postgres: PostgresServer, line = ''): Promise<void> {
  const [row] = await postgres.run(postgres.url('postgres'), 'SHOW hba_file')
  writeFileSync(String(row?.hba_file), `${line}\nhost all all 127.0.0.1/32 scram-sha-256\n`)
  await postgres.run(postgres.url('postgres'), 'SELECT pg_reload_conf()')
}

const bucket = (change: (url: string) => string, more: Settings = {}) => ({ s3 }: Services) => ({ STORAGE_URL: change(s3.url('store')), ...credentials, ...more })

/** A database with a file whose bytes are in the bucket or the folder of the settings. */
async function filled ({ t, postgres, folder }: Services, storage: Settings): Promise<string> {
  const DATABASE_URL = await postgres.newDatabase()
  await leaveStore(t, { DATABASE_URL, DATA_DIR: join(folder, 'unused'), ...storage })
  return DATABASE_URL
}

const buckets: SetUp[] = [
  { name: 'a bucket that does not exist', doctor: /bucket missing at .*NoSuchBucket.*correct the bucket in STORAGE_URL/, make: bucket(url => url.replace('files', 'missing')) },
  { name: 'a wrong secret key', doctor: /secret key is wrong.*AWS_SECRET_ACCESS_KEY/, make: bucket(url => url, { AWS_SECRET_ACCESS_KEY: 'wrong' }) },
  { name: 'an access key that does not exist', doctor: /access key does not exist.*AWS_ACCESS_KEY_ID/, make: bucket(url => url, { AWS_ACCESS_KEY_ID: 'AKIAOTHER' }) },
  { name: 'no keys', doctor: /there are no credentials.*set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/, make: ({ s3 }) => ({ STORAGE_URL: s3.url('store'), AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nowhere' }) },
  { name: 'an endpoint where nothing listens', doctor: /can't be reached: ECONNREFUSED.*correct endpoint=… in STORAGE_URL/, make: always({ STORAGE_URL: 's3://files?endpoint=http://127.0.0.1:1&region=eu-central-1', ...credentials }) },
  { name: 'an endpoint that is another program', doctor: /does not answer as an S3-compatible store.*correct endpoint=… in STORAGE_URL/, make: async services => ({ STORAGE_URL: `s3://files?endpoint=http://127.0.0.1:${await occupied(services)}&region=eu-central-1`, ...credentials }) },
  { name: 'another region', doctor: /in another region.*set region=eu-central-1 in STORAGE_URL/, make: bucket(url => url.replace('eu-central-1', 'us-east-1')) },
  { name: 'no region', doctor: /the region is not set.*region=… to STORAGE_URL/, make: bucket(url => url.replace('&region=eu-central-1', ''), { AWS_CONFIG_FILE: '/dev/null' }) },
  { name: 'a bucket that can only be read', doctor: /no right to list, read, write and delete.*s3:PutObject/, make: async ({ t, folder }) => ({ STORAGE_URL: (await openS3(t, join(folder, 'read-only'), { isReadOnly: true })).url(), ...credentials }) },
  {
    name: 'a clock in another year',
    doctor: /the clock here differs from that of bucket.*timedatectl/,
    async make ({ t, folder }) {
      const s3 = await openS3(t, join(folder, 'skewed'))
      s3.fault = () => ({ status: 403, code: 'RequestTimeTooSkewed' })
      return { STORAGE_URL: s3.url(), ...credentials }
    }
  },
  {
    name: 'the prefix of another database',
    doctor: /belongs to another database, by its mark.*set STORAGE_URL to/,
    async make (services) {
      const STORAGE_URL = services.s3.url('taken')
      await filled(services, { STORAGE_URL })
      return { DATABASE_URL: await services.postgres.newDatabase(), STORAGE_URL, ...credentials }
    }
  },
  { name: 'the same with SQLite', doctor: /belongs to another database, by its mark.*set STORAGE_URL to/, make: ({ s3 }) => ({ STORAGE_URL: s3.url('taken'), ...credentials }) },
  {
    name: 'a mistyped prefix',
    doctor: /with the prefix "godo\/" does not have the files of the database.*set STORAGE_URL as/,
    make: async services => ({ DATABASE_URL: await filled(services, { STORAGE_URL: services.s3.url('good') }), STORAGE_URL: services.s3.url('godo'), ...credentials })
  },
  {
    name: 'a mistyped prefix of SQLite',
    doctor: /with the prefix "small2\/" does not have the files of the database.*set STORAGE_URL as/,
    async make ({ t, folder, s3 }) {
      const settings = { DATA_DIR: join(folder, 'small'), ...credentials }
      await leaveStore(t, { ...settings, STORAGE_URL: s3.url('small') })
      return { ...settings, STORAGE_URL: s3.url('small2') }
    }
  },
  {
    name: 'a mistyped folder of a database',
    doctor: /does not have the files of the database.*set DATA_DIR as/,
    make: async services => ({ DATABASE_URL: await filled(services, { DATA_DIR: join(services.folder, 'blobs1') }), DATA_DIR: join(services.folder, 'blobs2') })
  },
  {
    name: 'a pair of database and bucket',
    start: 'works',
    make: async services => ({ DATABASE_URL: await filled(services, { STORAGE_URL: services.s3.url('pair') }), STORAGE_URL: services.s3.url('pair'), ...credentials })
  }
]

export const setUps: readonly SetUp[] = [...settings, ...folders, ...buckets, ...databases]
