/** What a command, or a start, can't do, in words for the operator: printed in one line, without a stack. */
export class OperatorError extends Error {
  /** 1 for what the machine or the data refuses, 2 for what was written wrong. */
  readonly exitCode: 1 | 2 = 1
}
