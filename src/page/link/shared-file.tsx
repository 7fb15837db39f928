import { useState } from 'preact/hooks'
import { kindOf } from '../files/kinds.ts'
import { FileName } from '../file-name.tsx'
import { Icon } from '../icon.tsx'
import { DownloadFailure, DownloadLink } from './download-link.tsx'
import { Facts } from './facts.tsx'
import { FilePreview } from './later.tsx'
import { texts } from './texts.ts'
import { canShow, type SharedLink } from './visit.ts'

/** One file: its download, and a preview if it is asked for. */
export function SharedFile ({ link }: { link: SharedLink }) {
  const [isShown, setShown] = useState(false)
  const file = { name: link.name, type: link.type ?? '', size: link.size ?? 0 }
  return (
    <section class='card preview'>
      <div class='shared-head'>
        <Icon name={kindOf(file)} />
        <h1 dir='auto'><FileName name={link.name} /></h1>
      </div>
      <Facts link={link} />
      <div class='actions'>
        <DownloadLink name={link.name} class='button primary'><Icon name='download' />{texts.download}</DownloadLink>
        {canShow(file) && (
          <button type='button' aria-pressed={isShown} onClick={() => setShown(!isShown)}>{texts.preview}</button>
        )}
      </div>
      <DownloadFailure />
      {isShown && <FilePreview file={file} />}
    </section>
  )
}
