import { useState } from 'preact/hooks'
import { loadIdentities } from '../identities/identities.ts'
import { texts } from '../later-texts.ts'
import { providerName } from '../settings.ts'
import { useLoaded } from '../use-loaded.ts'
import { DeleteSection } from './delete-section.tsx'
import { DevicesSection } from './devices-section.tsx'
import { EventSection } from './event-section.tsx'
import { FactorSection } from './factor-section.tsx'
import { IdentitySection } from './identity-section.tsx'
import { PasswordSection } from './password-section.tsx'
import { LanguageSection } from './language-section.tsx'
import { loadAccount, ProfileSection } from './profile-section.tsx'
import { SessionSection } from './session-section.tsx'
import { TokenSection } from './token-section.tsx'
import { loadTokens } from './tokens.ts'

/** The account: password, second factor, identities, other devices, tokens, sessions, events, deletion. */
export function AccountView () {
  const account = useLoaded(loadAccount)
  const { value: tokens, error, reload } = useLoaded(loadTokens)
  const identities = useLoaded(async () => providerName === '' ? [] : loadIdentities())
  const [changes, setChanges] = useState(0)
  async function refresh (): Promise<void> {
    setChanges(changes + 1)
    await Promise.all([reload(), identities.reload()])
  }
  // Where there is a provider, nothing asks for a password until it is known whether there is one.
  const hasPassword = account.value?.hasPassword ?? (providerName === '' ? true : undefined)
  const lists = { error, reload: refresh }
  return (
    <div class='account'>
      <h2>{texts.views.account}</h2>
      <ProfileSection account={account.value} error={account.error} reload={account.reload} />
      <LanguageSection />
      {hasPassword === true && <PasswordSection reload={refresh} />}
      {hasPassword === true && (
        <FactorSection hasIdentities={providerName !== '' && identities.value?.length !== 0} onChanged={refresh} />
      )}
      {providerName !== '' && hasPassword !== undefined && (
        <IdentitySection hasPassword={hasPassword} identities={identities} onChanged={refresh} />
      )}
      <DevicesSection hasPassword={hasPassword} onConnected={refresh} />
      {hasPassword !== undefined && (
        <TokenSection
          hasPassword={hasPassword} tokens={tokens?.filter(({ kind }) => kind === 'personal')} {...lists}
        />
      )}
      <SessionSection tokens={tokens?.filter(({ kind }) => kind === 'session')} {...lists} />
      <EventSection key={changes} hasPassword={hasPassword !== false} />
      {hasPassword !== undefined && <DeleteSection hasPassword={hasPassword} />}
    </div>
  )
}
