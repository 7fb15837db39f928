import pg from 'pg'
import { ConfigError, OperatorError, Problem } from '../../problems.ts'

/** SQLSTATE codes of a connection that is refused because of what DATABASE_URL says. */
const REFUSALS = new Map([
  ['28P01', 'PostgreSQL refuses the user or the password'],
  ['28000', 'PostgreSQL refuses this user from this machine'],
  ['3D000', 'PostgreSQL has no such database']
])

/** One line for the operator, without the URL and its password. Errors not about connecting are returned unchanged. */
export function explainConnectionFailure (error: unknown): unknown {
  if (!(error instanceof Problem) || error.code !== 'unavailable') return error
  const { code = '', message } = error.cause as NodeJS.ErrnoException
  const refusal = REFUSALS.get(code)
  if (refusal !== undefined) return new ConfigError(`DATABASE_URL: ${refusal}`, { cause: error })
  // A name with two addresses that both refuse has a code and no message.
  return new OperatorError(`DATABASE_URL: can't connect to PostgreSQL: ${[message, code].find(text => text !== '')}`, { cause: error })
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
  if (searchParams.getAll('sslmode').some(mode => !SSL_MODES.includes(mode))) throw new ConfigError(`DATABASE_URL: sslmode must be one of ${SSL_MODES.join(', ')}`)
  if (searchParams.getAll('port').some(port => !/^\d{1,5}$/.test(port) || Number(port) > 65535)) throw new ConfigError('DATABASE_URL: port must be a number up to 65535')
  const address = searchParams.get('uselibpqcompat') === 'true' ? url : url.replaceAll(ALIASES, 'verify-full')
  try {
    // The constructor reads it, and does not connect.
    void new pg.Client({ connectionString: address })
    return address
  } catch (cause) {
    throw new ConfigError(`DATABASE_URL: ${(cause as Error).message}`, { cause })
  }
}
