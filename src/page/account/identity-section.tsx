import type { Password } from 'magicstore'
import { useState } from 'preact/hooks'
import { formatDate, formatTime } from '../format.ts'
import { beginConnection, connectIdentity, removeIdentity, type Identity } from '../identities/identities.ts'
import type { ProviderAnswer } from '../identities/other-window.ts'
import { useProvider } from '../identities/use-provider.ts'
import { Waiting } from '../identities/waiting.tsx'
import { texts } from '../later-texts.ts'
import { notify } from '../notices.tsx'
import { ProblemText } from '../problem.tsx'
import { isProviderHere, providerUrl } from '../settings.ts'
import type { Loaded } from '../use-loaded.ts'
import { PasswordDialog } from './password-dialog.tsx'
import { Section, Unloaded } from './section.tsx'

const words = texts.identities

interface IdentitySectionProps {
  hasPassword: boolean
  identities: Loaded<Identity[]>
  onChanged: () => Promise<void>
}

/** The identities that sign the account in. To change them takes the password. */
export function IdentitySection ({ hasPassword, identities, onChanged }: IdentitySectionProps) {
  const { value, error, reload } = identities
  const [answer, setAnswer] = useState<ProviderAnswer>()
  const [removed, setRemoved] = useState<Identity>()
  const connecting = useProvider(beginConnection, setAnswer)
  async function finish (notice: string): Promise<void> {
    setAnswer(undefined)
    setRemoved(undefined)
    notify({ text: notice })
    await onChanged()
  }
  const connect = async (account: Password) => {
    if (answer !== undefined) await connectIdentity(account, answer)
    void finish(words.connected)
  }
  const remove = async (account: Password) => {
    if (removed !== undefined) await removeIdentity(account, removed.id)
    void finish(words.removed)
  }
  const button = hasPassword && isProviderHere
    ? <button type='button' onClick={() => connecting.run()}>{words.connect}</button>
    : undefined
  return (
    <Section title={words.title} hint={hasPassword ? words.hint : words.hintWithoutPassword} action={button}>
      {!isProviderHere && <p>{words.elsewhere} <a href={providerUrl}>{providerUrl}</a></p>}
      <Waiting isWaiting={connecting.isWaiting} />
      <ProblemText error={connecting.error} />
      {value === undefined
        ? <Unloaded error={error} reload={reload} />
        : <IdentityList identities={value} onRemove={hasPassword ? setRemoved : undefined} />}
      {answer !== undefined && (
        <PasswordDialog
          title={words.connectTitle} label={words.connectLabel} action={connect} onClose={() => setAnswer(undefined)}
        >
          <p>{words.confirmConnection}</p>
        </PasswordDialog>
      )}
      {removed !== undefined && (
        <PasswordDialog
          title={words.removeTitle} label={words.remove} isDangerous action={remove}
          onClose={() => setRemoved(undefined)}
        >
          <p><bdi class='name'>{nameOf(removed)}</bdi></p>
          <p>{words.removeHint}</p>
        </PasswordDialog>
      )}
    </Section>
  )
}

/** As the provider has called it, else the provider. */
function nameOf ({ label, issuer }: Identity): string {
  return label ?? new URL(issuer).host
}

interface IdentityListProps { identities: Identity[], onRemove: ((identity: Identity) => void) | undefined }

function IdentityList ({ identities, onRemove }: IdentityListProps) {
  if (identities.length === 0) return <p class='muted'>{words.none}</p>
  return (
    <ul class='rows'>
      {identities.map(identity => (
        <li key={identity.id}>
          <div>
            <p class='name' dir='auto'>{nameOf(identity)}</p>
            <p class='hint'>
              <span>{new URL(identity.issuer).host}</span>
              <time dateTime={identity.createdAt}>{words.connectedOn(formatDate(identity.createdAt))}</time>
              <time dateTime={identity.lastUsedAt}>{texts.account.used(formatTime(identity.lastUsedAt))}</time>
            </p>
          </div>
          {onRemove !== undefined && (
            <button
              type='button' class='danger' aria-label={words.removeOf(nameOf(identity))}
              onClick={() => onRemove(identity)}
            >
              {words.remove}
            </button>
          )}
        </li>
      ))}
    </ul>
  )
}
