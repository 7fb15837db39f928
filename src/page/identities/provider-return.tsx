import type { Password } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { codeOf, PageError } from '../errors.ts'
import { fieldsOf } from '../fields.tsx'
import { folder } from '../folder.ts'
import { texts } from '../later-texts.ts'
import { notify } from '../notices.tsx'
import { ProblemText } from '../problem.tsx'
import { signIn } from '../session.ts'
import { session, usernameOf } from '../session-state.ts'
import { providerName } from '../settings.ts'
import { CredentialForm, refusedField, SignInPage, UsernameField } from '../sign-in.tsx'
import { useAction } from '../use-action.ts'
import { goToProvider, stateOf, takeFlow } from './flows.ts'
import {
  beginConnection, connectIdentity, registerIdentity, signInWithIdentity, type UnknownIdentity
} from './identities.ts'
import { offerAnswer } from './other-window.ts'
import { providerAnswer } from './provider-answer.ts'
import { useProvider } from './use-provider.ts'
import { Waiting } from './waiting.tsx'

const words = texts.identities

/** How long other windows have to say that they have begun. */
const ANSWER_MILLISECONDS = 2000

type Step =
  | { readonly kind: 'waiting' | 'taken' | 'not begun' }
  | { readonly kind: 'refused', readonly error: unknown }
  | { readonly kind: 'new', readonly identity: UnknownIdentity }
  /** `error`: why there is no way to register. */
  | { readonly kind: 'existing', readonly error?: unknown }
  | { readonly kind: 'connect', readonly account: Password }

/** The page after the provider has sent the browser back. */
export function ProviderReturn ({ response }: { response: string }) {
  // A session that is still being looked for would replace the one that begins here.
  if (session.value.kind === 'loading') return <SignInPage><p class='muted'>{texts.loading}</p></SignInPage>
  return <SignInPage><Steps response={response} /></SignInPage>
}

function Steps ({ response }: { response: string }) {
  const [step, setStep] = useState<Step>({ kind: 'waiting' })
  useEffect(() => {
    const ended = new AbortController()
    void send(response, setStep, ended.signal)
    return () => ended.abort()
  }, [])
  switch (step.kind) {
    case 'waiting': return <p class='muted' role='status'>{texts.loading}</p>
    case 'taken': return <Ending title={words.takenTitle}><p role='status'>{words.taken}</p></Ending>
    case 'not begun':
      return (
        <Ending title={words.notBegunTitle}>
          <div class='problem' role='alert'><p>{words.notBegun}</p></div>
          <Again />
        </Ending>
      )
    case 'refused': return <Ending title={words.refusedTitle}><ProblemText error={step.error} /><Again /></Ending>
    case 'new': return <NewAccount identity={step.identity} onExisting={() => setStep({ kind: 'existing' })} />
    case 'existing':
      return <ExistingAccount error={step.error} onEntered={account => setStep({ kind: 'connect', account })} />
    case 'connect': return <Connection account={step.account} />
  }
}

async function send (response: string, onStep: (step: Step) => void, signal: AbortSignal): Promise<void> {
  const flow = await takeFlow(stateOf(response))
  if (flow === undefined) return offer(response, onStep, signal)
  try {
    const identity = await signInWithIdentity({ flow, response })
    if (identity === undefined) goOn()
    else onStep({ kind: 'new', identity })
  } catch (error) {
    const isUnknown = error instanceof PageError && codeOf(error.cause) === 'identity_unknown'
    onStep({ kind: isUnknown ? 'existing' : 'refused', error })
  }
}

/** Offers the answer to the window that has begun. It may be slow: then it takes the answer later. */
function offer (response: string, onStep: (step: Step) => void, signal: AbortSignal): void {
  const timer = setTimeout(() => onStep({ kind: 'not begun' }), ANSWER_MILLISECONDS)
  const stop = offerAnswer(response, () => {
    clearTimeout(timer)
    onStep({ kind: 'taken' })
    close()
  })
  signal.addEventListener('abort', () => { clearTimeout(timer); stop() })
}

/** Shows the page of the account. */
function goOn (): void {
  providerAnswer.value = undefined
}

function Ending ({ title, children }: { title: string, children: ComponentChildren }) {
  return <><h2>{title}</h2>{children}<a href={folder.href}>{words.toPage}</a></>
}

/** Begins anew: an answer of the provider can be used once. */
function Again () {
  const leaving = useAction(goToProvider)
  return (
    <>
      <ActionButton action={leaving} class='primary'>{texts.sign.inWith(providerName)}</ActionButton>
      <ProblemText error={leaving.error} />
    </>
  )
}

interface NewAccountProps { identity: UnknownIdentity, onExisting: () => void }

/** Somebody without an account chooses a name, or connects the account that they have. */
function NewAccount ({ identity: { registration, username }, onExisting }: NewAccountProps) {
  const form = useRef<HTMLFormElement>(null)
  const { run, isRunning, error } = useAction(async (username: string) => {
    await registerIdentity({ registration, username })
    goOn()
  })
  const isOfName = refusedField(error) === 'username'
  useEffect(() => form.current?.querySelector('input')?.focus(), [error])
  return (
    <>
      <h2>{words.newTitle}</h2>
      <p class='hint'>{words.newHint}</p>
      <form ref={form} onSubmit={event => { void run(String(fieldsOf(event).get('username'))) }}>
        <UsernameField value={username ?? ''} error={isOfName ? error : undefined} />
        <ProblemText error={isOfName ? undefined : error} />
        <button class='primary' aria-disabled={isRunning}>{texts.sign.up}</button>
      </form>
      <button type='button' class='link' onClick={onExisting}>{words.toExisting}</button>
    </>
  )
}

interface ExistingAccountProps { error: unknown, onEntered: (account: Password) => void }

/** Signs in with the password of an account, to which the identity is then connected. */
function ExistingAccount ({ error, onEntered }: ExistingAccountProps) {
  const enter = async (account: Password) => {
    await signIn(account)
    onEntered(account)
  }
  return (
    <Ending title={words.existingTitle}>
      <ProblemText error={error} />
      <p class='hint'>{words.existingHint}</p>
      <CredentialForm label={texts.sign.in} isNew={false} action={enter} />
    </Ending>
  )
}

/** Connects the identity to the account that has just signed in. The provider is asked again: its answer was used. */
function Connection ({ account }: { account: Password }) {
  const button = useRef<HTMLButtonElement>(null)
  const { run, isWaiting, error } = useProvider(beginConnection, async answer => {
    await connectIdentity(account, answer)
    notify({ text: words.connected })
    goOn()
  })
  useEffect(() => button.current?.focus(), [])
  return (
    <>
      <h2>{words.connectTitle}</h2>
      <p>{words.connectHint(usernameOf(session.value))}</p>
      <button type='button' class='primary' ref={button} onClick={() => run()}>{words.connect}</button>
      <Waiting isWaiting={isWaiting} />
      <ProblemText error={error} />
      <button type='button' class='link' onClick={goOn}>{words.notNow}</button>
    </>
  )
}
