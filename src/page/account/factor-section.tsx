import type { Passkey, SecondFactor } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { passkeySupport } from '../factors/passkey-support.ts'
import { formatDate } from '../format.ts'
import { Icon } from '../icon.tsx'
import { ProblemText } from '../problem.tsx'
import { call } from '../session.ts'
import { texts } from '../later-texts.ts'
import { OptionalTime } from '../time.tsx'
import { useLoaded } from '../use-loaded.ts'
import { FactorDialog, type FactorStep } from './factor-dialog.tsx'
import { Section, Unloaded } from './section.tsx'

const words = texts.factors

interface FactorSectionProps {
  /** Whether the account may have identities at the provider, which the first factor ends. */
  hasIdentities: boolean
  onChanged: () => Promise<void>
}

/** The second factors of the account. */
export function FactorSection ({ hasIdentities, onChanged }: FactorSectionProps) {
  const { value: factors, error, reload } = useLoaded(() => call(store => store.getSecondFactor()))
  const [step, setStep] = useState<FactorStep>()
  const refresh = () => { void Promise.all([reload(), onChanged()]) }
  return (
    <Section title={words.title} hint={words.sectionHint}>
      {factors === undefined
        ? <Unloaded error={error} reload={reload} />
        : (
          <>
            <TotpPart totp={factors.totp} onStep={setStep} />
            <PasskeyPart passkeys={factors.passkeys} onStep={setStep} />
            {hasAny(factors) && <CodesPart left={factors.recoveryCodesLeft} onStep={setStep} />}
            <ProblemText error={error} />
          </>
        )}
      {step !== undefined && (
        <FactorDialog
          step={step} endsIdentities={hasIdentities && factors !== undefined && !hasAny(factors)} onStep={setStep}
          onChanged={refresh}
        />
      )}
    </Section>
  )
}

function hasAny ({ totp, passkeys }: SecondFactor): boolean {
  return totp !== null || passkeys.length > 0
}

interface PartProps { title: string, hint: string, children: ComponentChildren }

function Part ({ title, hint, children }: PartProps) {
  return (
    <div class='part'>
      <div>
        <h4>{title}</h4>
        <p class='hint'>{hint}</p>
      </div>
      <div class='actions'>{children}</div>
    </div>
  )
}

interface StepProps { onStep: (step: FactorStep) => void }

function TotpPart ({ totp, onStep }: StepProps & { totp: SecondFactor['totp'] }) {
  const start = () => onStep({ kind: 'start totp', isReplacing: totp !== null })
  const remove = () => onStep({ kind: 'remove totp' })
  if (totp === null) {
    return (
      <Part title={words.totp} hint={words.totpHint}>
        <button type='button' onClick={start}>{words.setUpTotp}</button>
      </Part>
    )
  }
  return (
    <Part title={words.totp} hint={words.totpSince(formatDate(totp.createdAt))}>
      <button type='button' onClick={start}>{words.replaceTotp}</button>
      <button type='button' class='danger' aria-label={words.removeTotpLabel} onClick={remove}>
        {words.removeTotp}
      </button>
    </Part>
  )
}

function PasskeyPart ({ passkeys, onStep }: StepProps & { passkeys: Passkey[] }) {
  const { isUsable, reason } = passkeySupport()
  return (
    <>
      <Part title={words.passkeys} hint={reason ?? words.passkeysHint}>
        {isUsable && (
          <button type='button' onClick={() => onStep({ kind: 'add passkey' })}>
            <Icon name='plus' />{words.addPasskey}
          </button>
        )}
      </Part>
      {passkeys.length > 0 && (
        <ul class='rows'>
          {passkeys.map(passkey => (
            <PasskeyRow
              key={passkey.id} passkey={passkey} onRemove={() => onStep({ kind: 'remove passkey', passkey })}
            />
          ))}
        </ul>
      )}
    </>
  )
}

function PasskeyRow ({ passkey, onRemove }: { passkey: Passkey, onRemove: () => void }) {
  const { name, createdAt, lastUsedAt } = passkey
  const { created, used, neverUsed } = texts.account
  return (
    <li>
      <div>
        <p class='name' dir='auto'>{name}</p>
        <p class='hint'>
          <time dateTime={createdAt}>{created(formatDate(createdAt))}</time>
          <OptionalTime time={lastUsedAt} label={used} otherwise={neverUsed} />
        </p>
      </div>
      <button type='button' class='danger' aria-label={words.removePasskeyOf(name)} onClick={onRemove}>
        {words.removePasskey}
      </button>
    </li>
  )
}

function CodesPart ({ left, onStep }: StepProps & { left: number }) {
  return (
    <Part title={words.recoveryCodes} hint={words.codesLeft(left)}>
      <button type='button' onClick={() => onStep({ kind: 'new codes' })}>{words.newCodes}</button>
    </Part>
  )
}
