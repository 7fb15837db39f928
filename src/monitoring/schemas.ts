import { Type } from '@sinclair/typebox'
import { Always, SharedObject } from '../http/wire-values.ts'

const Condition = (description: string) => Type.Union(
  [Type.Literal('ok'), Type.Literal('full')], { description, examples: ['ok'] }
)

export const Liveness = SharedObject('Liveness', 'Result of the liveness check.', {
  status: Always('alive', 'The process responds.')
})

export const Readiness = SharedObject('Readiness', 'Result of the readiness check, at most a second old.', {
  status: Always('ready', 'Reads and deletes work; writes too, unless something is full.'),
  database: Condition('`full`: no space for another row.'),
  disk: Condition(
    '`full`: no space for another file, or less than the operator reserves (`MIN_FREE_BYTES`); uploads get 507 ' +
    '`storage_full`. Always `ok` if the files are in a bucket.'
  ),
  bucket: Type.Optional(Always('ok', 'Present if the files are in a bucket.')),
  backup: Type.Optional(Type.Union(['ok', 'late', 'failed', 'none'].map(state => Type.Literal(state)), {
    description: 'Present if the operator sets `BACKUP_HOURS`. `late`: the latest backup is older; `failed`: the ' +
      'latest one failed; `none`: there is none. The server is ready all the same.',
    examples: ['ok']
  }))
})
