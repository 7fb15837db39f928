import pg from 'pg'
import { ConfigError, OperatorError, Problem } from '../../problems.ts'

/** What DATABASE_URL says, with the defaults of the driver. */
type DriverAddress = Pick<pg.Client, 'user' | 'database' | 'host' | 'port' | 'ssl'>

interface Explanation { readonly reason: string, readonly remedy: string }

/** Connections that the server refuses because of what DATABASE_URL says, by SQLSTATE code. */
const refusals: Record<string, (address: DriverAddress, message: string) => Explanation> = {
  '28P01': ({ user }) => ({
    reason: `PostgreSQL refuses the user ${user} or the password`,
    remedy: 'correct the password in DATABASE_URL, where # is written %23 and % is written %25, ' +
      `or set it in PostgreSQL: ALTER ROLE ${quoted(user)} PASSWORD '…'`
  }),
  28000: ({ user, database }, message) => ({
    reason: `PostgreSQL refuses this user from this machine: ${message}`,
    remedy: 'add ?sslmode=verify-full to DATABASE_URL if the server requires TLS, ' +
      `or a line to its pg_hba.conf: hostssl ${database} ${user} samenet scram-sha-256`
  }),
  '3D000': ({ user, database }) => ({
    reason: `PostgreSQL has no such database: ${database}`,
    remedy: 'correct the name in DATABASE_URL, or run as a superuser: ' +
      `CREATE DATABASE ${quoted(database)} OWNER ${quoted(user)}`
  })
}

/** The server, the database or the role has no free connection. */
const TOO_MANY_CONNECTIONS = '53300'

/** A name that has no address. */
const NO_ADDRESS = new Set(['ENOTFOUND', 'EAI_AGAIN'])

/** Codes of a network failure: those of TLS have an underscore, or are none if the server has no TLS. */
const NETWORK_FAILURE = /^E[A-Z]+$/

/**
 * One line for the operator, without the URL and its password. Errors not about connecting are returned unchanged.
 * `address` is the result of `driverAddress`.
 */
export function explainConnectionFailure (error: unknown, address: string): unknown {
  if (!(error instanceof Problem) || error.code !== 'unavailable') return error
  const server = new pg.Client({ connectionString: address })
  const { code = '', message } = error.cause as NodeJS.ErrnoException
  const refusal = refusals[code]?.(server, message)
  if (refusal !== undefined) {
    return new ConfigError(`DATABASE_URL: ${refusal.reason}`, { remedy: refusal.remedy, cause: error })
  }
  // A name with two addresses that both refuse has a code and no message.
  const reason = `DATABASE_URL: can't connect to PostgreSQL: ${[message, code].find(text => text !== '')}`
  return new OperatorError(reason, { remedy: remedyOf(server, code), cause: error })
}

function remedyOf ({ user, host, port, ssl }: DriverAddress, code: string): string {
  if (code === TOO_MANY_CONNECTIONS) {
    return 'each server uses up to 11 connections: stop what uses them, ' +
      `or run as a superuser: ALTER ROLE ${quoted(user)} CONNECTION LIMIT -1`
  }
  if (NO_ADDRESS.has(code)) return 'correct the host in DATABASE_URL'
  if (Boolean(ssl) && !NETWORK_FAILURE.test(code)) {
    return 'turn on TLS in PostgreSQL with ssl = on, name its certificate authority with sslrootcert=FILE ' +
      'in DATABASE_URL, or set sslmode=disable there'
  }
  return `start PostgreSQL at ${host}, port ${port}, or correct host and port in DATABASE_URL`
}

/** A name as SQL can be pasted with it. */
function quoted (name: string | undefined): string {
  return pg.escapeIdentifier(String(name))
}

/** Values of `sslmode` that the driver knows. */
const SSL_MODES = ['disable', 'no-verify', 'prefer', 'require', 'verify-ca', 'verify-full']

/**
 * The driver treats these as `verify-full`, and prints a warning of several lines. With `uselibpqcompat` they mean
 * less, as in PostgreSQL's own programs.
 */
const ALIASES = /(?<=[?&]sslmode=)(?:prefer|require|verify-ca)(?=[&#]|$)/g

/**
 * The address for the driver: the same, without what would make it print a warning.
 * @throws {ConfigError} if the driver can't read it, or a certificate that it names, or if it has a port or mode that
 * does not exist.
 */
export function driverAddress (url: string): string {
  const { searchParams } = new URL(url)
  if (searchParams.getAll('sslmode').some(mode => !SSL_MODES.includes(mode))) {
    throw new ConfigError(`DATABASE_URL: sslmode must be one of ${SSL_MODES.join(', ')}`)
  }
  if (searchParams.getAll('port').some(port => !/^\d{1,5}$/.test(port) || Number(port) > 65535)) {
    throw new ConfigError('DATABASE_URL: port must be a number up to 65535')
  }
  const address = searchParams.get('uselibpqcompat') === 'true' ? url : url.replaceAll(ALIASES, 'verify-full')
  try {
    // The constructor reads it, and does not connect.
    void new pg.Client({ connectionString: address })
    return address
  } catch (cause) {
    throw new ConfigError(`DATABASE_URL: ${(cause as Error).message}`, {
      cause, ...(cause instanceof URIError && { remedy: 'write % in the password as %25' })
    })
  }
}
