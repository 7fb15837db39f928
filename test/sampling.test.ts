import t from 'tap'
import { pairwise, product } from './kit/sampling.ts'

t.test('every pair of values of two columns occurs, in fewer rows than all, and always the same', async t => {
  const columns = [[1, 2, 3, 4, 5], ['a', 'b', 'c', 'd'], [true, false], ['x', 'y', 'z']] as const
  const rows = pairwise(columns)
  const pairsOf = (table: readonly (readonly unknown[])[]) => new Set(table.flatMap(row =>
    row.flatMap((value, index) =>
      row.slice(index + 1).map((other, next) => JSON.stringify([index, value, index + 1 + next, other])))))
  t.strictSame(Array.from(pairsOf(rows)).sort(), Array.from(pairsOf(product(columns))).sort())
  t.ok(rows.length < 30, `${rows.length} rows of ${product(columns).length}`)
  t.strictSame(pairwise(columns), rows)
  t.strictSame(pairwise([[1, 2], ['a', 'b']]), product([[1, 2], ['a', 'b']]), 'two columns are walked whole')
})
