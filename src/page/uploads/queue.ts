import { filesChanged } from '../files/changes.ts'
import { throttled } from '../files/throttle.ts'
import { session } from '../session-state.ts'
import { announce } from './announcements.ts'
import { keyOf, nextName, type NamedFile } from './names.ts'
import { FileUnreadable } from './obstacles.ts'
import { discard, forgetUpload, startAgain, stateAfter } from './outcome.ts'
import { Slots } from './slots.ts'
import { createMatcher, dropUnfinished, returnUnfinished } from './unfinished.ts'
import { createUpload, type Upload, type UploadState } from './upload.ts'
import {
  isBehind, isIn, isResumable, isStopped, namesBegun, remove, setState, setUploads, uploads
} from './upload-list.ts'

export type Decision = 'replace' | 'keep' | 'skip'

/** The transfers that have not ended, by upload. An aborted transfer does not end at once. */
const transfers = new Map<Upload, { aborter: AbortController, ended: Promise<void> }>()

/** The uploads that the user has ended, as far as they still run. */
const cancelled = new WeakSet<Upload>()

/** The user's decision for all names that are taken. It holds until all uploads have ended. */
let decisionForAll: Decision | undefined

/** Adds files under their names, which are paths. A file that matches a stopped or unfinished upload continues it. */
export function addFiles (files: readonly NamedFile[]): void {
  const match = createMatcher()
  const stopped = new Map(uploads.peek().filter(isStopped).map(upload => [keyOf(upload.chosenName), upload]))
  const added = files.flatMap(named => {
    const upload = stopped.get(keyOf(named.name))
    if (upload === undefined || !acceptsFile(upload, named.file)) return [createMatched(named, match)]
    setState(upload, { kind: 'waiting' })
    return []
  })
  setUploads([...uploads.peek(), ...added])
  announce('added', added)
  announce('resumable', added.filter(({ state }) => state.peek().kind === 'resumable'))
  startNext()
}

/** A stopped upload accepts the same file again, and any file if the browser can no longer read the old one. */
function acceptsFile (upload: Upload, file: File): boolean {
  const isSame = upload.file.size === file.size && upload.file.lastModified === file.lastModified
  const state = upload.state.peek()
  const isGone = state.kind === 'failed' && state.error instanceof FileUnreadable
  if (isGone && !isSame) startAgain(upload)
  if (isGone || isSame) upload.file = file
  return isGone || isSame
}

function createMatched (file: NamedFile, match: ReturnType<typeof createMatcher>): Upload {
  const upload = createUpload(file)
  const found = match(file)
  if (found === undefined) return upload
  dropUnfinished(found.upload.id)
  if (found.isCertain) upload.id = found.upload.id
  else setState(upload, { kind: 'resumable', unfinished: found.upload })
  upload.sentBytes.value = found.upload.offset
  return upload
}

/** Continues the unfinished upload, or uploads the file from its beginning, which ends the unfinished upload. */
export function answerResume (upload: Upload, answer: 'continue' | 'startAgain'): void {
  const state = upload.state.peek()
  if (state.kind !== 'resumable') return
  const { id } = state.unfinished
  if (answer === 'continue') upload.id = id
  else forgetUpload(upload, id)
  resume(upload)
}

/** Stops sending. The bytes that are stored stay. */
export function pause (upload: Upload): void {
  setState(upload, { kind: 'paused' })
  transfers.get(upload)?.aborter.abort()
}

/** Continues after a pause, a failure or an answer. */
export function resume (upload: Upload): void {
  setState(upload, { kind: 'waiting' })
  startNext()
}

/** Ends an upload for good. */
export function cancel (upload: Upload): void {
  const state = upload.state.peek()
  cancelled.add(upload)
  announce('cancelled', [upload])
  remove(upload)
  transfers.get(upload)?.aborter.abort()
  if (state.kind === 'resumable') returnUnfinished(state.unfinished)
  discard(upload)
  startNext()
}

/** Follows the user's decision for a name that is taken, or for all such names. */
export function answerTaken (upload: Upload, decision: Decision, { isForAll }: { isForAll: boolean }): void {
  if (isForAll) decisionForAll = decision
  const all = isForAll ? uploads.peek().filter(isIn('conflict')) : [upload]
  decide(all, decision)
  startNext()
}

/** Tries again under another name. */
export function renameUpload (upload: Upload, name: string): void {
  upload.name.value = name
  resume(upload)
}

export function pauseAll (): void {
  uploads.peek().filter(({ state }) => ['waiting', 'running'].includes(state.peek().kind)).forEach(pause)
}

/** Continues all uploads that are paused, and those that failed for a reason that may be over. */
export function resumeAll (): void {
  uploads.peek().filter(isResumable).forEach(upload => setState(upload, { kind: 'waiting' }))
  startNext()
}

/** Starts waiting uploads, as many as may run. Without a session it does nothing: call it again after the sign-in. */
export function startNext (): void {
  if (session.peek().kind !== 'open') return
  const all = uploads.peek()
  const running = all.filter(isIn('running'))
  const slots = new Slots(running)
  const busyNames = namesBegun(all)
  let isIdle = running.length === 0
  for (const upload of all) {
    if (slots.isFull) return
    if (upload.state.peek().kind !== 'waiting' || isBehind(upload, busyNames) || !slots.take(upload)) continue
    busyNames.add(keyOf(upload.name.peek()))
    isIdle = false
    void run(upload)
  }
  if (isIdle && !all.some(isIn('conflict'))) decisionForAll = undefined
}

async function run (upload: Upload): Promise<void> {
  const running: UploadState = { kind: 'running' }
  setState(upload, running)
  const before = transfers.get(upload)?.ended
  const aborter = new AbortController()
  const send = async () => {
    await before
    const next = await stateAfter(upload, aborter)
    // The upload may have been paused or cancelled meanwhile.
    if (upload.state.peek() === running && !cancelled.has(upload)) finish(upload, next)
  }
  const ended = send()
  transfers.set(upload, { aborter, ended })
  await ended
  if (transfers.get(upload)?.aborter === aborter) transfers.delete(upload)
  startNext()
}

/** Throttled, because each change loads the list again. */
const announceChange = throttled(filesChanged)

function finish (upload: Upload, next: UploadState): void {
  setState(upload, next)
  if (next.kind === 'stored') announceChange()
  // After a decision to replace, the content has changed meanwhile: the user is asked again.
  const isDecided = next.kind === 'conflict' && upload.replacedTag === undefined
  if (isDecided && decisionForAll !== undefined) return decide([upload], decisionForAll)
  if (next.kind === 'stored' || next.kind === 'conflict' || next.kind === 'failed') announce(next.kind, [upload])
}

function decide (asking: readonly Upload[], decision: Decision): void {
  if (decision === 'skip') return remove(...asking)
  for (const upload of asking) {
    const state = upload.state.peek()
    if (state.kind !== 'conflict') continue
    // Replaces only the content that the question describes: if the content changes meanwhile, the page asks again.
    if (decision === 'replace') upload.replacedTag = `"${state.current.sha256}"`
    else upload.name.value = nextName(upload.name.peek())
    upload.keepsBoth = decision === 'keep'
    setState(upload, { kind: 'waiting' })
  }
}
