import { signal } from '@preact/signals'
import { bodyOf, type MagicStore } from 'magicstore'
import { formatNumber, formatSize } from '../format.ts'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { throttled } from './throttle.ts'

const loadUsage = (store: MagicStore) => store.api.GET('/api/account').then(answer => bodyOf(answer).usage)

type Usage = Awaited<ReturnType<typeof loadUsage>>

/** How much the account stores; undefined until it is loaded. */
export const usage = signal<Usage | undefined>(undefined)

/** Asks how much the account stores. If this fails, the last values stay: the list shows why nothing can be loaded. */
export const refreshUsage = throttled(() => {
  call(loadUsage).then(value => { usage.value = value }, () => {})
})

/** How much the account stores, in words, and of a quota as a bar with three parts. */
export function UsageBar () {
  if (usage.value === undefined) return <div class='storage' />
  const { files, bytes, keptBytes, uploadBytes, quotaBytes, quotaFiles } = usage.value
  const whole = Math.max(quotaBytes ?? 0, bytes + keptBytes + uploadBytes, 1)
  const parts = [
    { kind: 'stored', bytes, text: texts.files.usage.stored(formatNumber(files), files, formatSize(bytes)) },
    { kind: 'kept', bytes: keptBytes, text: texts.files.usage.kept(formatSize(keptBytes)) },
    { kind: 'uploading', bytes: uploadBytes, text: texts.files.usage.uploading(formatSize(uploadBytes)) }
  ].filter(part => part.kind === 'stored' || part.bytes > 0)
  const limits = [
    ...quotaBytes === null ? [] : [texts.files.usage.ofBytes(formatSize(quotaBytes))],
    ...quotaFiles === null ? [] : [texts.files.usage.ofFiles(formatNumber(quotaFiles))]
  ]
  return (
    <section class='storage' aria-label={texts.files.usage.label}>
      {quotaBytes !== null && (
        <div class='bar' aria-hidden='true'>
          {parts.map(({ kind, bytes }) => <span key={kind} class={kind} style={{ width: `${bytes / whole * 100}%` }} />)}
        </div>
      )}
      <ul>
        {parts.map(({ kind, text }) => <li key={kind}><span class={`dot ${kind}`} aria-hidden='true' />{text}</li>)}
        {limits.map(text => <li key={text}>{text}</li>)}
      </ul>
    </section>
  )
}
