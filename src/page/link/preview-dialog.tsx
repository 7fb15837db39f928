import { useRef } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { NEXT_KEY, PREVIOUS_KEY } from '../direction.ts'
import { useSwipe } from '../files/swipe.ts'
import { FileName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { lastOf } from '../paths.ts'
import { DownloadFailure, DownloadLink } from './download-link.tsx'
import { FilePreview } from './file-preview.tsx'
import { entries, entriesFocus, isFolder, type FileEntry } from './folder-entries.ts'
import { pictureOf } from './small-picture.tsx'
import { texts } from './texts.ts'
import { canShow } from './visit.ts'

/** What uses the arrow keys itself. */
const ARROW_USERS = 'audio, video, pre, iframe'

interface PreviewDialogProps { file: FileEntry, onMove: (file: FileEntry) => void, onClose: () => void }

/** A preview of a file in a folder, with buttons for the previous and the next file that can be shown. */
export function PreviewDialog ({ file, onMove, onClose }: PreviewDialogProps) {
  const body = useRef<HTMLDivElement>(null)
  const { previous, next } = useNeighbours(file)
  const move = (target: FileEntry | undefined) => {
    if (target === undefined) return
    entriesFocus.active.value = { key: target.name, column: 0 }
    onMove(target)
  }
  function press ({ key, target, altKey, ctrlKey, metaKey }: KeyboardEvent): void {
    if (altKey || ctrlKey || metaKey || (target instanceof Element && target.closest(ARROW_USERS) !== null)) return
    if (key === PREVIOUS_KEY) move(previous)
    else if (key === NEXT_KEY) move(next)
  }
  useSwipe(body, { onPrevious: () => move(previous), onNext: () => move(next) })
  const step = (icon: 'previous' | 'next', target: FileEntry | undefined) =>
    <IconButton icon={icon} label={texts[icon]} aria-disabled={target === undefined} onClick={() => move(target)} />
  return (
    <Dialog
      title={<FileName name={lastOf(file.name)} />} class='wide preview' onClose={onClose} onKeyDown={press}
      closesOutside
    >
      <div class='preview-body' ref={body} tabIndex={-1}>
        <div class='actions'>
          {step('previous', previous)}
          {step('next', next)}
          <DownloadLink name={file.name} class='button primary'><Icon name='download' />{texts.download}</DownloadLink>
          <span class='muted'>{formatSize(file.size)}</span>
        </div>
        <DownloadFailure />
        <FilePreview key={file.name} file={file} picture={pictureOf(file)} />
      </div>
    </Dialog>
  )
}

/** The files before and after a file that can be shown. If it has left the list, those around its place. */
function useNeighbours ({ name }: FileEntry): { previous: FileEntry | undefined, next: FileEntry | undefined } {
  const last = useRef(0)
  const shown = entries.entries.value.filter(entry => !isFolder(entry) && canShow(entry)) as FileEntry[]
  const index = shown.findIndex(entry => entry.name === name)
  if (index !== -1) last.current = index
  return { previous: shown[last.current - 1], next: shown[index === -1 ? last.current : index + 1] }
}
