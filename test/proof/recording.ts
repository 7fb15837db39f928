import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { sizes } from '../kit/sizes.ts'
import { createDisk, type Disk, type Image } from './disk.ts'
import type { NameOrder } from './folders.ts'
import { differences, observe, pastOf } from './observation.ts'
import { createUser, useServer, type User } from './user.ts'
import { startProcess } from './server-process.ts'
import { readMoments, straceArguments, type Moment, type SystemCall } from './system-calls.ts'

const USERS = 8

/** Number of operations in one process, and the signal that stops it; SIGKILL interrupts operations. */
interface Run { readonly operationCount: number, readonly signal: 'SIGKILL' | 'SIGTERM' }

/** The processes that serve the data folder, one after the other. */
const RUNS: Run[] = [
  { operationCount: sizes.recordedOperations, signal: 'SIGKILL' },
  { operationCount: sizes.recordedOperations / 2, signal: 'SIGKILL' },
  { operationCount: sizes.recordedOperations / 2, signal: 'SIGTERM' },
  { operationCount: sizes.recordedOperations / 4, signal: 'SIGKILL' }
]

/** Maximum number of calls, in progress at a kill, whose completion must be determined. */
const MAX_UNCERTAIN = 6

/** What a busy server wrote to its disk, and what it acknowledged to its clients. */
export interface Recording {
  /** The parent of the data folder. */
  readonly root: string
  readonly moments: readonly Moment[]
  /** Index of the moment at which each process began. */
  readonly starts: readonly number[]
  /** Index of the moment at which each response was sent, by request id. */
  readonly answers: ReadonlyMap<string, number>
  readonly users: readonly User[]
}

/** What the processes did, without what it meant to their clients. */
type Traced = Pick<Recording, 'root' | 'moments' | 'starts'>

/** Records a server from its very first start, with several clients, kills and restarts. */
export async function record (folder: string): Promise<Recording> {
  const root = join(folder, 'recorded')
  await mkdir(root)
  const users = Array.from({ length: USERS }, (_, id) => createUser(id))
  const moments: Moment[] = []
  const starts: number[] = []
  for (const [index, run] of RUNS.entries()) {
    const trace = join(folder, `calls-${index}`)
    await runServer({ root, trace, users }, run)
    starts.push(moments.length)
    moments.push(...await readMoments(createInterface(createReadStream(trace))))
    moments.push(...completedCalls({ root, moments, starts }, await readImage(root)))
    await rm(trace)
  }
  await rm(root, { recursive: true })
  return { root, moments, starts, answers: answersIn(moments), users }
}

async function runServer (
  { root, trace, users }: { root: string, trace: string, users: User[] }, run: Run
): Promise<void> {
  const { url, child, ended } = await startProcess(join(root, 'data'), ['strace', ...straceArguments(trace)])
  // strace ignores signals itself while its program runs.
  const pid = Number(await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'))
  try {
    await Promise.all(users.filter(({ steps }) => steps.length > 0).map(user => resume(user, url)))
    let left = run.operationCount
    const working = users.map(user => useServer(user, url, () => left-- <= 0))
    if (run.signal === 'SIGTERM') await Promise.all(working)
    else await Promise.race(working)
    process.kill(pid, run.signal)
    await Promise.all([ended, ...working])
  } finally {
    if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGKILL')
  }
}

/** What a client observes after a restart must remain true, as if it had been acknowledged. */
async function resume (user: User, url: string): Promise<void> {
  const { possible } = pastOf(user, () => true)
  const { state, requestId } = await observe(url, user)
  const lost = differences(state, possible)
  if (lost.length > 0) throw new Error(`a kill without a power cut lost something: ${lost.join('; ')}`)
  user.steps.push({ what: 'look after a restart', after: state, between: [], requestId })
}

/** A disk after all calls of a recording up to a moment. */
export function diskAt ({ root, moments, starts }: Traced, moment: number, order: NameOrder): Disk {
  const disk = createDisk(root, order)
  for (let index = 0; index <= moment && index < moments.length; index++) {
    if (starts.includes(index)) disk.closeAll()
    disk.observe(moments[index] as Moment)
  }
  return disk
}

/**
 * The ends of calls that completed although their process was killed in them, so strace did not report them. With these
 * the model of the disk equals the real one. @throws if it can't.
 */
function completedCalls (recording: Traced, real: Image): Moment[] {
  const { moments, starts } = recording
  const begun = moments.slice(starts.at(-1)).filter(({ isEnd }) => !isEnd).map(({ call }) => call)
  const uncertain = begun.filter(({ name, result }) => result === undefined && !/sync$|close/.test(name))
  const choices = Array.from({ length: 2 ** Math.min(uncertain.length, MAX_UNCERTAIN) }, (_, choice) =>
    uncertain.filter((_call, index) => (choice >> index) % 2 === 1))
  // A kill in a write leaves its first part at times: Linux looks for one after each page.
  for (const isPossible of [isReal, isRealIfCut]) {
    for (const done of choices) {
      const ends = done.map(call => ({ call, isEnd: true }))
      for (const call of done) call.result = resultOf(call)
      if (isPossible({ ...recording, moments: [...moments, ...ends] }, real, done)) return ends
      for (const call of done) call.result = undefined
    }
  }
  throw new Error(`the model of the disk is wrong: ${differenceOf(diskAt(recording, Infinity, 'folder').asSeen(), real)}`)
}

/** The model of the disk; undefined if a call fails in it: that can't be one that completed. */
function modelOf (recording: Traced): Image | undefined {
  try {
    return diskAt(recording, Infinity, 'folder').asSeen()
  } catch {
    return undefined
  }
}

/** Whether the model of the disk is the real one. */
function isReal (recording: Traced, real: Image): boolean {
  const model = modelOf(recording)
  return model !== undefined && differenceOf(model, real) === undefined
}

/** Whether it is if one of the writes was cut, whose result is set then. */
function isRealIfCut (recording: Traced, real: Image, done: SystemCall[]): boolean {
  const model = modelOf(recording)
  const path = model && differenceOf(model, real)
  if (path === undefined) return false
  return done.filter(({ name }) => name.includes('write')).some(call => {
    call.result = writtenOf(call, model?.get(path), real.get(path))
    if (isReal(recording, real)) return true
    call.result = resultOf(call)
    return false
  })
}

/** How many bytes of a write are in the real file, if it is that of the call. */
function writtenOf (call: SystemCall, model?: Buffer, real?: Buffer): number {
  const bytes = Buffer.concat(call.strings)
  const start = call.name === 'pwrite64' ? Number(call.args[3]) : Number(model?.length) - bytes.length
  const end = bytes.findIndex((byte, index) => byte !== real?.[start + index])
  return end === -1 ? bytes.length : end
}

function resultOf ({ name, strings }: SystemCall): number {
  return name.includes('write') ? strings.reduce((sum, { length }) => sum + length, 0) : 0
}

/**
 * The first path at which two disks differ. SQLite writes its shared memory without system calls, and recreates it when
 * it starts.
 */
function differenceOf (model: Image, real: Image): string | undefined {
  const bytesOf = (image: Image, path: string) => image.get(path) ?? Buffer.alloc(0)
  const isOnBoth = (path: string) => model.has(path) && real.has(path)
  const isSame = (path: string) => isOnBoth(path) && (path.endsWith('-shm') || bytesOf(model, path).equals(bytesOf(real, path)))
  return [...model.keys(), ...real.keys()].find(path => !isSame(path))
}

async function readImage (root: string): Promise<Image> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return new Map(await Promise.all(entries.map(async (entry): Promise<[string, Buffer | undefined]> => {
    const path = join(entry.parentPath, entry.name)
    return [path.slice(root.length + 1), entry.isFile() ? await readFile(path) : undefined]
  })))
}

/** Writes an image to the real disk. */
export async function writeImage (image: Image, folder: string): Promise<void> {
  await mkdir(folder)
  for (const [path, bytes] of image) {
    if (bytes === undefined) await mkdir(join(folder, path), { mode: 0o700 })
    else await writeFile(join(folder, path), bytes, { mode: 0o600 })
  }
}

function answersIn (moments: readonly Moment[]): Map<string, number> {
  const answers = new Map<string, number>()
  for (const [index, { call, isEnd }] of moments.entries()) {
    // The client may read it as soon as the write begins.
    if (isEnd || !/^writev?$/.test(call.name) || !call.strings[0]?.subarray(0, 5).equals(Buffer.from('HTTP/'))) continue
    const id = /\r\nx-request-id: (\S+)/i.exec(call.strings[0].toString('latin1'))?.[1]
    if (id !== undefined) answers.set(id, index)
  }
  return answers
}
