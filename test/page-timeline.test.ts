import t from 'tap'
import { blockAt, layOut, rowOf, rowsBetween, targetOf } from '../src/page/timeline/layout.ts'

const SIZES = { perRow: 3, rowHeight: 100, headHeight: 40 }

const monthsOf = (counts: readonly number[]) =>
  counts.map((files, index) => ({ month: `2024-${String(12 - index).padStart(2, '0')}`, files, cursor: 'x' }))

/** Months of 4, 1 and 6 files: two rows, one and two, each below a heading. */
const layout = layOut(monthsOf([4, 1, 6]), SIZES)

t.test('months stand below each other, and only the rows near the view are rendered', async t => {
  t.match(layout, { height: 620, rows: 8 })
  const blocks = layout.blocks.map(({ first, top, firstRow }) => [first, top, firstRow])
  t.strictSame(blocks, [[0, 0, 0], [4, 240, 3], [5, 380, 5]])
  const rows = (from: number, to: number) =>
    rowsBetween(layout, from, to).map(({ number, first, end, top }) => [number, first, end, top])
  t.strictSame(rows(-500, 0), [[0, 0, 0, 0]])
  t.strictSame(rows(141, 390), [[2, 3, 4, 140], [3, 4, 4, 240], [4, 4, 5, 280], [5, 5, 5, 380]])
  t.strictSame(rows(620, 2000), [])
  t.equal(rows(-Infinity, Infinity).length, layout.rows)
  const long = layOut(monthsOf(Array.from({ length: 12 }, () => 2000)), SIZES)
  t.ok(rowsBetween(long, 30_000, 32_000).length < 25)
})

t.test('what is at a height, and where a file is', async t => {
  t.strictSame([-1, 239, 240, 9999].map(top => blockAt(layout, top)?.month), ['2024-12', '2024-12', '2024-11', '2024-10'])
  t.match(rowOf(layout, 10), { number: 7, first: 8, end: 11, top: 520 })
  t.equal(rowOf(layout, 11), undefined)
  t.equal(blockAt(layOut([], SIZES), 0), undefined)
})

t.test('keys lead over headings and shorter rows, and not beyond the ends', async t => {
  for (const [index, step, target] of [
    [0, { by: 1 }, 1], [0, { by: -1 }, 0], [10, { by: 1 }, 10], [3, { by: -Infinity }, 0], [3, { by: Infinity }, 10],
    [1, { rows: 1 }, 3], [3, { rows: 1 }, 4], [2, { rows: 3 }, 5], [7, { rows: -1 }, 4], [10, { rows: 1 }, 10],
    [10, { rows: -1 }, 7], [9, { rows: -9 }, 0]
  ] as const) t.equal(targetOf(layout, index, step), target, JSON.stringify([index, step]))
})
