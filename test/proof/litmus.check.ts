import { join } from 'node:path'
import t from 'tap'
import { run } from '../kit/programs.ts'
import { spawnServer } from '../kit/server.ts'
import { openDrive, openStore, skipUnless, storesOf } from './webdav.ts'

// litmus is the conformance suite of WebDAV servers.

/**
 * litmus puts `If` into a buffer of 200 bytes, in which two lists with a lock token and an entity tag of 64 hexadecimal
 * digits are cut.
 */
const CUT = ['complex_cond_put', 'fail_complex_cond_put']

interface Verdict { readonly name: string, readonly word: string }

/** What litmus says of each test: it first prints the name, then overwrites the line. */
function verdictsIn (output: string): Verdict[] {
  const lines = output.split(/[\r\n]+/)
  return lines.flatMap(line => {
    const [, name, word] = /^ *\d+\. (\w+)\.* *(pass|FAIL|SKIPPED)/.exec(line) ?? []
    return name === undefined || word === undefined ? [] : [{ name, word }]
  })
}

for (const name of storesOf('SQLite and a folder')) {
  t.test(`102 of the 104 tests of litmus pass on ${name}, all but two that it can't send whole`, { skip: skipUnless('litmus') }, async t => {
    const folder = t.testdir({ data: {}, litmus: {} })
    const server = await spawnServer(t, await openStore(t, name, join(folder, 'data')))
    const drive = await openDrive(server)
    const { stdout, stderr } = await run('litmus', ['-k', `${server.url}/dav/`, drive.username, drive.token], { cwd: join(folder, 'litmus') })
    const verdicts = verdictsIn(stdout)
    t.equal(verdicts.length, 104, { stdout, stderr })
    t.same(verdicts.filter(({ word }) => word !== 'pass').map(({ name, word }) => `${name} ${word}`), CUT.map(name => `${name} FAIL`), { stdout })
    t.same(stdout.split(/[\r\n]+/).filter(line => line.includes('WARNING')), [])
  })
}
