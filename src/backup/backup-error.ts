import { OperatorError } from '../operator-error.ts'

/** A backup that can't be made or used; the message is one line for the operator. */
export class BackupError extends OperatorError {}

/** A newer version made it, and only such a one can say what is in it. */
export class NewerBackupError extends BackupError {}
