import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../kit/root.ts'

// Which test files run a place of a compiled file, from the coverage of the last checks.

interface Range { readonly startOffset: number, readonly endOffset: number, readonly count: number }
interface Script { readonly url: string, readonly functions: readonly { readonly ranges: readonly Range[] }[] }

/** By the path of a compiled file in `dist`, then by the name of a test file: what ran of it in each process. */
const ran = new Map<string, Map<string, Range[][]>>()

/** The same in every clone. */
function pathIn (path: string): string {
  return path.slice(path.lastIndexOf('/dist/'))
}

const folder = join(root, '.tap/v8')
for (const name of readdirSync(folder)) {
  const [testFile = ''] = name.split('~')
  const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: Script[] }
  for (const { url, functions } of result) {
    const path = pathIn(fileURLToPath(url))
    const byTest = ran.get(path) ?? new Map<string, Range[][]>()
    ran.set(path, byTest)
    byTest.set(testFile, [...byTest.get(testFile) ?? [], functions.flatMap(({ ranges }) => ranges)])
  }
}

/** V8's ranges are nested: the smallest that contains a place says how often it ran. */
function hasRun (ranges: readonly Range[], at: number): boolean {
  const around = ranges.filter(({ startOffset, endOffset }) => startOffset <= at && at < endOffset)
  const lengthOf = ({ startOffset, endOffset }: Range) => endOffset - startOffset
  const [smallest] = around.sort((a, b) => lengthOf(a) - lengthOf(b))
  return smallest !== undefined && smallest.count > 0
}

/** The names of the test files that ran this place of a compiled file. */
export function testsOf (path: string, at: number): string[] {
  const byTest = ran.get(pathIn(path)) ?? new Map<string, Range[][]>()
  return [...byTest].filter(([, processes]) => processes.some(ranges => hasRun(ranges, at))).map(([name]) => name)
}
