import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { releaseFault, versionFault, withUnreleased } from '../contract/changelog.ts'
import { changesBetween, type Change, type Document } from '../contract/changes.ts'
import { inlineResponses } from '../kit/document.ts'
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
  'an operation that is gone': [['breaking'], document => { delete document.paths['/api/files'].get }],
  'a new operation': [['added'], document => { document.paths['/api/new'] = { get: operation(document, 'GET /api/resource') } }],
  'other texts': [[], document => { operation(document, 'GET /api/files').description = 'Other words.'; schema(document, 'StoredFile').properties.size.description = 'In bytes.' }],
  'a credential where there was none': [['breaking'], document => { operation(document, 'GET /api/users/{id}').security = [{ basic: [] }] }],
  'a scope that is asked for': [['breaking'], document => { operation(document, 'GET /api/account')['x-required-scope'] = 'account' }],
  'a new parameter that may be left out': [['added'], document => { operation(document, 'GET /api/files').parameters.push({ name: 'type', in: 'query', required: false, schema: { type: 'string' } }) }],
  'a parameter that becomes needed': [['breaking'], document => { parameter(document, 'GET /api/files', 'order').required = true }],
  'a parameter of fewer words': [['breaking'], document => { parameter(document, 'GET /api/files', 'order').schema.enum.pop() }],
  'a property that must be sent': [['added', 'breaking'], document => { schema(document, 'NewUser').properties.email = { type: 'string' }; schema(document, 'NewUser').required.push('email') }],
  'a lower limit to what is sent': [['breaking'], document => { schema(document, 'NewUser').properties.username.maxLength = 32 }],
  'a higher limit to what is sent': [['added'], document => { schema(document, 'NewUser').properties.username.maxLength = 128 }],
  'a media type that is no longer taken': [['breaking'], document => { delete operation(document, 'POST /').requestBody.content['multipart/form-data'] }],
  'a keyword that is not known here': [['breaking'], document => { schema(document, 'NewUser').dependentRequired = { username: ['password'] } }],
  'a success that is gone': [['breaking'], document => { delete operation(document, 'GET /uploads/{name}').responses[206] }],
  'a refusal that is gone': [['changed'], document => { delete operation(document, 'GET /uploads/{name}').responses[412] }],
  'a new refusal': [['added'], document => { const { responses } = operation(document, 'GET /api/files'); responses[410] = responses[400] }],
  'a property that is told sometimes': [['breaking'], document => { schema(document, 'StoredFile').required = without(schema(document, 'StoredFile').required, 'sha256') }],
  'a new property that is told': [['added'], document => { schema(document, 'StoredFile').properties.owner = { type: 'string' } }],
  'another type of what is told': [['breaking', 'changed'], document => { schema(document, 'StoredFile').properties.size.type = 'string' }],
  'a new word in what is told': [['breaking'], document => { schema(document, 'Liveness').properties.status.enum.push('slow') }],
  'a header that is no longer sent': [['breaking'], document => { delete operation(document, 'GET /uploads/{name}').responses[200].headers.ETag }]
}

test('a change of the document has the level of what it does to clients, and asks for a version', async t => {
  const before = await openDocument()
  for (const [title, [levels, change]] of Object.entries(cases)) {
    const after = inlineResponses(before)
    change(after)
    const changes = changesBetween(before, after)
    t.same([...new Set(changes.map(({ level }) => level))].sort(), levels, { title, changes })
  }
  const versions: [next: string, change: string, passes: boolean, canBeReleased: boolean][] = [
    ['1.4.2', 'other texts', true, false],
    ['1.4.3', 'other texts', true, true],
    ['1.4.1', 'other texts', true, false],
    ['1.4.3', 'a new operation', true, false],
    ['1.5.0', 'a new operation', true, true],
    ['1.5.0', 'an operation that is gone', false, false],
    ['10.0.0', 'an operation that is gone', true, true]
  ]
  for (const [next, change, ...fits] of versions) {
    const [released, document]: [Document, Document] = [structuredClone(before), inlineResponses(before)]
    cases[change]?.[1](document)
    released.info.version = '1.4.2'
    document.info.version = next
    t.strictSame([versionFault(released, document), releaseFault(released, document)].map(fault => fault === undefined), fits, `${change} in ${next}`)
  }
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
