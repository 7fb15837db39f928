import { useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { formatTime, formatTimes } from '../format.ts'
import { ProblemText } from '../problem.tsx'
import { Question } from '../question.tsx'
import { leave } from '../session.ts'
import { session, sessionIdOf } from '../session-state.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { Section, Unloaded } from './section.tsx'
import type { TokenListProps } from './token-section.tsx'
import { revoke, revokeAll, type Token } from './tokens.ts'

/** The sessions of the account. */
export function SessionSection ({ tokens, error, reload }: TokenListProps) {
  const [isAsking, setAsking] = useState(false)
  const words = texts.account
  async function endAll (): Promise<void> {
    await revokeAll()
    await leave(words.signedOutEverywhere)
  }
  const everywhere = <button type='button' class='danger' onClick={() => setAsking(true)}>{words.everywhere}</button>
  return (
    <Section title={words.sessions} hint={words.sessionsHint} action={everywhere}>
      {tokens === undefined
        ? <Unloaded error={error} reload={reload} />
        : <SessionList tokens={tokens} error={error} reload={reload} />}
      {isAsking && (
        <Question
          title={words.everywhereTitle} label={words.everywhere} action={endAll} onClose={() => setAsking(false)}
        >
          <p>{words.everywhereHint}</p>
        </Question>
      )}
    </Section>
  )
}

function SessionList ({ tokens, error, reload }: TokenListProps & { tokens: Token[] }) {
  const times = formatTimes(tokens.map(({ createdAt }) => createdAt))
  return (
    <>
      <ul class='rows'>
        {tokens.map((token, index) => (
          <SessionRow key={token.id} token={token} time={times[index] ?? ''} reload={reload} />
        ))}
      </ul>
      <ProblemText error={error} />
    </>
  )
}

/** `time`: when it began, in words that tell it from the others. */
function SessionRow ({ token, time, reload }: { token: Token, time: string, reload: () => Promise<void> }) {
  const { id, createdAt, lastUsedAt, browser, system, factors } = token
  const ending = useAction(() => revoke(id).then(reload))
  const words = texts.account
  const device = words.device(browser, system)
  const isThis = sessionIdOf(session.value) === id
  return (
    <li>
      <div>
        <p class='name'>
          {device}
          {isThis && <span class='tag now'>{words.thisSession}</span>}
        </p>
        <p class='hint'>
          <time dateTime={createdAt}>{words.signedIn(time, factors)}</time>
          {lastUsedAt !== null && <time dateTime={lastUsedAt}>{words.used(formatTime(lastUsedAt))}</time>}
        </p>
        <ProblemText error={ending.error} />
      </div>
      {!isThis && (
        <ActionButton action={ending} class='danger' aria-label={words.endOf(device, time)}>
          {words.end}
        </ActionButton>
      )}
    </li>
  )
}
