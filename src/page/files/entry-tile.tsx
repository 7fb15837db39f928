import { CutName } from '../file-name.tsx'
import { formatDate, formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { TilePicture } from '../later.tsx'
import { lastOf } from '../paths.ts'
import { texts } from '../texts.ts'
import { addressOf } from '../view.ts'
import { isFolder, type Entry } from './entries.ts'
import {
  EntryRenameForm, FolderOfHit, Marks, MenuButton, nameLabel, Refusal, type EntryCellsProps
} from './entry-cells.tsx'
import { isScattered } from './list-choice.ts'
import { Thumbnail } from './thumbnail.tsx'

/** The tile of a file or folder: its picture, name, size and date. */
export function EntryTile ({ entry, isActive, isRenaming, onOpen, onMenu, onRenamed }: EntryCellsProps) {
  const tabIndex = isActive ? 0 : -1
  const name = lastOf(entry.name)
  return (
    <>
      <Opener entry={entry} tabIndex={tabIndex} onOpen={onOpen} />
      <div class='facts'><Facts entry={entry} /></div>
      <div class='menu-cell'>
        <MenuButton name={name} tabIndex={tabIndex} onMenu={onMenu} />
      </div>
      {isRenaming && <EntryRenameForm entry={entry} onClose={onRenamed} />}
      <Refusal name={entry.name} />
    </>
  )
}

interface OpenerProps { entry: Entry, tabIndex: number, onOpen: () => void }

/** A folder is a link, so that it can be opened in another window. */
function Opener ({ entry, tabIndex, onOpen }: OpenerProps) {
  const name = (
    <span class='file-name'>
      <CutName name={lastOf(entry.name)} /><Marks {...entry} />
    </span>
  )
  if (isFolder(entry)) {
    return (
      <a class='opener folder' data-cell tabIndex={tabIndex} aria-label={nameLabel(entry)} href={addressOf(entry.name)}>
        <span class='picture' aria-hidden='true'><Icon name='files' /></span>
        {name}
      </a>
    )
  }
  return (
    <button type='button' class='opener' data-cell tabIndex={tabIndex} aria-label={nameLabel(entry)} onClick={onOpen}>
      <Thumbnail file={entry} Picture={TilePicture} />
      {name}
    </button>
  )
}

/** The size, and when the content was changed. Of what lies in several folders, the folder. */
function Facts ({ entry }: { entry: Entry }) {
  if (isScattered.value) return <FolderOfHit entry={entry} />
  if (isFolder(entry)) return <>{texts.folders.kind}</>
  const date = entry.changedAt
  return <>{formatSize(entry.size)} <time dateTime={date}>{formatDate(date)}</time></>
}
