import { CutName, FileName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon, type IconName } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { linkedNames } from '../links/links.ts'
import { lastOf, parentOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { Time } from '../time.tsx'
import { addressOf } from '../view.ts'
import { visibleName } from '../visible-name.ts'
import { chosenEntries } from './chosen.ts'
import { isFolder, refused, showInFolder, sortBy, type Entry } from './entries.ts'
import { rename } from './folders.ts'
import { kindOf, lookOf } from './kinds.ts'
import { isScattered, listed, order, type Order } from './list-choice.ts'
import { RenameForm } from './rename-form.tsx'
import { SelectionBox, SelectionHeader } from './selection-box.tsx'

export interface EntryCellsProps {
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
  return (
    <>
      <SelectionBox selection={chosenEntries} entry={entry} name={entry.name} isActive={isActive} />
      <div role='gridcell' class='name-cell'>
        {isRenaming
          ? <EntryRenameForm entry={entry} onClose={onRenamed} />
          : <Name entry={entry} tabIndex={tabIndex} onOpen={onOpen} />}
        {isScattered.value && !isRenaming && <FolderOfHit entry={entry} tabIndex={tabIndex} />}
        <Refusal name={entry.name} />
      </div>
      <div role='gridcell' class='size'>{isFolder(entry) ? texts.folders.kind : formatSize(entry.size)}</div>
      <div role='gridcell' class='date'>{!isFolder(entry) && <Time timestamp={entry.changedAt} />}</div>
      <div role='gridcell' class='menu-cell'>
        <MenuButton name={name} tabIndex={tabIndex} onMenu={onMenu} />
      </div>
    </>
  )
}

/** The form that renames an entry in the list. */
export function EntryRenameForm ({ entry, onClose }: { entry: Entry, onClose: () => void }) {
  const action = async (newName: string) => {
    await rename(entry, newName)
    onClose()
  }
  return <RenameForm name={lastOf(entry.name)} isFolder={isFolder(entry)} action={action} onCancel={onClose} />
}

interface EntryNameProps { entry: Entry, tabIndex: number, onOpen: () => void }

/** A folder is a link, so that it can be opened in another window. */
function Name ({ entry, tabIndex, onOpen }: EntryNameProps) {
  const name = <><CutName name={lastOf(entry.name)} /><Marks {...entry} /></>
  const control = { 'data-cell': true, tabIndex, 'aria-label': nameLabel(entry) }
  if (isFolder(entry)) {
    return (
      <a class='file-name folder' {...control} href={addressOf(entry.name)}><Icon name='files' />{name}</a>
    )
  }
  return (
    <button type='button' class='file-name' {...control} data-look={lookOf(entry)} onClick={onOpen}>
      <Icon name={kindOf(entry)} />{name}
    </button>
  )
}

/** The folder of what lies elsewhere, which opens it there. */
export function FolderOfHit ({ entry, tabIndex }: { entry: Entry, tabIndex?: number }) {
  const folder = parentOf(entry.name)
  const path = folder === '' ? texts.views.files : folder
  const open = (event: MouseEvent) => {
    event.preventDefault()
    showInFolder(entry)
  }
  return (
    <a
      class='hit-folder' data-cell={tabIndex !== undefined && true} tabIndex={tabIndex} href={addressOf(folder)}
      aria-label={texts.files.inFolder(visibleName(path))} onClick={open}
    >
      <FileName name={path} />
    </a>
  )
}

/** What is said of an entry beside its name: that it has a star or a link. */
export function marksOf ({ name, starred }: Entry): (readonly [icon: IconName, label: string])[] {
  return [
    ...starred ? [['starred', texts.files.starred] as const] : [],
    ...linkedNames.value.has(name) ? [['links', texts.links.has] as const] : []
  ]
}

/** The accessible name of the control that opens an entry; with its path in what lies in several folders. */
export function nameLabel (entry: Entry): string {
  const shown = visibleName(isScattered.value ? entry.name : lastOf(entry.name))
  return [shown, ...marksOf(entry).map(([, label]) => label)].join(' ')
}

/** The button that opens the menu of an entry. */
export function MenuButton (
  { name, tabIndex, onMenu }: { name: string, tabIndex: number, onMenu: EntryCellsProps['onMenu'] }
) {
  return (
    <IconButton
      icon='more' label={texts.files.menuOf(name)} data-cell tabIndex={tabIndex} aria-haspopup='menu'
      onClick={event => onMenu(event.currentTarget)}
    />
  )
}

/** The marks of files and folders that have a star or a link. */
export function Marks (entry: Entry) {
  return (
    <>
      {marksOf(entry).map(([icon, label]) => (
        <span key={icon} class={`mark ${icon}`} title={label}>
          <Icon name={icon} /><span class='hidden'>{label}</span>
        </span>
      ))}
    </>
  )
}

/** Why the last action on this entry failed. */
export function Refusal ({ name }: { name: string }) {
  if (refused.value?.name !== name) return null
  return (
    <div class='refusal'>
      <ProblemText error={refused.value.error} />
      <IconButton icon='close' label={texts.dismiss} onClick={() => { refused.value = undefined }} />
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

const columns = {
  name: {
    label: texts.files.columns.name, class: 'name-cell', ascending: 'natural', descending: '-natural', first: 'natural'
  },
  size: {
    label: texts.files.columns.size, class: 'size', ascending: 'smallest', descending: 'largest', first: 'largest'
  },
  changed: {
    label: texts.files.columns.changed, class: 'date', ascending: 'changed', descending: '-changed', first: '-changed'
  }
} as const satisfies Record<string, Column>

/** The column headers. A click sorts by the column; another one reverses the order. What changed last has one order. */
export function EntryHeader () {
  return (
    <div role='row' class='row' aria-rowindex={1}>
      <SelectionHeader selection={chosenEntries} />
      <ColumnHeader {...columns.name} />
      <ColumnHeader {...columns.size} />
      <ColumnHeader {...columns.changed} />
      <div role='columnheader' class='menu-cell'><span class='hidden'>{texts.files.columns.actions}</span></div>
    </div>
  )
}

function ColumnHeader ({ label, class: className, ascending, descending, first }: Column) {
  const direction = order.value === ascending ? 'ascending' : order.value === descending ? 'descending' : undefined
  if (listed.value === 'recent') return <div role='columnheader' class={className}>{label}</div>
  const next = direction === undefined ? first : direction === 'ascending' ? descending : ascending
  return (
    <div role='columnheader' class={className} aria-sort={direction ?? 'none'}>
      <button type='button' class='sort' onClick={() => sortBy(next)}>
        {label}{direction !== undefined && <Icon name={direction === 'ascending' ? 'up' : 'down'} />}
      </button>
    </div>
  )
}
