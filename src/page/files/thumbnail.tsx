import type { StoredFile } from 'magicstore'
import type { FunctionComponent } from 'preact'
import { Icon } from '../icon.tsx'
import { kindOf, lookOf } from './kinds.ts'

interface ThumbnailProps {
  file: StoredFile
  /** Draws the small picture. It is loaded later than this, except by what is loaded later itself. */
  Picture: FunctionComponent<{ file: StoredFile }>
}

/** The small picture of an image or video. Until it is drawn, or if there is none, the icon of the file's kind. */
export function Thumbnail ({ file, Picture }: ThumbnailProps) {
  const kind = kindOf(file)
  return (
    <span class='picture' data-look={lookOf(file)} aria-hidden='true'>
      {(kind === 'image' || kind === 'video') && <Picture key={file.sha256} file={file} />}
      <Icon name={kind} /><span data-ending={endingOf(file)} />
    </span>
  )
}

/** The extension of a name, for a label; empty if it has none. */
function endingOf ({ name }: StoredFile): string {
  const [, ending = ''] = /[^/.]\.([a-z0-9]{1,5})$/i.exec(name) ?? []
  return ending.toLowerCase()
}
