import { Detail } from '../detail.tsx'
import { formatDate, formatNumber, formatSize } from '../format.ts'
import { request } from '../requests.ts'
import { texts } from '../later-texts.ts'
import { useLoaded } from '../use-loaded.ts'
import { Section, Unloaded } from './section.tsx'

const loadAccount = () => request(api => api.GET('/api/account'))

type Account = Awaited<ReturnType<typeof loadAccount>>

/** The username, and how much the account stores. */
export function ProfileSection () {
  const { value: account, error, reload } = useLoaded(loadAccount)
  return (
    <Section title={texts.account.profile}>
      {account === undefined ? <Unloaded error={error} reload={reload} /> : <Profile {...account} />}
    </Section>
  )
}

function Profile ({ username, createdAt, usage }: Account) {
  const words = texts.account
  return (
    <>
      <dl class='details'>
        <Detail label={words.username}><bdi>{username}</bdi></Detail>
        <Detail label={words.since}><time dateTime={createdAt}>{formatDate(createdAt)}</time></Detail>
      </dl>
      <UsageBar usage={usage} />
    </>
  )
}

/** How much the account stores, in words, and of a quota as a bar with three parts. */
function UsageBar ({ usage }: { usage: Account['usage'] }) {
  const { files, folders, bytes, keptBytes, uploadBytes, quotaBytes, quotaFiles } = usage
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
