import { FileName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { lastOf } from '../paths.ts'
import { Time } from '../time.tsx'
import { DownloadLink } from './download-link.tsx'
import { isFolder, type Entry, type FileEntry } from './folder-entries.ts'
import { folderAddress } from './open-folder.ts'
import { SmallPicture } from './small-picture.tsx'
import { texts } from './texts.ts'
import { canShow } from './visit.ts'

interface EntryCellsProps { entry: Entry, isActive: boolean, onShow: (file: FileEntry) => void }

/** The cells of the row of a file or folder. */
export function EntryCells ({ entry, isActive, onShow }: EntryCellsProps) {
  const cell = { 'data-cell': true, tabIndex: isActive ? 0 : -1 }
  const name = <FileName name={lastOf(entry.name)} />
  if (isFolder(entry)) {
    return (
      <>
        <div role='gridcell' class='name-cell'>
          <a class='file-name folder' {...cell} href={folderAddress(entry.name)}><Icon name='files' />{name}</a>
        </div>
        <div role='gridcell' class='size'>{texts.folder}</div>
        <div role='gridcell' class='date' />
        <div role='gridcell' class='menu-cell' />
      </>
    )
  }
  const icon = <SmallPicture key={entry.sha256} file={entry} />
  return (
    <>
      <div role='gridcell' class='name-cell'>
        {canShow(entry)
          ? <button type='button' class='file-name' {...cell} onClick={() => onShow(entry)}>{icon}{name}</button>
          : <DownloadLink name={entry.name} class='file-name' cell={cell}>{icon}{name}</DownloadLink>}
      </div>
      <div role='gridcell' class='size'>{formatSize(entry.size)}</div>
      <div role='gridcell' class='date'><Time timestamp={entry.updatedAt} /></div>
      <div role='gridcell' class='menu-cell'>
        <DownloadLink name={entry.name} class='button quiet' label={texts.downloadOf(lastOf(entry.name))} cell={cell}>
          <Icon name='download' />
        </DownloadLink>
      </div>
    </>
  )
}

/** The column headers. */
export function EntryHeader () {
  const { name, size, changed, actions } = texts.columns
  return (
    <div role='row' class='row' aria-rowindex={1}>
      <div role='columnheader' class='name-cell'>{name}</div>
      <div role='columnheader' class='size'>{size}</div>
      <div role='columnheader' class='date'>{changed}</div>
      <div role='columnheader' class='menu-cell'><span class='hidden'>{actions}</span></div>
    </div>
  )
}
