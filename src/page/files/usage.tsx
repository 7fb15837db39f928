import { signal } from '@preact/signals'
import { formatNumber, formatSize } from '../format.ts'
import { request } from '../requests.ts'
import { texts } from '../texts.ts'
import { throttled } from './throttle.ts'

const loadAccount = () => request(api => api.GET('/api/account'))

type Usage = Awaited<ReturnType<typeof loadAccount>>['usage']

/** How much the account stores; undefined until it is loaded. */
export const usage = signal<Usage | undefined>(undefined)

/** Asks how much the account stores. If this fails, the last values stay: the list shows why nothing can be loaded. */
export const refreshUsage = throttled(() => {
  loadAccount().then(account => { usage.value = account.usage }, () => {})
})

/** How much the account stores, in words, and of a quota as a bar with three parts. */
export function UsageBar () {
  if (usage.value === undefined) return <div class='storage' />
  const { files, folders, bytes, keptBytes, uploadBytes, quotaBytes, quotaFiles } = usage.value
  const whole = Math.max(quotaBytes ?? 0, bytes + keptBytes + uploadBytes, 1)
  const words = texts.files.usage
  const counts = [words.files(formatNumber(files)), ...folders === 0 ? [] : [words.folders(formatNumber(folders))]]
  const parts = [
    { kind: 'stored', bytes, text: [...counts, formatSize(bytes)].join(', ') },
    { kind: 'kept', bytes: keptBytes, text: words.kept(formatSize(keptBytes)) },
    { kind: 'uploading', bytes: uploadBytes, text: words.uploading(formatSize(uploadBytes)) }
  ].filter(part => part.kind === 'stored' || part.bytes > 0)
  const limits = [
    ...quotaBytes === null ? [] : [words.ofBytes(formatSize(quotaBytes))],
    ...quotaFiles === null ? [] : [words.ofFiles(formatNumber(quotaFiles))]
  ]
  return (
    <section class='storage' aria-label={words.label}>
      {quotaBytes !== null && (
        <div class='bar' aria-hidden='true'>
          {parts.map(({ kind, bytes }) => (
            <span key={kind} class={kind} style={{ width: `${bytes / whole * 100}%` }} />
          ))}
        </div>
      )}
      <ul>
        {parts.map(({ kind, text }) => <li key={kind}><span class={`dot ${kind}`} aria-hidden='true' />{text}</li>)}
        {limits.map(text => <li key={text}>{text}</li>)}
      </ul>
    </section>
  )
}
