import { PathName } from '../file-name.tsx'
import { formatDate, formatSize } from '../format.ts'
import { texts } from '../later-texts.ts'
import { OptionalTime } from '../time.tsx'
import { isExpired, isOver, type Link } from './links.ts'

const words = texts.links

interface LinkRowProps {
  link: Link
  onOpen: (kind: 'change' | 'secret' | 'revocation') => void
}

/** A link of the list, with what can be done with it. */
export function LinkRow ({ link, onOpen }: LinkRowProps) {
  const { name } = link
  return (
    <li>
      <div>
        <p class='name'><PathName name={name} /></p>
        <LinkSummary link={link} />
      </div>
      <div class='actions' role='group' aria-label={words.titleOf(name)}>
        <button type='button' aria-label={words.changeOf(name)} onClick={() => onOpen('change')}>{words.change}</button>
        <button type='button' aria-label={words.newSecretOf(name)} onClick={() => onOpen('secret')}>
          {words.newSecret}
        </button>
        <button type='button' class='danger' aria-label={words.revokeOf(name)} onClick={() => onOpen('revocation')}>
          {words.revoke}
        </button>
      </div>
    </li>
  )
}

/** What a link allows, and its dates. */
export function LinkSummary ({ link }: { link: Link }) {
  return (
    <>
      <p class='tags'>{tagsOf(link).map(tag => <span key={tag} class='tag'>{tag}</span>)}</p>
      <Dates link={link} />
    </>
  )
}

function tagsOf (link: Link): string[] {
  const ending = isExpired(link) ? [words.expired] : isOver(link) ? [words.full] : []
  return [words.kinds[link.kind], ...link.hasPassword ? [words.withPassword] : [], ...ending]
}

function Dates ({ link }: { link: Link }) {
  const { createdAt, expiresAt, uses, lastUsedAt, maxFiles, maxBytes, usedFiles, usedBytes } = link
  return (
    <p class='hint'>
      <time dateTime={createdAt}>{words.created(formatDate(createdAt))}</time>
      <OptionalTime time={expiresAt} label={words.expires} otherwise={words.neverExpires} />
      <OptionalTime
        time={lastUsedAt} label={time => words.used(uses, time)} otherwise={words.neverUsed}
      />
      {maxFiles !== null && maxBytes !== null && (
        <span>
          {words.received(usedFiles, maxFiles, formatSize(usedBytes), formatSize(maxBytes))}
        </span>
      )}
    </p>
  )
}
