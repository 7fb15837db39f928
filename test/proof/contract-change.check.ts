import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { releaseFault, versionFault, withRelease, withUnreleased } from '../contract/changelog.ts'
import { changesBetween, type Change, type Document } from '../contract/changes.ts'
import { root } from '../kit/root.ts'

const read = (name: string) => readFile(join(root, 'openapi', name), 'utf8')

/** The committed document, for a test to modify. */
const openDocument = async (): Promise<any> => JSON.parse(await read('openapi.json'))

test('the changelog says what changed since the last release', async t => {
  const changes = changesBetween(JSON.parse(await read('released.json')), await openDocument())
  const changelog = await read('CHANGELOG.md')
  t.equal(withUnreleased(changelog, changes), changelog, 'openapi/CHANGELOG.md is stale: npm run contract')
})

test('nothing in the document breaks the last release, or the major version moved', async t => {
  t.equal(versionFault(JSON.parse(await read('released.json')), await openDocument()), undefined)
})

const schema = (document: any, name: string) => document.components.schemas[name]
const operation = (document: any, name: string) => {
  const [method = '', path = ''] = name.split(' ')
  return document.paths[path][method.toLowerCase()]
}
const parameter = (document: any, name: string, key: string) =>
  operation(document, name).parameters.find((listed: { name: string }) => listed.name === key)
const without = (words: string[], word: string) => words.filter(listed => listed !== word)

/** Single changes of the document, each with the levels reported for it. */
const cases: Record<string, [Change['level'][], (document: any) => void]> = {
  // Operations.
  'an operation that is gone': [['breaking'], document => { delete document.paths['/api/files'].get }],
  'a new operation': [['added'], document => { document.paths['/api/new'] = { get: operation(document, 'GET /api/resource') } }],
  'another operation id': [['breaking'], document => { operation(document, 'GET /api/files').operationId = 'files' }],
  'other texts': [[], document => { operation(document, 'GET /api/files').description = 'Other words.'; schema(document, 'StoredFile').properties.size.description = 'In bytes.' }],
  'another example': [[], document => { schema(document, 'StoredFile').properties.size.examples = [1] }],

  // Credentials.
  'a credential where there was none': [['breaking'], document => { operation(document, 'GET /api/users/{id}').security = [{ basic: [] }] }],
  'no credential where there was one': [['added'], document => { operation(document, 'GET /api/account').security = [{}] }],
  'a scheme that is no longer taken': [['breaking'], document => { operation(document, 'GET /api/account').security.pop() }],
  'a scope that is asked for': [['breaking'], document => { operation(document, 'GET /api/account')['x-required-scope'] = 'account' }],
  'a scope that is no longer asked for': [['added'], document => { delete operation(document, 'GET /api/files')['x-required-scope'] }],

  // Parameters.
  'a parameter that is gone': [['breaking'], document => { operation(document, 'GET /api/files').parameters.pop() }],
  'a new parameter that may be left out': [['added'], document => { operation(document, 'GET /api/files').parameters.push({ name: 'type', in: 'query', required: false, schema: { type: 'string' } }) }],
  'a new parameter that is needed': [['breaking'], document => { operation(document, 'GET /api/files').parameters.push({ name: 'type', in: 'query', required: true, schema: { type: 'string' } }) }],
  'a parameter that becomes needed': [['breaking'], document => { parameter(document, 'GET /api/files', 'order').required = true }],
  'a parameter of fewer words': [['breaking'], document => { parameter(document, 'GET /api/files', 'order').schema.enum.pop() }],
  'another default': [['breaking'], document => { parameter(document, 'GET /api/files', 'order').schema.default = 'newest' }],

  // Request bodies.
  'a property that must be sent': [['added', 'breaking'], document => { schema(document, 'NewUser').properties.email = { type: 'string' }; schema(document, 'NewUser').required.push('email') }],
  'a property that may be sent': [['added'], document => { schema(document, 'NewUser').properties.email = { type: 'string' } }],
  'a property that is no longer taken': [['breaking'], document => { delete schema(document, 'NewToken').properties.expiresAt }],
  'a property that need not be sent any more': [['added'], document => { schema(document, 'NewToken').required = ['name'] }],
  'a lower limit to what is sent': [['breaking'], document => { schema(document, 'NewUser').properties.username.maxLength = 32 }],
  'a higher limit to what is sent': [['added'], document => { schema(document, 'NewUser').properties.username.maxLength = 128 }],
  'a higher least of what is sent': [['breaking'], document => { schema(document, 'NewUser').properties.password.minLength = 8 }],
  'a first pattern for what is sent': [['breaking'], document => { schema(document, 'NewUser').properties.username.pattern = '^[a-z]+$' }],
  'no pattern any more for what is sent': [['added'], document => { delete schema(document, 'NewToken').properties.name.pattern }],
  'null that is no longer taken': [['breaking'], document => { schema(document, 'NewToken').properties.expiresAt.anyOf.pop() }],
  'a new media type that is taken': [['added'], document => { const { content } = operation(document, 'POST /').requestBody; content['application/zip'] = content['multipart/form-data'] }],
  'a media type that is no longer taken': [['breaking'], document => { delete operation(document, 'POST /').requestBody.content['multipart/form-data'] }],
  'a body where there was none': [['breaking'], document => { operation(document, 'DELETE /api/token').requestBody = operation(document, 'POST /').requestBody }],
  'a body that may be left out': [['added'], document => { operation(document, 'POST /').requestBody.required = false }],
  'properties that need not be known': [['added'], document => { schema(document, 'NewUser').additionalProperties = true }],
  'a keyword that is not known here': [['breaking'], document => { schema(document, 'NewUser').dependentRequired = { username: ['password'] } }],

  // Responses.
  'a success that is gone': [['breaking'], document => { delete operation(document, 'GET /uploads/{name}').responses[206] }],
  'a refusal that is gone': [['changed'], document => { delete operation(document, 'GET /uploads/{name}').responses[412] }],
  'a new refusal': [['added'], document => { const { responses } = operation(document, 'GET /api/files'); responses[410] = responses[400] }],
  'a code that is gone': [['changed'], document => { delete operation(document, 'POST /').responses[400].content['application/problem+json'].examples.file_missing }],
  'a property that is no longer told': [['breaking'], document => { const { properties, required } = schema(document, 'StoredFile'); delete properties.sha256; schema(document, 'StoredFile').required = without(required, 'sha256') }],
  'a property that is told sometimes': [['breaking'], document => { schema(document, 'StoredFile').required = without(schema(document, 'StoredFile').required, 'sha256') }],
  'a new property that is told': [['added'], document => { schema(document, 'StoredFile').properties.owner = { type: 'string' } }],
  'another type of what is told': [['breaking', 'changed'], document => { schema(document, 'StoredFile').properties.size.type = 'string' }],
  'null where there was a value': [['breaking'], document => { schema(document, 'StoredFile').properties.type.type = ['string', 'null'] }],
  'a new word in what is told': [['breaking'], document => { schema(document, 'Liveness').properties.status.enum.push('slow') }],
  'a new kind of token': [['added'], document => { schema(document, 'Token').properties.kind.enum.push('certificate') }],
  'more items than before': [['breaking'], document => { schema(document, 'FileList').properties.files.maxItems = 10_000 }],
  'no pattern any more for what is told': [['breaking'], document => { delete schema(document, 'StoredFile').properties.sha256.pattern }],
  'a header that is no longer sent': [['breaking'], document => { delete operation(document, 'GET /uploads/{name}').responses[200].headers.ETag }],
  'properties of an answer that need not be known': [['added'], document => { schema(document, 'StoredFile').additionalProperties = true }]
}

for (const [title, [levels, change]] of Object.entries(cases)) {
  test(`${title}: ${levels.join(' and ') || 'no change'}`, async t => {
    const [before, after] = [await openDocument(), await openDocument()]
    change(after)
    t.not(JSON.stringify(after), JSON.stringify(before), 'something was changed')
    const changes = changesBetween(before, after)
    t.same([...new Set(changes.map(({ level }) => level))].sort(), levels, { changes })
  })
}

test('what changes in a shared schema is told once, under its name', async t => {
  const [before, after] = [await openDocument(), await openDocument()]
  delete schema(after, 'StoredFile').properties.sha256.pattern
  t.same(changesBetween(before, after).map(({ subject }) => subject), ['StoredFile.sha256'])
})

const versions: [last: string, next: string, change: string, isFit: { check: boolean, release: boolean }][] = [
  ['1.4.2', '1.4.2', 'other texts', { check: true, release: false }],
  ['1.4.2', '1.4.3', 'other texts', { check: true, release: true }],
  ['1.4.2', '1.4.1', 'other texts', { check: true, release: false }],
  ['1.4.2', '1.4.2', 'a new operation', { check: true, release: false }],
  ['1.4.2', '1.4.3', 'a new operation', { check: true, release: false }],
  ['1.4.2', '1.5.0', 'a new operation', { check: true, release: true }],
  ['1.4.2', '1.4.2', 'an operation that is gone', { check: false, release: false }],
  ['1.4.2', '1.5.0', 'an operation that is gone', { check: false, release: false }],
  ['1.4.2', '2.0.0', 'an operation that is gone', { check: true, release: true }],
  ['9.0.0', '10.0.0', 'an operation that is gone', { check: true, release: true }]
]

for (const [last, next, change, isFit] of versions) {
  test(`${change} from ${last} to ${next} ${isFit.check ? 'passes' : 'fails'} and ${isFit.release ? 'can' : 'can\'t'} be released`, async t => {
    const [released, document]: [Document, Document] = [await openDocument(), await openDocument()]
    cases[change]?.[1](document)
    released.info.version = last
    document.info.version = next
    t.equal(versionFault(released, document) === undefined, isFit.check)
    t.equal(releaseFault(released, document) === undefined, isFit.release)
  })
}

test('the changelog is the same however often it is written, and keeps what was released', t => {
  const changes: Change[] = [{ level: 'added', subject: 'GET /a', what: 'New' }, { level: 'breaking', subject: 'GET /b', what: 'operation removed' }]
  const once = withUnreleased('# Title\n\nText.\n', changes)
  t.equal(once, '# Title\n\nText.\n\n## Unreleased\n\nBreaking:\n\n- GET /b: operation removed\n\nAdded:\n\n- GET /a: New\n')
  t.equal(withUnreleased(once, changes), once)
  const released = withRelease(once, { version: '2.0.0', day: '2026-11-25' })
  t.match(released, '## 2.0.0 (2026-11-25)\n\nBreaking:')
  t.equal(withUnreleased(released, []), released)
  t.match(withUnreleased(released, changes), /## Unreleased\n[^]*## 2\.0\.0 /)
  t.end()
})

test('npm run contract fails on a broken contract, and its release makes the document the released one', async t => {
  const first = await openDocument()
  first.info.version = '1.0.0'
  const folder = t.testdir({ 'released.json': JSON.stringify({ info: { version: '0.0.0' }, paths: {} }), 'openapi.json': JSON.stringify(first), 'CHANGELOG.md': '# Changelog\n' })
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const run = async (...args: string[]) => {
    const child = spawn('npx', [...scripts.contract.split(' '), ...args, folder], { cwd: root, stdio: 'ignore' })
    return (await once(child, 'exit'))[0]
  }
  const readFolder = (name: string) => readFile(join(folder, name), 'utf8')

  t.equal(await run('release'), 0)
  t.same(JSON.parse(await readFolder('released.json')), first)
  t.match(await readFolder('CHANGELOG.md'), /^# Changelog\n\n## 1\.0\.0 \(\d{4}-\d\d-\d\d\)\n\nAdded:\n\n- POST \/api\/users: Register a user\n/)

  const second = await openDocument()
  second.info.version = '1.1.0'
  delete second.paths['/api/resource']
  await writeFile(join(folder, 'openapi.json'), JSON.stringify(second))
  t.equal(await run('check'), 1)
  t.equal(await run('release'), 1)
  t.same(JSON.parse(await readFolder('released.json')), first, 'the released document stays')
  t.match(await readFolder('CHANGELOG.md'), /^# Changelog\n\n## Unreleased\n\nBreaking:\n\n- GET \/api\/resource: operation removed\n\n## 1\.0\.0 /)
})
