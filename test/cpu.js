import { subscribe } from 'node:diagnostics_channel'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

// Loaded into each test file: when it ends, writes the seconds of CPU of its process and of all that it has started and
// waited for. `slowest.ts` prints them. Only where there is /proc.

const folder = new URL('../.tap/cpu/', import.meta.url)

/** The fields 14 to 17 of `/proc/self/stat` are in hundredths of a second (proc_pid_stat(5)). */
const [FIRST_FIELD, LAST_FIELD, FIELDS_AFTER_NAME] = [14, 17, 3]

/** Seconds that the system has lost count of: kit/cpu.ts. */
let lost = 0
subscribe('cpu', seconds => { lost += Number(seconds) })

process.on('exit', () => {
  let stat
  try { stat = readFileSync('/proc/self/stat', 'latin1') } catch { return }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user = 0, system = 0, userOfChildren = 0, systemOfChildren = 0] =
    fields.slice(FIRST_FIELD - FIELDS_AFTER_NAME, LAST_FIELD - FIELDS_AFTER_NAME + 1).map(ticks => Number(ticks) / 100)
  const file = basename(process.argv[1] ?? '')
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL(`${file}-${process.pid}.json`, folder), JSON.stringify({
    file,
    store: process.env.TEST_STORE,
    own: user + system,
    started: userOfChildren + systemOfChildren + lost,
    wall: performance.now() / 1000
  }))
})
