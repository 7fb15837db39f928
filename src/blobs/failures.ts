import { Problem } from '../errors.ts'

/** Says of a blob that can't be opened what the client can be told; a process that has no descriptor left says nothing about the file. */
export function failAsDamaged (error: NodeJS.ErrnoException): never {
  if (error.code === 'EMFILE' || error.code === 'ENFILE') throw new Problem('overloaded', { headers: { 'retry-after': '1' }, cause: error })
  throw new Problem('file_damaged', { cause: error })
}
