import { signal } from '@preact/signals'
import { texts } from '../texts.ts'
import { failureText } from './failure.ts'
import type { Upload } from './upload.ts'

type News = 'added' | 'resumable' | 'stored' | 'conflict' | 'failed' | 'cancelled'

/** Changes within this time are announced together: one announcement for each of many small files would be too many. */
const BATCH_MS = 1000

/** The text for screen readers. */
export const announcement = signal('')

let queued = new Map<News, Upload[]>()

/** Announces a change of uploads. */
export function announce (news: News, uploads: readonly Upload[]): void {
  if (uploads.length === 0) return
  if (queued.size === 0) setTimeout(flush, BATCH_MS)
  const others = queued.get(news) ?? []
  queued.set(news, others)
  for (const upload of uploads) others.push(upload)
}

function flush (): void {
  announcement.value = Array.from(queued, ([news, uploads]) => sentenceOf(news, uploads)).join(' ')
  queued = new Map()
}

function sentenceOf (news: News, uploads: readonly Upload[]): string {
  const [first] = uploads
  if (first === undefined || uploads.length > 1) return texts.uploads.announced[news](uploads.length)
  const name = first.name.peek()
  const state = first.state.peek()
  if (news !== 'failed') return texts.uploads.announced[`${news}One`](name)
  const { title, detail } = failureText(state.kind === 'failed' ? state.error : undefined)
  return texts.uploads.announced.failedOne(name, detail ?? title)
}
