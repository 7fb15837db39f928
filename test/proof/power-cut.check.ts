import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sizes } from '../kit/sizes.ts'
import type { Image } from './disk.ts'
import type { NameOrder } from './folders.ts'
import { pastOf } from './observation.ts'
import { createRandom, SEED } from '../kit/random.ts'
import { diskAt, record, writeImage, type Recording } from './recording.ts'
import { describeCall, type SystemCall } from './system-calls.ts'
import { findViolations } from './verdict.ts'

/** Number of images to test. */
const IMAGES = sizes.powerCuts

const options = { skip: existsSync('/usr/bin/strace') ? false : 'strace is not installed', timeout: 0 }

t.test('after a power cut at any moment the server starts, has all that it acknowledged, and nothing else', options, async t => {
  const counts = new Map<string, number>()
  const folder = t.testdir()
  const recording = await record(await mkdtemp(join(folder, 'recording-')))
  const operations = recording.users.flatMap(({ steps }) => steps)
  const ofFolders = operations.filter(({ what }) => what.includes('folder'))
  t.comment(`recorded ${operations.length} operations, ${ofFolders.length} with folders, of ${recording.users.length} users over ${recording.starts.length} processes`)
  const moments = momentsOf(recording)
  const numbers = Array.from({ length: IMAGES }, (_, index) => index)
  const tryImages = async () => {
    for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
      const kinds = await tryImage(t, { recording, moments, number, folder })
      for (const kind of kinds) counts.set(kind, 1 + (counts.get(kind) ?? 0))
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, tryImages))
  for (const [kind, count] of counts) t.comment(`${kind}: ${count} of ${IMAGES} images`)
})

interface Attempt {
  readonly recording: Recording
  readonly moments: Moments
  readonly number: number
  readonly folder: string
}

/** Tests one image, and returns the kinds of its violations. */
async function tryImage (t: Test, { recording, moments, number, folder }: Attempt): Promise<Set<string>> {
  const random = createRandom(`power cut ${number}`)
  const moment = random.pick(moments[random.pick(SHARES)])
  const order = random.pick<NameOrder>(['folder', 'journal'])
  const disk = diskAt(recording, moment, order)
  const left = disk.afterPowerCut(random)
  const image = join(folder, `image-${number}`)
  await writeImage(left, image)
  const isAcknowledged = (requestId: string) => Number(recording.answers.get(requestId)) <= moment
  const violations = await findViolations(join(image, 'data'), recording.users.map(user => pastOf(user, isAcknowledged)))
  await rm(image, { recursive: true })
  const name = `image ${number}, seed ${SEED}: names by ${order}, cut at moment ${moment}`
  const lastCall = describeCall(recording.moments[moment]?.call as SystemCall, recording.root)
  if (violations.length === 0) t.pass(name)
  else t.fail(name, { violations, lastCall, unsynced: differencesOf(disk.asSeen(), left) })
  return new Set(violations.map(violation => `${violation.split(':')[0]}, names by ${order}`))
}

/** Maximum number of lines printed for a violation. */
const SHOWN = 20

/** What the power cut removed or restored, one line each. The files of the reserve are empty. */
function differencesOf (seen: Image, left: Image): string[] {
  const lost = Array.from(seen).flatMap(([path, bytes]) => {
    const there = left.get(path)
    if (!left.has(path)) return [`${path} is gone`]
    const isSame = bytes === undefined || there === undefined || bytes.equals(there)
    return isSame ? [] : [`${path} has other bytes, ${there.length} instead of ${bytes.length}`]
  })
  const returned = Array.from(left.keys()).filter(path => !seen.has(path)).map(path => `${path} is there again`)
  return [...lost, ...returned].filter(line => !line.startsWith('data/reserve')).slice(0, SHOWN)
}

/** Relative frequency of moments: in the very first start, in a later start with its recovery, and between. */
const SHARES = ['first', 'start', 'start', 'busy', 'busy', 'busy', 'busy'] as const

type Moments = Record<typeof SHARES[number], number[]>

/** The moments at which the power may fail. */
function momentsOf ({ moments, starts, answers }: Recording): Moments {
  const answered = new Set(answers.values())
  const sorted: Moments = { first: [], start: [], busy: [] }
  let isStarting = true
  let latestFile = ''
  for (const [index, { call }] of moments.entries()) {
    if (starts.includes(index)) isStarting = true
    if (answered.has(index)) isStarting = false
    if (makesFile(call)) latestFile = String(call.strings[0])
    // The reserve consists of many empty files.
    if (!answered.has(index) && (!isRelevant(call) || latestFile.includes('/reserve/'))) continue
    sorted[!isStarting ? 'busy' : index < Number(starts[1]) ? 'first' : 'start'].push(index)
  }
  return sorted
}

/**
 * Whether the call makes data durable or changes names. Writes need no moment: a cut during the next sync tears them.
 */
function isRelevant (call: SystemCall): boolean {
  return Number(call.result) >= 0 && (makesFile(call) || !/^(openat|close|p?write(v|64)?)$/.test(call.name))
}

function makesFile ({ name, args, result }: SystemCall): boolean {
  return name === 'openat' && String(args[2]).includes('O_CREAT') && Number(result) >= 0
}
