import { formatSize, formatTime } from '../format.ts'
import { texts } from './texts.ts'
import type { SharedLink } from './visit.ts'

/** The size, owner and expiry of a link. */
export function Facts ({ link: { kind, isFolder, size, owner, expiresAt } }: { link: SharedLink }) {
  const from = kind === 'upload' ? texts.requestedBy : texts.sharedBy
  return (
    <ul class='facts'>
      {kind === 'download' && <li>{isFolder || size === null ? texts.folder : formatSize(size)}</li>}
      {owner !== undefined && <li dir='auto'>{from(owner)}</li>}
      {expiresAt !== null && <li><time dateTime={expiresAt}>{texts.until(formatTime(expiresAt))}</time></li>}
    </ul>
  )
}
