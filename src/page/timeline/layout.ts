/** Sizes in pixels. All rows of files have one height, and all headings have another. */
export interface Sizes { readonly perRow: number, readonly rowHeight: number, readonly headHeight: number }

/** A month such as `2024-07`, and how many files it has. */
interface Counted { readonly month: string, readonly files: number }

/** A month: a heading, and rows of files below it. */
export interface Block {
  readonly month: string
  /** The index of its first file. */
  readonly first: number
  readonly files: number
  readonly top: number
  /** The number of its heading among all rows. */
  readonly firstRow: number
}

export interface Layout extends Sizes {
  readonly blocks: readonly Block[]
  readonly height: number
  readonly rows: number
}

/** A row of files, from the first index to before `end`; or the heading of a month, which has none. */
export interface Row {
  readonly block: Block
  readonly number: number
  readonly top: number
  readonly first: number
  readonly end: number
}

const rowsOf = ({ files }: { files: number }, perRow: number) => Math.ceil(files / perRow)

/** Where the months of a timeline are, one below the other. */
export function layOut (months: readonly Counted[], sizes: Sizes): Layout {
  const { perRow, rowHeight, headHeight } = sizes
  let [first, top, firstRow] = [0, 0, 0]
  const blocks = months.map(({ month, files }) => {
    const block = { month, first, files, top, firstRow }
    const rows = rowsOf(block, perRow)
    first += files
    top += headHeight + rows * rowHeight
    firstRow += 1 + rows
    return block
  })
  return { ...sizes, blocks, height: top, rows: firstRow }
}

/** The rows between two heights, headings too. */
export function rowsBetween (layout: Layout, from: number, to: number): Row[] {
  const { blocks, headHeight, rowHeight, perRow } = layout
  return blocks.flatMap(block => {
    const bodyTop = block.top + headHeight
    if (block.top > to || bodyTop + rowsOf(block, perRow) * rowHeight < from) return []
    const start = Math.max(0, Math.floor((from - bodyTop) / rowHeight))
    const end = Math.min(rowsOf(block, perRow), Math.max(0, Math.ceil((to - bodyTop) / rowHeight)))
    const rows = Array.from({ length: Math.max(0, end - start) }, (_, offset) => rowAt(layout, block, start + offset))
    const heading = { block, number: block.firstRow, top: block.top, first: block.first, end: block.first }
    return bodyTop < from ? rows : [heading, ...rows]
  })
}

/** The row of a file. */
export function rowOf (layout: Layout, index: number): Row | undefined {
  const block = blockOf(layout, index)
  return block && rowAt(layout, block, Math.floor((index - block.first) / layout.perRow))
}

/** The month that is at a height. */
export function blockAt ({ blocks }: Layout, top: number): Block | undefined {
  return blocks.findLast(block => block.top <= top) ?? blocks[0]
}

/** Where a step from a file leads, over the headings. */
export function targetOf (layout: Layout, index: number, step: Step): number {
  const all = layout.blocks.reduce((sum, { files }) => sum + files, 0)
  const within = (target: number) => Math.max(0, Math.min(target, all - 1))
  if ('by' in step) return within(index + step.by)
  let target = index
  for (let rows = 0; rows < Math.abs(step.rows); rows++) target = beside(layout, target, Math.sign(step.rows))
  return within(target)
}

/** How far: entries, or rows. */
export type Step = { readonly by: number } | { readonly rows: number }

/** The file in the same column of the row before or after; of a shorter row the last one. */
function beside (layout: Layout, index: number, sign: number): number {
  const row = rowOf(layout, index)
  const next = row && rowOf(layout, sign < 0 ? row.first - 1 : row.end)
  return row === undefined || next === undefined ? index : Math.min(next.first + index - row.first, next.end - 1)
}

function blockOf ({ blocks }: Layout, index: number): Block | undefined {
  return blocks.find(({ first, files }) => index >= first && index < first + files)
}

function rowAt ({ perRow, headHeight, rowHeight }: Layout, block: Block, row: number): Row {
  const first = block.first + row * perRow
  return {
    block,
    number: block.firstRow + 1 + row,
    top: block.top + headHeight + row * rowHeight,
    first,
    end: Math.min(first + perRow, block.first + block.files)
  }
}
