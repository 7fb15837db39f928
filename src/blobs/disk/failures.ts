import { Problem } from '../../problems.ts'
import { overloadOf } from './durable-files.ts'

/** Says of a blob that can't be opened what the client can be told; a process that has no descriptor left says nothing about the file. */
export function failAsDamaged (error: unknown): never {
  throw overloadOf(error) ?? new Problem('file_damaged', { cause: error })
}
