import { OperatorError } from '../operator-error.ts'

/** A mistake on the command line. */
export class UsageError extends OperatorError {
  override readonly exitCode = 2
}
