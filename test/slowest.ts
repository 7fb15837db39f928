import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './kit/root.ts'

// Prints the thirty test files that took the most CPU since `.tap/cpu` was removed.

interface Taken {
  readonly file: string
  readonly store?: string
  /** Seconds of CPU of the test, and of the processes that it started; and seconds until it ended. */
  readonly own: number
  readonly started: number
  readonly wall: number
}

const folder = join(root, '.tap/cpu')
const files: Taken[] = readdirSync(folder).map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')))
const cpuOf = ({ own, started }: Taken) => own + started
const total = files.reduce((sum, file) => sum + cpuOf(file), 0)
const number = (seconds: number) => seconds.toFixed(1).padStart(8)

console.log(`${files.length} test files took ${(total / 60).toFixed(1)} minutes of CPU. The slowest, in seconds:\n     CPU     own started    wall`)
for (const taken of files.sort((a, b) => cpuOf(b) - cpuOf(a)).slice(0, Number(process.argv[2] ?? 30))) {
  console.log([cpuOf(taken), taken.own, taken.started, taken.wall].map(number).join(''), [taken.file, taken.store].join(' '))
}
