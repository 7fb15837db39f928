/** One ratio of a case: the baseline, the target, and the values of each round. */
export interface Comparison {
  readonly work: string
  readonly against: string
  /** `least`: the ratio should be no smaller; `most`: no greater. Without a target it is only reported. */
  readonly target?: { readonly least: number } | { readonly most: number }
  readonly unit: string
  /** A pair of values per round. */
  readonly rounds: readonly { readonly ours: number, readonly baseline: number }[]
}

export interface Row { work: string, against: string, ours: string, baseline: string, ratio: string, spread: string, target: string, verdict: 'met' | 'missed' | '', median: number }

export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}

export function rowOf ({ work, against, target, unit, rounds }: Comparison): Row {
  const ratios = rounds.map(({ ours, baseline }) => ours / baseline)
  const ratio = median(ratios)
  return {
    work,
    against,
    ours: `${show(median(rounds.map(({ ours }) => ours)))} ${unit}`,
    baseline: `${show(median(rounds.map(({ baseline }) => baseline)))} ${unit}`,
    ratio: ratio.toFixed(2),
    spread: `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
    ...judge(ratio, target),
    median: ratio
  }
}

function judge (ratio: number, target: Comparison['target']): Pick<Row, 'target' | 'verdict'> {
  if (target === undefined) return { target: '', verdict: '' }
  const isMet = 'least' in target ? ratio >= target.least : ratio < target.most
  return { target: 'least' in target ? `>= ${target.least}` : `< ${target.most}`, verdict: isMet ? 'met' : 'missed' }
}

function show (value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** The rows as a Markdown table. */
function tableOf (rows: readonly Row[]): string {
  const head = ['work', 'against', 'MagicStore', 'baseline', 'ratio', 'spread', 'target', '']
  const lines = rows.map(row =>
    [row.work, row.against, row.ours, row.baseline, row.ratio, row.spread, row.target, row.verdict])
  const widths = head.map((cell, index) => Math.max(...[head, ...lines].map(line => (line[index] ?? cell).length)))
  const write = (cells: string[]) => `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`
  return [write(head), write(widths.map(width => '-'.repeat(width))), ...lines.map(write)].join('\n')
}

export interface Result {
  readonly node: string
  readonly cores: number
  readonly rounds: number
  readonly rows: readonly Row[]
}

/** The results in Markdown. */
export function sectionOf ({ node, cores, rounds, rows }: Result): string {
  return `${cores} cores, Node ${node}, medians of ${rounds} rounds:\n\n${tableOf(rows)}`
}

const RESULTS = /(?<=^<!-- results -->\n)[^]*(?=\n<!-- \/results -->$)/m

/** The benchmarks page with the results replaced between its two comments. */
export function withResults (page: string, section: string): string {
  return page.replace(RESULTS, () => section)
}

const LINE_HEIGHT = 22
const LABEL_WIDTH = 470
const BAR_WIDTH = 300
/** Ratio at the right end of the chart; longer bars are cut. */
const MAX_RATIO = 4

const FILLS = { met: '#2a7d4f', missed: '#b3541e', '': '#777' } as const

/** Each ratio as a bar, its target as a line, its spread as a thin line. */
export function chartOf (comparisons: readonly Comparison[]): string {
  const x = (ratio: number) => LABEL_WIDTH + Math.min(ratio, MAX_RATIO) / MAX_RATIO * BAR_WIDTH
  const bars = comparisons.map((comparison, index) => {
    const { work, against, median: ratio, target, verdict } = rowOf(comparison)
    const ratios = comparison.rounds.map(({ ours, baseline }) => ours / baseline)
    const y = 40 + index * LINE_HEIGHT
    return `<text x="${LABEL_WIDTH - 8}" y="${y + 11}" text-anchor="end">${escape(`${work} / ${against}`)}</text>` +
      `<rect x="${LABEL_WIDTH}" y="${y}" width="${x(ratio) - LABEL_WIDTH}" height="14" fill="${FILLS[verdict]}"/>` +
      `<line x1="${x(Math.min(...ratios))}" x2="${x(Math.max(...ratios))}" y1="${y + 7}" y2="${y + 7}" stroke="#111"/>` +
      strokeOf(comparison.target, x, y) +
      `<text x="${LABEL_WIDTH + BAR_WIDTH + 8}" y="${y + 11}">${escape(`${ratio.toFixed(2)} ${target && `(${target})`}`)}</text>`
  })
  const height = 60 + comparisons.length * LINE_HEIGHT
  return `<svg xmlns="http://www.w3.org/2000/svg" width="940" height="${height}" viewBox="0 0 940 ${height}" font-family="sans-serif" font-size="12">` +
    `<rect width="100%" height="100%" fill="#fff"/><text x="8" y="20" font-size="14">MagicStore over its baseline in the same run: median (bar), spread (thin line), target (stroke)</text>${bars.join('\n')}</svg>\n`
}

function strokeOf (target: Comparison['target'], x: (ratio: number) => number, y: number): string {
  if (target === undefined) return ''
  const at = x('least' in target ? target.least : target.most)
  return `<line x1="${at}" x2="${at}" y1="${y - 2}" y2="${y + 16}" stroke="#1c4e9c" stroke-width="2"/>`
}

function escape (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
