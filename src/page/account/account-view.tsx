import { useState } from 'preact/hooks'
import { Detail } from '../detail.tsx'
import { formatDate, formatNumber, formatSize } from '../format.ts'
import { request } from '../requests.ts'
import { texts } from '../later-texts.ts'
import { useLoaded } from '../use-loaded.ts'
import { DeleteSection } from './delete-section.tsx'
import { EventSection } from './event-section.tsx'
import { FactorSection } from './factor-section.tsx'
import { PasswordSection } from './password-section.tsx'
import { Section, Unloaded } from './section.tsx'
import { SessionSection } from './session-section.tsx'
import { TokenSection } from './token-section.tsx'
import { loadTokens } from './tokens.ts'

/** The account: password, second factor, tokens, sessions, events, deletion. */
export function AccountView () {
  const { value: tokens, error, reload } = useLoaded(loadTokens)
  const [changes, setChanges] = useState(0)
  async function refresh (): Promise<void> {
    setChanges(changes + 1)
    await reload()
  }
  const lists = { error, reload: refresh }
  return (
    <div class='account'>
      <h2>{texts.views.account}</h2>
      <ProfileSection />
      <PasswordSection reload={refresh} />
      <FactorSection onChanged={refresh} />
      <TokenSection tokens={tokens?.filter(({ kind }) => kind === 'personal')} {...lists} />
      <SessionSection tokens={tokens?.filter(({ kind }) => kind === 'session')} {...lists} />
      <EventSection key={changes} />
      <DeleteSection />
    </div>
  )
}

const loadAccount = () => request(api => api.GET('/api/account'))

type Account = Awaited<ReturnType<typeof loadAccount>>

/** The username, and how much the account stores. */
function ProfileSection () {
  const { value: account, error, reload } = useLoaded(loadAccount)
  return (
    <Section title={texts.account.profile}>
      {account === undefined ? <Unloaded error={error} reload={reload} /> : <Profile {...account} />}
    </Section>
  )
}

function Profile ({ username, createdAt, usage }: Account) {
  const { files, folders, bytes, keptBytes, uploadBytes, quotaFiles, quotaBytes } = usage
  const usedBytes = bytes + keptBytes + uploadBytes
  const words = texts.account
  return (
    <dl class='details'>
      <Detail label={words.username}><bdi>{username}</bdi></Detail>
      <Detail label={words.since}><time dateTime={createdAt}>{formatDate(createdAt)}</time></Detail>
      <Detail label={words.files}>
        {words.of(formatNumber(files + folders), quotaFiles === null ? undefined : formatNumber(quotaFiles))}
      </Detail>
      <Detail label={words.storage}>
        {words.of(formatSize(usedBytes), quotaBytes === null ? undefined : formatSize(quotaBytes))}
      </Detail>
      <Detail label={words.kept}>{formatSize(keptBytes)}</Detail>
      <Detail label={words.uploading}>{formatSize(uploadBytes)}</Detail>
    </dl>
  )
}
