import { FileName } from '../file-name.tsx'
import { formatSize, formatTime } from '../format.ts'
import { Icon } from '../icon.tsx'
import { linkedNames } from '../links/links.ts'
import { lastOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { addressOf } from '../view.ts'
import { isByName, isFolder, order, prefix, refused, sortBy, type Entry, type Order } from './entries.ts'
import { renameFile } from './files.ts'
import { renameFolder } from './folders.ts'
import { kindOf } from './kinds.ts'
import { RenameForm } from './rename-form.tsx'

interface EntryCellsProps {
  entry: Entry
  isActive: boolean
  isRenaming: boolean
  onOpen: () => void
  onMenu: (opener: HTMLElement) => void
  onRenamed: () => void
}

/** The cells of the row of a file or folder. */
export function EntryCells ({ entry, isActive, isRenaming, onOpen, onMenu, onRenamed }: EntryCellsProps) {
  const tabIndex = isActive ? 0 : -1
  const name = lastOf(entry.name)
  const rename = async (newName: string) => {
    await (isFolder(entry) ? renameFolder(entry, newName) : renameFile(entry, newName))
    onRenamed()
  }
  return (
    <>
      <div role='gridcell' class='name-cell'>
        {isRenaming
          ? <RenameForm name={name} isFolder={isFolder(entry)} action={rename} onCancel={onRenamed} />
          : <Name entry={entry} tabIndex={tabIndex} onOpen={onOpen} />}
        <Refusal name={entry.name} />
      </div>
      <div role='gridcell' class='size'>{isFolder(entry) ? texts.folders.kind : formatSize(entry.size)}</div>
      <div role='gridcell' class='date'><time dateTime={entry.createdAt}>{formatTime(entry.createdAt)}</time></div>
      <div role='gridcell' class='menu-cell'>
        <button
          type='button' class='quiet' data-cell tabIndex={tabIndex} aria-haspopup='menu'
          aria-label={texts.files.menuOf(name)} onClick={event => onMenu(event.currentTarget)}
        >
          <Icon name='more' />
        </button>
      </div>
    </>
  )
}

interface EntryNameProps { entry: Entry, tabIndex: number, onOpen: () => void }

/** A folder is a link, so that it can be opened in another window. */
function Name ({ entry, tabIndex, onOpen }: EntryNameProps) {
  const name = <><FileName name={lastOf(entry.name)} />{linkedNames.value.has(entry.name) && <LinkMark />}</>
  if (isFolder(entry)) {
    return <a class='file-name folder' data-cell tabIndex={tabIndex} href={addressOf(entry.name)}><Icon name='files' />{name}</a>
  }
  return (
    <button type='button' class='file-name' data-cell tabIndex={tabIndex} onClick={onOpen}>
      <Icon name={kindOf(entry)} />{name}
    </button>
  )
}

/** At the name of a file or folder that has a link. */
function LinkMark () {
  return <span class='link-mark' title={texts.links.has}><Icon name='links' /><span class='hidden'>{texts.links.has}</span></span>
}

/** Why the last action on this entry failed. */
function Refusal ({ name }: { name: string }) {
  if (refused.value?.name !== name) return null
  return (
    <div class='refusal'>
      <ProblemText error={refused.value.error} />
      <button type='button' class='quiet' onClick={() => { refused.value = undefined }} aria-label={texts.dismiss}>
        <Icon name='close' />
      </button>
    </div>
  )
}

interface Column {
  readonly label: string
  readonly class: string
  readonly ascending: Order
  readonly descending: Order
  /** The order after the first click. */
  readonly first: Order
}

const columns: readonly Column[] = [
  { label: texts.files.columns.name, class: 'name-cell', ascending: 'name', descending: '-name', first: 'name' },
  { label: texts.files.columns.size, class: 'size', ascending: 'smallest', descending: 'largest', first: 'largest' },
  { label: texts.files.columns.added, class: 'date', ascending: 'oldest', descending: 'newest', first: 'newest' }
]

/** The column headers. A click sorts by the column; another click reverses the order. */
export function EntryHeader () {
  return (
    <div role='row' class='row' aria-rowindex={1}>
      {columns.map(column => <ColumnHeader key={column.label} {...column} />)}
      <div role='columnheader' class='menu-cell'><span class='hidden'>{texts.files.columns.actions}</span></div>
    </div>
  )
}

function ColumnHeader ({ label, class: className, ascending, descending, first }: Column) {
  const direction = order.value === ascending ? 'ascending' : order.value === descending ? 'descending' : undefined
  const next = direction === undefined ? first : direction === 'ascending' ? descending : ascending
  const isDisabled = prefix.value !== '' && !isByName(ascending)
  return (
    <div role='columnheader' class={className} aria-sort={direction ?? 'none'}>
      <button type='button' class='sort' disabled={isDisabled} onClick={() => sortBy(next)}>
        {label}{direction !== undefined && <Icon name={direction === 'ascending' ? 'up' : 'down'} />}
      </button>
    </div>
  )
}
