import { Detail } from '../detail.tsx'
import { formatDate, formatSize } from '../format.ts'
import { request } from '../requests.ts'
import { texts } from '../later-texts.ts'
import { Section, Unloaded } from './section.tsx'

export const loadAccount = () => request(api => api.GET('/api/account'))

type OwnAccount = Awaited<ReturnType<typeof loadAccount>>

interface ProfileSectionProps {
  /** Undefined until it is loaded. */
  account: OwnAccount | undefined
  error: unknown
  reload: () => Promise<void>
}

/** The username, and how much the account stores. */
export function ProfileSection ({ account, error, reload }: ProfileSectionProps) {
  return (
    <Section title={texts.account.profile}>
      {account === undefined ? <Unloaded error={error} reload={reload} /> : <Profile {...account} />}
    </Section>
  )
}

function Profile ({ username, createdAt, usage }: OwnAccount) {
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
function UsageBar ({ usage }: { usage: OwnAccount['usage'] }) {
  const { files, folders, bytes, keptBytes, uploadBytes, quotaBytes, quotaFiles } = usage
  const whole = Math.max(quotaBytes ?? 0, bytes + keptBytes + uploadBytes, 1)
  const words = texts.account.storage
  const { usage: counted } = texts.files
  const counts = [counted.files(files), ...folders === 0 ? [] : [counted.folders(folders)]]
  const parts = [
    { kind: 'stored', bytes, text: [...counts, formatSize(bytes)].join(', ') },
    { kind: 'kept', bytes: keptBytes, text: words.kept(formatSize(keptBytes)) },
    { kind: 'uploading', bytes: uploadBytes, text: words.uploading(formatSize(uploadBytes)) }
  ].filter(part => part.kind === 'stored' || part.bytes > 0)
  const limits = [
    ...quotaBytes === null ? [] : [words.ofBytes(formatSize(quotaBytes))],
    ...quotaFiles === null ? [] : [words.ofFiles(quotaFiles)]
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
