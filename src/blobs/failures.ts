import { Problem } from '../errors.ts'

/** No room on the disk, or for the operator's own quota, or for one file of that size. */
const OUT_OF_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Says of a blob that can't be opened what the client can be told; a process that has no descriptor left says nothing about the file. */
export function failAsDamaged (error: NodeJS.ErrnoException): never {
  if (error.code === 'EMFILE' || error.code === 'ENFILE') throw new Problem('overloaded', { headers: { 'retry-after': '1' }, cause: error })
  throw new Problem('file_damaged', { cause: error })
}

/** Says of a file system's failure what the client can be told. */
export function failAsStorage (error: unknown): never {
  if (OUT_OF_ROOM.has(String((error as NodeJS.ErrnoException).code))) throw new Problem('storage_full', { cause: error })
  throw error
}
