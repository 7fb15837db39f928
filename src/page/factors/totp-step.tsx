import type { Password, TotpSecret } from 'magicstore'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { fieldsOf } from '../fields.tsx'
import { QrCode } from '../qr-code.tsx'
import { SecretField } from '../secret-field.tsx'
import { session, sessionIdOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { CodeField } from './code-dialog.tsx'
import { withProof } from './proof.ts'

const words = texts.factors

/** Asks the server for a secret. @throws what `withProof` throws. */
export function startTotp (account: Password): Promise<TotpSecret> {
  return withProof(account, store => store.setUpTotp(), words.codeOfOldApp)
}

interface TotpStepProps {
  account: Password
  totp: TotpSecret
  /** Gets the recovery codes, if it was the first factor. */
  onDone: (recoveryCodes: string[] | null) => void
}

/** Shows the secret for an authenticator app, and turns on one-time codes with the first code of the app. */
export function TotpStep ({ account, totp: { secret, uri }, onDone }: TotpStepProps) {
  const form = useRef<HTMLFormElement>(null)
  const { run, isRunning, error } = useAction(async (code: string) => {
    const sessionId = sessionIdOf(session.peek())
    onDone(await withProof(account, store => store.confirmTotp(code, { sessionId }), words.nextCodeOfOldApp))
  })
  // A layout effect, so that it resets nothing that the user types next.
  useLayoutEffect(() => {
    if (error === undefined) return
    form.current?.reset()
    form.current?.querySelector('input')?.focus()
  }, [error])
  const submit = (event: SubmitEvent) => { void run(String(fieldsOf(event).get('code')).replace(/\s/g, '')) }
  return (
    <>
      <p>{words.scan}</p>
      <QrCode text={uri} label={words.qrCode} />
      <SecretField label={words.key} secret={secret} />
      <p><a href={uri}>{words.openApp}</a></p>
      <form ref={form} onSubmit={submit}>
        <CodeField kind='totp' error={error} />
        <button class='primary' aria-disabled={isRunning}>{words.turnOn}</button>
      </form>
    </>
  )
}
