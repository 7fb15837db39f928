import { Type } from '@sinclair/typebox'

const Condition = (description: string) => Type.Union([Type.Literal('ok'), Type.Literal('full')], { description, examples: ['ok'] })

export const Liveness = Type.Object({
  status: Type.Literal('alive', { description: 'The process responds.', examples: ['alive'] })
}, { $id: 'Liveness', additionalProperties: false, description: 'Result of the liveness check.' })

export const Readiness = Type.Object({
  status: Type.Literal('ready', { description: 'Reads and deletes work; writes too, unless something is full.', examples: ['ready'] }),
  database: Condition('`full`: no space for another row.'),
  disk: Condition('`full`: no space for another file, or less than the operator reserves (`MIN_FREE_BYTES`); uploads get 507 `storage_full`. Always `ok` if the files are in a bucket.'),
  bucket: Type.Optional(Type.Literal('ok', { description: 'Present if the files are in a bucket.', examples: ['ok'] })),
  backup: Type.Optional(Type.Union(['ok', 'late', 'failed', 'none'].map(state => Type.Literal(state)), {
    description: 'Present if the operator sets `BACKUP_HOURS`. `late`: the latest backup is older; `failed`: the latest one failed; `none`: there is none. The server is ready all the same.',
    examples: ['ok']
  }))
}, { $id: 'Readiness', additionalProperties: false, description: 'Result of the readiness check, at most a second old.' })
