import { useState } from 'preact/hooks'
import { formatDate } from '../format.ts'
import { Icon } from '../icon.tsx'
import { ProblemText } from '../problem.tsx'
import { Question } from '../question.tsx'
import { texts } from '../later-texts.ts'
import { OptionalTime } from '../time.tsx'
import { Section, Unloaded } from './section.tsx'
import { TokenDialog } from './token-dialog.tsx'
import { revoke, type Token } from './tokens.ts'

export interface TokenListProps {
  /** Undefined until they are loaded. */
  tokens: Token[] | undefined
  error: unknown
  reload: () => Promise<void>
}

/** Personal access tokens, for programs. */
export function TokenSection ({ tokens, error, reload }: TokenListProps) {
  const [isAdding, setAdding] = useState(false)
  const [revoked, setRevoked] = useState<Token>()
  const words = texts.account
  const add = <button type='button' onClick={() => setAdding(true)}><Icon name='plus' />{words.newToken}</button>
  return (
    <Section title={words.tokens} hint={words.tokensHint} action={add}>
      {tokens === undefined
        ? <Unloaded error={error} reload={reload} />
        : <TokenList tokens={tokens} onRevoke={setRevoked} />}
      {tokens !== undefined && <ProblemText error={error} />}
      {isAdding && <TokenDialog onCreated={reload} onClose={() => setAdding(false)} />}
      {revoked !== undefined && (
        <Question
          title={words.revokeTitle}
          label={words.revoke}
          action={() => revoke(revoked.id).then(reload)}
          onClose={() => setRevoked(undefined)}
        >
          <p><bdi class='name'>{revoked.name}</bdi></p>
          <p>{words.revokeHint}</p>
        </Question>
      )}
    </Section>
  )
}

function TokenList ({ tokens, onRevoke }: { tokens: Token[], onRevoke: (token: Token) => void }) {
  if (tokens.length === 0) return <p class='muted'>{texts.account.noTokens}</p>
  return (
    <ul class='rows'>
      {tokens.map(token => <TokenRow key={token.id} token={token} onRevoke={() => onRevoke(token)} />)}
    </ul>
  )
}

function TokenRow ({ token, onRevoke }: { token: Token, onRevoke: () => void }) {
  const { name, scopes, createdAt, expiresAt, lastUsedAt } = token
  const words = texts.account
  return (
    <li>
      <div>
        <p class='name' dir='auto'>{name}</p>
        <p class='tags'>{scopes.map(scope => <span key={scope} class='tag'>{words.scopes[scope].name}</span>)}</p>
        <p class='hint'>
          <time dateTime={createdAt}>{words.created(formatDate(createdAt))}</time>
          <OptionalTime time={expiresAt} label={words.expires} otherwise={words.neverExpires} />
          <OptionalTime time={lastUsedAt} label={words.used} otherwise={words.neverUsed} />
        </p>
      </div>
      <button type='button' class='danger' aria-label={words.revokeOf(name ?? '')} onClick={onRevoke}>
        {words.revoke}
      </button>
    </li>
  )
}
