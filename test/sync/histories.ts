import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { runUnwatched } from '../kit/programs.ts'
import { SEED } from '../kit/random.ts'
import { sizes } from '../kit/sizes.ts'

const loaded = ['types', 'coverage'].flatMap(name => ['--import', new URL(`../${name}.js`, import.meta.url).href])
const draw = fileURLToPath(new URL('draw.ts', import.meta.url))

/** Tests with histories that a seed draws, others for each name. */
export function testHistories (name: string): void {
  for (const [kind, count, says] of [
    ['together', sizes.syncHistories, 'whatever persons do and wherever runs are cut, all become equal, and nothing is lost'],
    ['alone', sizes.syncTurns, 'of one person at a time, all get just the tree that the person left'],
    ['folding', sizes.syncTurns, 'where a computer folds case, the others are equal, and it has one of the names that are alike there']
  ] as const) {
    test(says, async t => {
      const { COVERAGE = '', TEST_FILE = '' } = process.env
      const env = { SEED: String(SEED), COVERAGE, TEST_FILE }
      const args = [...loaded, draw, kind, String(count), name]
      const { code, stdout, stderr } = await runUnwatched(process.execPath, args, { env })
      t.strictSame([code, stderr], [0, ''], stdout)
      t.equal(stdout, '', `${count} histories`)
    })
  }
}
