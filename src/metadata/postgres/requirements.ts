import type pg from 'pg'
import { ConfigError, OperatorError } from '../../problems.ts'
import type { Connection } from './connections.ts'

const OLDEST_VERSION = 15

/** Connections that one process uses at most for what is short, and for what takes long. */
export const POOL_SIZES = { short: 10, long: 1 } as const

/** Before the names of connections of any version. */
const ANY_VERSION = 'magicstore '

/**
 * The beginning of the names of this version's connections; a random part for each process follows. Raise the number
 * with a migration that servers of the version before can't work with: it is then refused while one is connected.
 */
export const APPLICATION = `${ANY_VERSION}v5 `

const perServer = POOL_SIZES.short + POOL_SIZES.long

/**
 * What a role may do, with its name and that of the database as SQL can be pasted with them. Two tables speak for all:
 * the history, which is read first, and one that every server writes to.
 */
const FACTS = `SELECT current_setting('server_version') AS version,
  current_setting('server_encoding') AS encoding,
  current_setting('transaction_read_only') = 'on' AS "isReadOnly",
  pg_is_in_recovery() AS "isStandby",
  quote_ident(current_user) AS role,
  quote_ident(current_database()) AS database,
  has_database_privilege(current_database(), 'CREATE') AND (SELECT has_schema_privilege(oid, 'USAGE') AND
    has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public') IS TRUE AS "mayCreate",
  (SELECT quote_ident(tableowner) FROM pg_tables
    WHERE schemaname = 'drizzle' AND tablename = '__drizzle_migrations') AS owner,
  NOT EXISTS (SELECT FROM pg_tables
    WHERE schemaname = 'drizzle' AND NOT pg_has_role(tableowner, 'USAGE')) AS "mayAlter",
  (SELECT string_agg(DISTINCT application_name, ', ') FROM pg_stat_activity WHERE datname = current_database()
    AND starts_with(application_name, '${ANY_VERSION}')
    AND NOT starts_with(application_name, '${APPLICATION}')) AS older,
  (SELECT bool_and(has_schema_privilege(space.oid, 'USAGE') AND has_table_privilege(class.oid, privilege))
    FROM (VALUES ('drizzle', '__drizzle_migrations', 'SELECT'), ('public', 'installation', 'UPDATE'))
      AS needed (schema, name, privilege)
    JOIN pg_namespace space ON space.nspname = schema
    JOIN pg_class class ON class.relname = name AND class.relnamespace = space.oid) IS NOT FALSE AS "mayUse"`

interface Facts {
  readonly version: string
  readonly encoding: string
  readonly isReadOnly: boolean
  readonly isStandby: boolean
  readonly role: string
  readonly database: string
  readonly mayCreate: boolean
  /** Of the tables; null if there are none. */
  readonly owner: string | null
  readonly mayUse: boolean
  readonly mayAlter: boolean
  /** The connections of older versions; null if there are none. */
  readonly older: string | null
}

type StartRequirement = readonly [isMet: (facts: Facts) => boolean, refusal: (facts: Facts) => OperatorError]

/** What every start needs, and what one needs that creates the tables, or upgrades them. */
const requirements: Record<'always' | 'toCreate' | 'toUpgrade', readonly StartRequirement[]> = {
  always: [
    [({ version }) => Number.parseInt(version) >= OLDEST_VERSION, ({ version }) => new ConfigError(
      `DATABASE_URL: the server runs PostgreSQL ${version}; MagicStore needs ${OLDEST_VERSION} or newer`,
      { remedy: 'upgrade PostgreSQL, or set DATABASE_URL to a newer server' })],
    [({ encoding }) => encoding === 'UTF8', ({ encoding, role }) => new ConfigError(
      `DATABASE_URL: the encoding of the database is ${encoding}; MagicStore needs UTF8`,
      {
        remedy: 'set DATABASE_URL to another one, such as by ' +
        `CREATE DATABASE magicstore OWNER ${role} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0`
      })],
    [({ isStandby }) => !isStandby, () => new OperatorError(
      'DATABASE_URL: the server is a read-only standby',
      {
        remedy: 'set the host in DATABASE_URL to the primary server, ' +
        'or make this one the primary: SELECT pg_promote()'
      })],
    [({ isReadOnly }) => !isReadOnly, ({ role, database }) => new OperatorError(
      `DATABASE_URL: default_transaction_read_only is on for the role ${role} in the database ${database}`,
      {
        remedy: `run as a superuser: BEGIN READ WRITE; ALTER ROLE ${role} IN DATABASE ${database} ` +
        'SET default_transaction_read_only = off; COMMIT'
      })],
    [({ mayUse }) => mayUse, ({ role, owner }) => new OperatorError(
      `DATABASE_URL: the role ${role} may not use the tables, which belong to ${owner}`,
      { remedy: `set the user in DATABASE_URL to ${owner}, or run as a superuser: GRANT ${owner} TO ${role}` })]
  ],
  toUpgrade: [
    [({ mayAlter }) => mayAlter, ({ role, owner }) => new OperatorError(
      `DATABASE_URL: the role ${role} can't upgrade the tables, which belong to ${owner}`,
      { remedy: `set the user in DATABASE_URL to ${owner}, or run as a superuser: GRANT ${owner} TO ${role}` })],
    [({ older }) => older === null, ({ older }) => new OperatorError(
      `an older version of MagicStore, which can't use the upgraded database, is connected: ${older}`,
      {
        remedy: 'stop all its servers and commands, and connection poolers that keep their connections, ' +
        'then start this version'
      })]
  ],
  toCreate: [
    [({ mayCreate }) => mayCreate, ({ role, database }) => new OperatorError(
      `DATABASE_URL: the role ${role} can't create tables in the database ${database}`,
      {
        remedy: `run in that database as a superuser: GRANT CREATE ON DATABASE ${database} TO ${role}; ` +
        `GRANT USAGE, CREATE ON SCHEMA public TO ${role}`
      })]
  ]
}

/**
 * Checks a database without changing it, and returns the version of its server.
 * @throws {OperatorError}, {ConfigError} if a server can't start on it.
 */
export async function requireUsable (db: Connection, when: keyof typeof requirements): Promise<string> {
  const { rows: [facts] } = await db.execute<Facts & pg.QueryResultRow>(FACTS)
  const unmet = requirements[when].find(([isMet]) => !isMet(facts as Facts))
  if (unmet !== undefined) throw unmet[1](facts as Facts)
  return (facts as Facts).version
}

/**
 * The limits of connections, with the servers that share each: those of the role, of the database, and of everything.
 * `command` is followed by the number to set, to which `extra` is added. Superusers have the last limit only.
 */
const LIMITS = `WITH
  self AS (SELECT rolname, rolsuper, rolconnlimit, datname, datconnlimit FROM pg_roles, pg_database
    WHERE rolname = current_user AND datname = current_database()),
  servers AS (SELECT DISTINCT application_name, usename, datname FROM pg_stat_activity
    WHERE starts_with(application_name, '${ANY_VERSION}'))
SELECT 'the role ' || quote_ident(rolname) AS who, rolconnlimit AS max, 0 AS extra,
    format('ALTER ROLE %I CONNECTION LIMIT', rolname) AS command,
    (SELECT count(*)::int FROM servers WHERE usename = rolname) AS servers
  FROM self WHERE rolconnlimit >= 0 AND NOT rolsuper
UNION ALL SELECT 'the database ' || quote_ident(datname), datconnlimit, 0,
    format('ALTER DATABASE %I CONNECTION LIMIT', datname),
    (SELECT count(*)::int FROM servers WHERE servers.datname = self.datname)
  FROM self WHERE datconnlimit >= 0 AND NOT rolsuper
UNION ALL SELECT 'PostgreSQL', max - reserved, reserved,
    'restart PostgreSQL after ALTER SYSTEM SET max_connections =', (SELECT count(*)::int FROM servers)
  FROM (SELECT current_setting('max_connections')::int AS max,
    current_setting('superuser_reserved_connections')::int +
      coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved) AS settings`

interface Limit {
  readonly who: string
  readonly max: number
  readonly extra: number
  readonly command: string
  readonly servers: number
}

/** How many servers the connections of PostgreSQL are enough for. */
export interface Capacity {
  /** What allows too few for the servers that run, or for one if none does; undefined if there are enough. */
  readonly shortage: { readonly reason: string, readonly remedy: string } | undefined
  /** Servers that can run at the same time. */
  readonly maxServers: number
}

/** Compares the limits of connections with what the servers that are connected may use. */
export async function measureCapacity (db: Connection): Promise<Capacity> {
  const { rows } = await db.execute<Limit & pg.QueryResultRow>(LIMITS)
  const tight = rows.find(({ max, servers }) => max < perServer * Math.max(1, servers))
  const lowest = Math.min(...rows.map(({ max }) => max))
  return { shortage: tight && shortageOf(tight), maxServers: Math.floor(lowest / perServer) }
}

/** The remedy leaves room for commands, or for one server more. */
function shortageOf ({ who, max, extra, command, servers }: Limit): NonNullable<Capacity['shortage']> {
  return {
    reason: `${who} allows ${max} connections, and each server uses up to ${perServer}; ` +
      `servers that are connected: ${servers}`,
    remedy: `run as a superuser: ${command} ${perServer * (Math.max(1, servers) + 1) + extra}`
  }
}
