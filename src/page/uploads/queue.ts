import { batch } from '@preact/signals'
import { filesChanged } from '../files/changes.ts'
import { session } from '../session-state.ts'
import { announce } from './announcements.ts'
import { keyOf, nextName, type NamedFile } from './names.ts'
import { discard, forgetUpload, startAgain, stateAfter } from './outcome.ts'
import { FileUnreadable } from './transfer.ts'
import { createMatcher, dropUnfinished, returnUnfinished } from './unfinished.ts'
import { createUpload, type Upload, type UploadState } from './upload.ts'
import { begunNames, counts, isBehind, isResumable, isStopped, remove, uploads } from './upload-list.ts'

/** Two use the whole bandwidth, even while one of them waits for a response. More would make each of them slower. */
const MAX_RUNNING = 2

export type Decision = 'replace' | 'keep' | 'skip'

/** The transfers that have not ended, by upload. An aborted transfer does not end at once. */
const transfers = new Map<Upload, { aborter: AbortController, ended: Promise<void> }>()

/** The user's decision for all names that are conflict. It holds until all uploads have ended. */
let decisionForAll: Decision | undefined

/** Adds files under their names, which are paths. A file that matches a stopped or unfinished upload continues it. */
export function addFiles (files: readonly NamedFile[]): void {
  const match = createMatcher()
  const stopped = new Map(uploads.peek().filter(isStopped).map(upload => [keyOf(upload.chosenName), upload]))
  const added = files.flatMap(named => {
    const upload = stopped.get(keyOf(named.name))
    if (upload === undefined || !acceptsFile(upload, named.file)) return [createMatched(named, match)]
    upload.state.value = { kind: 'waiting' }
    return []
  })
  uploads.value = [...uploads.peek(), ...added]
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
  else upload.state.value = { kind: 'resumable', unfinished: found.upload }
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
  upload.state.value = { kind: 'paused' }
  transfers.get(upload)?.aborter.abort()
}

/** Continues after a pause, a failure or an answer. */
export function resume (upload: Upload): void {
  upload.state.value = { kind: 'waiting' }
  startNext()
}

/** Ends an upload for good. */
export function cancel (upload: Upload): void {
  const state = upload.state.peek()
  remove(upload)
  transfers.get(upload)?.aborter.abort()
  if (state.kind === 'resumable') returnUnfinished(state.unfinished)
  discard(upload)
  startNext()
}

/** Follows the user's decision for a name that is taken, or for all such names. */
export function answerTaken (upload: Upload, decision: Decision, { isForAll }: { isForAll: boolean }): void {
  if (isForAll) decisionForAll = decision
  const all = isForAll ? uploads.peek().filter(({ state }) => state.peek().kind === 'conflict') : [upload]
  batch(() => all.forEach(each => decide(each, decision)))
  startNext()
}

/** Tries again under another name. */
export function renameUpload (upload: Upload, name: string): void {
  upload.name.value = name
  resume(upload)
}

export function pauseAll (): void {
  batch(() => {
    for (const upload of uploads.peek()) {
      if (['waiting', 'running'].includes(upload.state.peek().kind)) pause(upload)
    }
  })
}

/** Continues all uploads that are paused, and those that failed for a reason that may be over. */
export function resumeAll (): void {
  batch(() => uploads.peek().filter(isResumable).forEach(({ state }) => { state.value = { kind: 'waiting' } }))
  startNext()
}

/** Starts waiting uploads, as many as may run. Without a session it does nothing: call it again after the sign-in. */
export function startNext (): void {
  if (session.peek().kind !== 'open') return
  const busyNames = new Set(begunNames.peek())
  let free = MAX_RUNNING - uploads.peek().filter(({ state }) => state.peek().kind === 'running').length
  for (const upload of uploads.peek()) {
    if (free <= 0) return
    if (upload.state.peek().kind !== 'waiting' || isBehind(upload, busyNames)) continue
    busyNames.add(keyOf(upload.name.peek()))
    free--
    void run(upload)
  }
  if (free === MAX_RUNNING && counts.peek().conflict === 0) decisionForAll = undefined
}

async function run (upload: Upload): Promise<void> {
  const running: UploadState = { kind: 'running' }
  upload.state.value = running
  const before = transfers.get(upload)?.ended
  const aborter = new AbortController()
  const send = async () => {
    await before
    const next = await stateAfter(upload, aborter)
    // The upload may have been paused or cancelled meanwhile.
    if (upload.state.peek() === running) finish(upload, next)
  }
  const ended = send()
  transfers.set(upload, { aborter, ended })
  await ended
  if (transfers.get(upload)?.aborter === aborter) transfers.delete(upload)
  startNext()
}

function finish (upload: Upload, next: UploadState): void {
  upload.state.value = next
  if (next.kind === 'stored') filesChanged()
  if (next.kind === 'conflict' && decisionForAll !== undefined && upload.replacedTag === undefined) return decide(upload, decisionForAll)
  if (next.kind === 'stored' || next.kind === 'conflict' || next.kind === 'failed') announce(next.kind, [upload])
}

function decide (upload: Upload, decision: Decision): void {
  const state = upload.state.peek()
  if (state.kind !== 'conflict') return
  if (decision === 'skip') return remove(upload)
  // Replaces only the content that the question describes: if the content changes meanwhile, the page asks again.
  if (decision === 'replace') upload.replacedTag = `"${state.current.sha256}"`
  else upload.name.value = nextName(upload.name.peek())
  upload.keepsBoth = decision === 'keep'
  upload.state.value = { kind: 'waiting' }
}
