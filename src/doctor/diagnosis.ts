import type { OperatorError } from '../problems.ts'

/** The result of one check, in words for the operator. */
export interface Diagnosis {
  /** `warning`: it works, but is unsafe or may stop working. `fault`: something does not work, or users are at risk. */
  readonly verdict: 'good' | 'warning' | 'fault'
  readonly message: string
  /** How to fix it; always present unless the verdict is good. */
  readonly remedy?: string
}

export function good (message: string): Diagnosis {
  return { verdict: 'good', message }
}

export function warning (message: string, remedy: string): Diagnosis {
  return { verdict: 'warning', message, remedy }
}

export function fault (message: string, remedy: string): Diagnosis {
  return { verdict: 'fault', message, remedy }
}

/** The fault that keeps a server from starting, in the words of the start. */
export function faultOf (error: unknown): Diagnosis {
  const { reason = (error as Error).message, remedy = 'correct the setting that it names' } = error as Partial<OperatorError>
  return fault(reason, remedy)
}
