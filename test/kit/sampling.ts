type Columns = readonly (readonly unknown[])[]

/** A value of each column. */
export type Row<C extends Columns> = { -readonly [Index in keyof C]: C[Index][number] }

/**
 * Rows in which every pair of values of two columns occurs at least once (a covering array of strength 2). The same
 * columns give the same rows.
 */
export function pairwise<const C extends Columns> (columns: C): Row<C>[] {
  const pairOf = (column: number, value: number, other: number, otherValue: number) =>
    column < other ? `${column} ${value} ${other} ${otherValue}` : `${other} ${otherValue} ${column} ${value}`
  const left = new Set(columns.flatMap((values, column) => columns.slice(column + 1).flatMap((others, next) =>
    values.flatMap((_, value) => others.map((_, other) => pairOf(column, value, column + 1 + next, other))))))
  const rows: Row<C>[] = []
  for (const pair of left) {
    const [column, value, other, otherValue] = pair.split(' ').map(Number) as [number, number, number, number]
    const chosen = new Map([[column, value], [other, otherValue]])
    for (const [index, values] of columns.entries()) {
      if (chosen.has(index)) continue
      const gains = values.map((_, each) =>
        Array.from(chosen).filter(([fixed, at]) => left.has(pairOf(fixed, at, index, each))).length)
      chosen.set(index, gains.indexOf(Math.max(...gains)))
    }
    for (const [one, at] of chosen) for (const [two, otherAt] of chosen) left.delete(pairOf(one, at, two, otherAt))
    rows.push(columns.map((values, index) => values[Number(chosen.get(index))]) as Row<C>)
  }
  return rows
}

/** Every row that can be made of the columns. */
export function product<const C extends Columns> (columns: C): Row<C>[] {
  const extend = (rows: unknown[][], values: readonly unknown[]) =>
    rows.flatMap(row => values.map(value => [...row, value]))
  return columns.reduce(extend, [[]]) as Row<C>[]
}
