import type { StoredFile } from 'magicstore'
import { FileName } from '../file-name.tsx'
import { formatSize, formatTime } from '../format.ts'
import { Icon } from '../icon.tsx'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { isByName, order, prefix, refused, renameFile, sortBy, type Order } from './files.ts'
import { kindOf } from './kinds.ts'
import { RenameForm } from './rename-form.tsx'

interface FileCellsProps {
  file: StoredFile
  isActive: boolean
  isRenaming: boolean
  onOpen: () => void
  onMenu: (opener: HTMLElement) => void
  onRenamed: () => void
}

/** The cells of a file's row. */
export function FileCells ({ file, isActive, isRenaming, onOpen, onMenu, onRenamed }: FileCellsProps) {
  const tabIndex = isActive ? 0 : -1
  const rename = async (newName: string) => {
    await renameFile(file, newName)
    onRenamed()
  }
  return (
    <>
      <div role='gridcell' class='name-cell'>
        {isRenaming
          ? <RenameForm name={file.name} action={rename} onCancel={onRenamed} />
          : (
            <button type='button' class='file-name' data-cell tabIndex={tabIndex} onClick={onOpen}>
              <Icon name={kindOf(file)} /><FileName name={file.name} />
            </button>
            )}
        <Refusal name={file.name} />
      </div>
      <div role='gridcell' class='size'>{formatSize(file.size)}</div>
      <div role='gridcell' class='date'><time dateTime={file.createdAt}>{formatTime(file.createdAt)}</time></div>
      <div role='gridcell' class='menu-cell'>
        <button
          type='button' class='quiet' data-cell tabIndex={tabIndex} aria-haspopup='menu'
          aria-label={texts.files.menuOf(file.name)} onClick={event => onMenu(event.currentTarget)}
        >
          <Icon name='more' />
        </button>
      </div>
    </>
  )
}

/** Why the last action on this file failed. */
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
export function FileHeader () {
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
