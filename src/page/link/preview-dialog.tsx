import { useRef } from 'preact/hooks'
import { Detail } from '../detail.tsx'
import { kindOf } from '../files/kinds.ts'
import { PictureFacts } from '../files/picture-facts.tsx'
import { PreviewFrame } from '../files/preview-frame.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { Time } from '../time.tsx'
import { DownloadFailure, DownloadLink } from './download-link.tsx'
import { FilePreview, readBytes } from './file-preview.tsx'
import { entries, entriesFocus, isFolder, type FileEntry } from './folder-entries.ts'
import { pictureOf } from './small-picture.tsx'
import { texts } from './texts.ts'
import { canShow } from './visit.ts'

interface PreviewDialogProps { file: FileEntry, onMove: (file: FileEntry) => void, onClose: () => void }

/** A preview of a file in a folder, with buttons for the previous and the next file that can be shown. */
export function PreviewDialog ({ file, onMove, onClose }: PreviewDialogProps) {
  const move = (target: FileEntry) => {
    entriesFocus.active.value = { key: target.name, column: 0 }
    onMove(target)
  }
  const acts = (
    <>
      <div class='actions'>
        <DownloadLink name={file.name} class='button primary'><Icon name='download' />{texts.download}</DownloadLink>
        <span class='muted'>{formatSize(file.size)}</span>
      </div>
      <DownloadFailure />
    </>
  )
  return (
    <PreviewFrame
      {...useNeighbours(file)} file={file} onMove={move} onClose={onClose} closesOutside acts={acts}
      words={{ ...texts, details: texts.viewer.details }} details={<Details key={file.name} file={file} />}
      read={(file, signal) => readBytes(file, file.size, signal)}
      content={address => <FilePreview key={file.name} file={file} ahead={address} picture={pictureOf(file)} />}
    />
  )
}

/** What is known of a picture or video. */
function Details ({ file }: { file: FileEntry }) {
  if (!['image', 'video'].includes(kindOf(file))) return null
  return (
    <>
      <PictureFacts
        file={file} words={texts.viewer} read={(count, signal) => readBytes(file, count, signal)}
      />
      <dl class='file-details'>
        <Detail label={texts.columns.size}>{formatSize(file.size)}</Detail>
        <Detail label={texts.columns.changed}><Time timestamp={file.updatedAt} /></Detail>
      </dl>
    </>
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
