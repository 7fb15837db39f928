import { useState } from 'preact/hooks'
import { texts } from '../later-texts.ts'
import { useLoaded } from '../use-loaded.ts'
import { DeleteSection } from './delete-section.tsx'
import { EventSection } from './event-section.tsx'
import { FactorSection } from './factor-section.tsx'
import { PasswordSection } from './password-section.tsx'
import { ProfileSection } from './profile-section.tsx'
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
