import { useComputed, type Signal } from '@preact/signals'
import { formatDuration, formatSize } from '../format.ts'
import type { SpeedMeter } from './speed.ts'

/** A file that is being sent. */
interface Transfer {
  readonly file: File
  readonly sentBytes: Signal<number>
  readonly speed: SpeedMeter
  readonly interruption: Signal<unknown>
}

/** What has been sent of a file, as a bar. */
export function ProgressBar ({ label, transfer: { file, sentBytes } }: { label: string, transfer: Transfer }) {
  const share = useComputed(() => file.size === 0 ? 0 : Math.floor(100 * sentBytes.value / file.size))
  return <progress aria-label={label} max={100} value={share.value} />
}

interface ProgressTextProps {
  transfer: Transfer
  words: {
    readonly running: (done: string, all: string) => string
    readonly speed: (speed: string) => string
    readonly timeLeft: (time: string) => string
    readonly finishing: string
    readonly interrupted: (why: string) => string
  }
  /** Says in words why the transfer was interrupted. */
  explain: (error: unknown) => string
}

/** What has been sent of a file, how fast, and the time that is left. */
export function ProgressText ({ transfer, words, explain }: ProgressTextProps) {
  const { file, sentBytes, speed, interruption } = transfer
  const bytesPerSecond = speed.bytesPerSecond.value
  const rest = file.size - sentBytes.value
  if (interruption.value !== undefined) {
    return <p class='interrupted'>{words.interrupted(explain(interruption.value))}</p>
  }
  if (rest === 0) return <p class='muted'>{words.finishing}</p>
  const parts = [words.running(formatSize(sentBytes.value), formatSize(file.size))]
  if (bytesPerSecond !== undefined && bytesPerSecond > 0) {
    parts.push(words.speed(formatSize(bytesPerSecond)), words.timeLeft(formatDuration(rest / bytesPerSecond)))
  }
  return <p class='muted'>{parts.join(' · ')}</p>
}
