import { OperatorError } from '../problems.ts'

/** The database has a migration that this version does not know. It was not changed. */
export class UnknownMigrationError extends OperatorError {}

/**
 * Compares the migrations that were applied to a database with those of this version, both by their times.
 * @throws {UnknownMigrationError}
 */
export function requireKnown (applied: readonly number[], known: readonly number[]): void {
  const unknown = applied.filter(time => !known.includes(time))
  if (unknown.length === 0) return
  const isNewer = Math.max(...unknown) > Math.max(...known)
  throw isNewer
    ? new UnknownMigrationError('the database was made by a newer version of MagicStore; it was not changed', {
      remedy: 'run the newer version, or restore a backup made by this version'
    })
    // Unreleased migrations were squashed.
    : new UnknownMigrationError(
      'the database was made by an unreleased version of MagicStore, and can\'t be upgraded; it was not changed',
      { remedy: 'run the version that made it, download the files, and upload them to a new store of this version' }
    )
}
