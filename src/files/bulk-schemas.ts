import { type TProperties, Type } from '@sinclair/typebox'
import { Count, ExactObject, MAX_TEXT_POINTS, OneOf, SharedObject } from '../http/wire-values.ts'
import { MAX_RETAINED } from '../metadata/retention-records.ts'
import { LockedPaths } from '../http/problem-details.ts'
import { answer, problems } from '../openapi/responses.ts'
import { bulkRefusals } from './bulk.ts'
import { ID, State, StoredId } from './schemas.ts'
import { MAX_NAMES } from './zip-schemas.ts'

export const MOVES_PATH = '/api/moves'
export const COPIES_PATH = '/api/copies'

// Not a pattern: a name that nothing can have is refused alone.
const ItemName = Type.String({
  format: 'file-name',
  maxLength: MAX_TEXT_POINTS,
  description: 'Name of a file, or path of a folder.',
  examples: ['reports/2026']
})

const item = {
  name: ItemName,
  id: Type.Optional(Type.String({ ...ID, minLength: 1, description: 'Only if what has this name has this id.' }))
}

const itemsOf = <Properties extends TProperties>(properties: Properties) =>
  Type.Array(ExactObject('A file, or a folder with all that is in it.', properties), {
    minItems: 1,
    maxItems: MAX_NAMES,
    description: 'Files and folders. What is named twice, or is in a folder that is named, counts once.',
    examples: [[{ name: 'report.pdf' }, { name: 'reports' }]]
  })

export const TrashItems = SharedObject('TrashItems', 'What to move to the trash.', {
  items: itemsOf({
    ...item,
    state: Type.Optional({
      ...State,
      description: 'Only if it has not changed since it was copied or restored: `state` of that response. A folder ' +
        'has changed if something in it was added, changed, moved or deleted.'
    })
  }),
  lost: Type.Optional(Type.Integer({
    format: 'int64',
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    default: 0,
    description: 'How many of the oldest versions and deleted files may be deleted for good, because an account ' +
      `keeps at most ${MAX_RETAINED.toLocaleString('en')}. If it would be more, the response is 409 \`trash_full\`, ` +
      'its `lost` tells how many, and nothing is moved. Ask the user, and repeat the request with that number.',
    examples: [0]
  }))
})

export const PlacedItems = SharedObject('PlacedItems', 'What to move or copy, and where.', {
  items: itemsOf(item),
  folder: Type.String({
    format: 'file-name',
    maxLength: MAX_TEXT_POINTS,
    description: 'The folder that gets them. It is created if it is missing. The root if it is empty or `/`.',
    examples: ['archive']
  }),
  rename: Type.Optional(Type.Boolean({
    default: false,
    description: 'Give a number to those whose name is taken, such as `report (2).pdf`. Otherwise they are refused.',
    examples: [true]
  }))
})

const results = {
  done: Count('Files and folders of the request that were handled.', 2),
  refused: Type.Array(ExactObject('A file or folder that was refused.', {
    name: ItemName,
    code: OneOf(bulkRefusals, {
      description: 'The `code` that this file or folder alone is refused with. `precondition_failed`: it has another ' +
        'id, or has changed.',
      examples: ['file_locked']
    }),
    locked: LockedPaths
  }), { maxItems: MAX_NAMES, description: 'Those that were refused, by the names in the request.' })
}

export const BulkOutcome = SharedObject('BulkOutcome', 'What was moved or copied.', {
  ...results,
  placed: Type.Array(ExactObject('A file or folder that was moved or copied.', {
    name: ItemName,
    newName: { ...ItemName, description: 'The name that it, or its copy, has got.', examples: ['archive/2026'] },
    id: StoredId('Its id, or that of its copy.', 'Ob8Ln2fVxZ0cYdQ3wTgkRA'),
    state: Type.Optional({
      ...State,
      description: 'Of a copy: what it was like when it was made. Opaque. To take it back, pass it with `newName` ' +
        'and `id` to `POST /api/trash`.'
    })
  }), {
    maxItems: MAX_NAMES,
    description: 'Where they are now, by the names in the request. A copy that was begun is there as well.'
  })
})

export const TrashOutcome = SharedObject('TrashOutcome', 'What was moved to the trash.', {
  deletedWith: Type.String({
    pattern: '^[0-9a-f]{32}$',
    maxLength: 32,
    description: 'Id of the deletion. `POST /api/trash/restore` with it restores all that is in the trash of it.',
    examples: ['5b1c3f0e9d8a4c7fb2e6a1d0c9f8e7b6']
  }),
  ...results
})

const rules = 'It is done in small steps, in no order: others see each step at once, and `GET /api/changes` tells ' +
  'how far it is. An account can have 2 of such requests at a time: moves to the trash, moves and copies. The ' +
  'request has at most 4 MiB.'

const finished = 'If the client leaves, the rest is still done. If the server stops, a beginning is done, and the ' +
  'request can be repeated.'

export const moveToTrash = {
  operationId: 'moveToTrash',
  summary: 'Delete many files and folders',
  description: 'Moves files, and folders with all that is in them, to the trash as one deletion, which can be ' +
    `restored as a whole. ${rules} ${finished} A folder that gets a file meanwhile is refused, with what is left. ` +
    'A server that keeps nothing (`KEEP_DAYS=0`) deletes all for good.',
  curl: [
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/heap/one.pdf',
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/two.pdf',
    'curl -f -u test_user:pwd -H "Content-Type: application/json" ' +
      '-d \'{"items":[{"name":"heap"},{"name":"two.pdf"}]}\' http://127.0.0.1:5000/api/trash'
  ],
  body: Type.Ref(TrashItems),
  response: {
    200: answer(TrashOutcome, 'What was moved to the trash, and what was refused.'),
    ...problems(['trash_full', 'too_many_acts'])
  }
}

export const moveMany = {
  operationId: 'moveMany',
  summary: 'Move many files and folders',
  description: `Moves files and folders to a folder, under the last segments of their names. ${rules} ${finished}`,
  curl: [
    'curl -f -u test_user:pwd -T report.pdf http://127.0.0.1:5000/uploads/three.pdf',
    'curl -f -u test_user:pwd -H "Content-Type: application/json" ' +
      '-d \'{"items":[{"name":"three.pdf"}],"folder":"moved","rename":true}\' http://127.0.0.1:5000/api/moves'
  ],
  body: Type.Ref(PlacedItems),
  response: {
    200: answer(BulkOutcome, 'What was moved, and what was refused.'),
    ...problems(['name_invalid', 'too_many_acts'])
  }
}

export const copyMany = {
  operationId: 'copyMany',
  summary: 'Copy many files and folders',
  description: 'Copies files, and folders with all that is in them, to a folder, under the last segments of their ' +
    'names. A copy is as that of `POST /api/files/{name}/copy`. A folder that does not fit into the quota is ' +
    `refused, and one in which a file can't be copied stops there: what was copied of it stays. ${rules} If the ` +
    'client leaves or the server stops, a beginning is done.',
  curl: 'curl -f -u test_user:pwd -H "Content-Type: application/json" ' +
    '-d \'{"items":[{"name":"moved"}],"folder":"","rename":true}\' http://127.0.0.1:5000/api/copies',
  body: Type.Ref(PlacedItems),
  response: {
    200: answer(BulkOutcome, 'What was copied, and what was refused.'),
    ...problems(['name_invalid', 'too_many_acts', 'storage_full'])
  }
}
