/** What one look found, in words for the operator. */
export interface Diagnosis {
  /** `warning`: it works, and may harm or stop working; `fault`: something does not work, or people are not safe. */
  readonly verdict: 'good' | 'warning' | 'fault'
  readonly message: string
  /** How to mend it, wherever it is not good. */
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
