import { MagicStoreError } from 'magicstore'
import { useState } from 'preact/hooks'
import { mayPass, PageError } from './errors.ts'
import { Cancelled } from './factors/proof.ts'
import { frameTexts } from './frame-texts.ts'
import { breakLocks, lockedBy } from './locks.ts'
import { wordsOf, type ProblemWords } from './problem-words.ts'
import { SessionEnded } from './session.ts'
import { texts } from './texts.ts'
import { useAction } from './use-action.ts'

/**
 * The title and detail of an error, as the server sent them, with numbers as elsewhere on the page. Undefined if there
 * is no error, the page asks for the password instead, or the user cancelled.
 */
export function describe (error: unknown): ProblemWords | undefined {
  if (error === undefined || error instanceof SessionEnded || error instanceof Cancelled) return undefined
  if (error instanceof PageError) {
    const { message: title, locked } = error
    return locked.length === 0 ? { title } : { title, detail: frameTexts.locked(locked) }
  }
  if (!(error instanceof MagicStoreError)) return { title: texts.networkProblem }
  return wordsOf(error)
}

/** Shows an error next to what caused it, and announces it. */
export function ProblemText ({ error, id }: { error: unknown, id?: string }) {
  const words = describe(error)
  return (
    <div class='problem' role='alert' id={id}>
      {words !== undefined &&
        <p><strong>{words.title}</strong>{words.detail !== undefined && <> <span>{words.detail}</span></>}</p>}
      {lockedBy(error).length > 0 && <BreakLock error={error} />}
    </div>
  )
}

/** A button that ends the locks which refused an action. It keeps the focus. */
export function BreakLock ({ error, onBroken }: { error: unknown, onBroken?: () => void }) {
  const [broken, setBroken] = useState<unknown>()
  const isBroken = broken === error
  const { run, isRunning, error: failure } = useAction(async () => {
    await breakLocks(lockedBy(error))
    setBroken(error)
    onBroken?.()
  })
  return (
    <div class='break-lock'>
      <button type='button' aria-disabled={isRunning || isBroken} onClick={() => { if (!isBroken) void run() }}>
        {texts.breakLock}
      </button>
      <span>{isBroken ? texts.lockBroken : texts.breakLockHint}</span>
      {failure !== undefined && <ProblemText error={failure} />}
    </div>
  )
}

/** An error, with a button that tries again, if that can help. */
export function Retry ({ error, action }: { error: unknown, action: () => void }) {
  return (
    <>
      <ProblemText error={error} />
      {mayPass(error) && <button type='button' onClick={action}>{texts.tryAgain}</button>}
    </>
  )
}
