import { computed, signal } from '@preact/signals'
import type { Found } from '../uploads/found-files.ts'
import { findUpload } from './kept-uploads.ts'
import { discard, sendFile } from './send-file.ts'
import { createSending, type Sending, type SendingState } from './sending.ts'
import { followRefusal, refreshRoom } from './visit.ts'

/** Two use the whole bandwidth, even while one of them waits for a response. More would make each of them slower. */
const MAX_RUNNING = 2

/** All files of this window, in the order in which they were added. */
export const sendings = signal<readonly Sending[]>([])

/** The number of files in each state. */
export const counts = computed(() => {
  const counts: Record<SendingState['kind'], number> = { waiting: 0, running: 0, sent: 0, failed: 0 }
  for (const { state } of sendings.value) counts[state.value.kind]++
  return counts
})

/** Whether folders were among the files that were added last. They can't be sent. */
export const hadFolders = signal(false)

/** The transfers that have not ended. An aborted one ends soon. */
const transfers = new Map<Sending, { aborter: AbortController, ended: Promise<SendingState> }>()

/** Adds files, and sends them. A link takes no folders: the files in them are left out. */
export function addFiles ({ files, emptyFolders, leftOut, unreadable }: Found): void {
  const alone = files.filter(({ path }) => !path.includes('/'))
  hadFolders.value = alone.length < files.length || emptyFolders.length + leftOut.length + unreadable.length > 0
  const busy = new Set(sendings.peek().map(({ id }) => id))
  const added = alone.map(({ file }) => {
    const id = findUpload(file)
    return createSending(file, busy.has(id) ? undefined : id)
  })
  sendings.value = [...sendings.peek(), ...added]
  startNext()
}

export function tryAgain (sending: Sending): void {
  sending.state.value = { kind: 'waiting' }
  startNext()
}

/** Ends the transfer of a file, and takes it off the list. */
export function remove (sending: Sending): void {
  sendings.value = sendings.peek().filter(other => other !== sending)
  const transfer = transfers.get(sending)
  transfer?.aborter.abort()
  const isSent = sending.state.peek().kind === 'sent'
  if (!isSent) void Promise.resolve(transfer?.ended).then(() => discard(sending)).then(refreshRoom)
  startNext()
}

function startNext (): void {
  let free = MAX_RUNNING - counts.peek().running
  for (const sending of sendings.peek()) {
    if (free <= 0) return
    if (sending.state.peek().kind !== 'waiting') continue
    free--
    void run(sending)
  }
}

async function run (sending: Sending): Promise<void> {
  const aborter = new AbortController()
  sending.state.value = { kind: 'running' }
  const ended = stateAfter(sending, aborter.signal)
  transfers.set(sending, { aborter, ended })
  const next = await ended
  transfers.delete(sending)
  if (aborter.signal.aborted) return
  sending.interruption.value = undefined
  sending.state.value = next
  refreshRoom()
  startNext()
}

async function stateAfter (sending: Sending, signal: AbortSignal): Promise<SendingState> {
  try {
    await sendFile(sending, signal)
    return { kind: 'sent' }
  } catch (error) {
    followRefusal(error)
    return { kind: 'failed', error }
  }
}
