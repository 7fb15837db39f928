import { Type } from '@sinclair/typebox'

const Condition = (description: string) => Type.Union([Type.Literal('ok'), Type.Literal('full')], { description, examples: ['ok'] })

export const Liveness = Type.Object({
  status: Type.Literal('alive', { description: 'The process answers.', examples: ['alive'] })
}, { $id: 'Liveness', additionalProperties: false, description: 'That the process answers, and nothing more.' })

export const Readiness = Type.Object({
  status: Type.Literal('ready', { description: 'Reads and deletes work, and writes too where nothing is full.', examples: ['ready'] }),
  database: Condition('`full`: it has no room for another row.'),
  disk: Condition('`full`: it has no room for another file, or less than the operator keeps free; uploads are 507 `storage_full`.')
}, { $id: 'Readiness', additionalProperties: false, description: 'How what the server stands on was found, a second ago at the most.' })
