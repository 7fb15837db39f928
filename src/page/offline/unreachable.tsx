import { useEffect, useRef, useState } from 'preact/hooks'
import { isOffline } from '../connection.ts'
import { isUnreachable } from '../errors.ts'
import { listen } from '../listen.ts'
import { ProblemText } from '../problem.tsx'
import { restoreSession } from '../session.ts'
import { session } from '../session-state.ts'
import { SignInPage } from '../sign-in.tsx'
import { texts } from '../later-texts.ts'
import { keptAccount } from './kept-lists.ts'

const retry = () => { void restoreSession() }

/** Shown if the server can't be reached when the page is opened. Opens the kept lists, if there are any. */
export function Unreachable ({ error }: { error: unknown }) {
  const [isLooking, setLooking] = useState(true)
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => { openKept(error).catch(() => {}).finally(() => setLooking(false)) }, [error])
  useEffect(() => button.current?.focus(), [isLooking])
  useEffect(() => listen({ online: retry }), [])
  return (
    <SignInPage>
      {isLooking
        ? <p class='muted'>{texts.loading}</p>
        : (
          <>
            <ProblemText error={error} />
            <button type='button' class='primary' ref={button} onClick={retry}>{texts.tryAgain}</button>
          </>
        )}
    </SignInPage>
  )
}

/** Continues as the last user of this browser. The first request that reaches the server tells whether that holds. */
async function openKept (error: unknown): Promise<void> {
  const username = isUnreachable(error) ? await keptAccount() : undefined
  if (username === undefined || session.peek().kind !== 'unreachable') return
  isOffline.value = true
  // If the session has ended, both ways to sign in are offered.
  session.value = { kind: 'open', username, hasPassword: true, sessionId: 0 }
}
