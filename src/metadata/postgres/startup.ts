import pg from 'pg'
import { ConfigError, OperatorError, Problem } from '../../problems.ts'

/** SQLSTATE codes of a connection that is refused because of what DATABASE_URL says. */
const REFUSALS = new Map([
  ['28P01', 'PostgreSQL refuses the user or the password'],
  ['28000', 'PostgreSQL refuses this user from this machine'],
  ['3D000', 'PostgreSQL has no such database']
])

/** One line for the operator, without the URL, which has a password; an error that is not about connecting is returned as it is. */
export function explainConnectionFailure (error: unknown): unknown {
  if (!(error instanceof Problem) || error.code !== 'unavailable') return error
  const { code = '', message } = error.cause as NodeJS.ErrnoException
  const refusal = REFUSALS.get(code)
  if (refusal !== undefined) return new ConfigError(`DATABASE_URL: ${refusal}`, { cause: error })
  // A name with two addresses that both refuse has a code and no message.
  return new OperatorError(`DATABASE_URL: can't connect to PostgreSQL: ${[message, code].find(text => text !== '')}`, { cause: error })
}

/** @throws {ConfigError} if the driver can't read the address, or a certificate that it names. */
export function refuseBrokenUrl (url: string): void {
  try {
    // The constructor reads it, and does not connect.
    void new pg.Client({ connectionString: url })
  } catch (cause) {
    throw new ConfigError(`DATABASE_URL: ${(cause as Error).message}`, { cause })
  }
}
