import type { Stats } from 'node:fs'
import type { Config } from '../config.ts'
import type { OperatorError } from '../problems.ts'

/** An entry of the data folder, or the folder itself, whose name is then empty. */
export type FolderEntry = Pick<Stats, 'mode' | 'uid' | 'mtimeMs'> & { readonly name: string }

/** What is checked: the settings, and where a server with them would run. */
export interface Environment extends Config {
  /** `process.version`, such as v20.19.0. */
  readonly nodeVersion: string
  /** The user that this process runs as. */
  readonly userId: number
  readonly now: number
  /** DATA_DIR, or its nearest ancestor that exists. */
  readonly existing: string
  /** Empty if DATA_DIR does not exist or can't be read. */
  readonly entries: readonly FolderEntry[]
  /** What this user can't read and write in DATA_DIR. */
  readonly denied: readonly string[]
}

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
  const { message, reason = message, remedy } = error as Partial<OperatorError> & Error
  return fault(reason, remedy ?? 'correct the setting that it names')
}
