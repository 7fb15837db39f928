import type { DeletedFile } from 'magicstore'
import { useEffect, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { codeOf } from '../errors.ts'
import { FileName, PathName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { NameDialog } from '../name-dialog.tsx'
import { notify } from '../notices.tsx'
import { parentOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { Question } from '../question.tsx'
import { texts } from '../texts.ts'
import { Time } from '../time.tsx'
import { nextName } from '../uploads/names.ts'
import { useAction } from '../use-action.ts'
import { ChosenDeleted, deleteChosenForGood } from './chosen-deleted.tsx'
import { chosenDeleted } from './chosen.ts'
import { kindOf } from './kinds.ts'
import { EmptyList, ListState } from './list-state.tsx'
import { NamedEntries } from './named-entries.tsx'
import { RowGrid } from './row-grid.tsx'
import { SelectionBox, SelectionHeader } from './selection-box.tsx'
import { deleteForGood, emptyTrash, restoreFile, trash, trashFocus } from './trash.ts'
import { useFresh } from './use-fresh.ts'

type Opened =
  | { readonly kind: 'rename' | 'deletion', readonly file: DeletedFile }
  | { readonly kind: 'emptying' }

/** Deleted files: restore them, or delete them for good. */
export function TrashView () {
  const [opened, setOpened] = useState<Opened | undefined>()
  const entries = trash.entries.value
  const hasFolders = entries.some(({ name }) => parentOf(name) !== '')
  useFresh(trash.refresh)
  const close = () => {
    setOpened(undefined)
    if (trash.entries.value.length > 0) trashFocus.focus()
  }
  const onKey = (key: string, file: DeletedFile) => {
    if (key === 'Delete' && !chosenDeleted.isEmpty.peek()) deleteChosenForGood()
    else if (key === 'Delete') setOpened({ kind: 'deletion', file })
    return key === 'Delete'
  }
  const cellsOf = (file: DeletedFile, isActive: boolean) => (
    <TrashCells
      file={file} isActive={isActive}
      onTaken={() => setOpened({ kind: 'rename', file })} onDelete={() => setOpened({ kind: 'deletion', file })}
    />
  )
  return (
    <>
      <div class='toolbar'>
        <h2>{texts.views.trash}</h2>
        {entries.length > 0 && (
          <button type='button' class='danger' onClick={() => setOpened({ kind: 'emptying' })}>
            {texts.files.emptyTrash}
          </button>
        )}
      </div>
      <ListState listing={trash}><NoDeletedFiles /></ListState>
      {entries.length > 0 && trash.error.value === undefined && <p class='muted'>{texts.files.trashHint}</p>}
      <ChosenDeleted />
      {entries.length > 0 && (
        <RowGrid
          class={hasFolders ? 'trash paths' : 'trash'} label={texts.views.trash} listing={trash} keyOf={({ id }) => id}
          nameOf={({ name }) => name} focus={trashFocus} selection={chosenDeleted}
          header={<TrashHeader />} cells={cellsOf} onKey={onKey}
        />
      )}
      {opened?.kind === 'rename' && <RestoreAs file={opened.file} onClose={close} />}
      {opened?.kind === 'deletion' && <DeletionQuestion file={opened.file} onClose={close} />}
      {opened?.kind === 'emptying' && <EmptyQuestion onClose={close} />}
    </>
  )
}

function NoDeletedFiles () {
  return <EmptyList title={texts.files.trashEmpty} hint={texts.files.trashHint} />
}

function TrashHeader () {
  const { name, size, deleted, expires, actions } = texts.files.columns
  return (
    <div role='row' class='row' aria-rowindex={1}>
      <SelectionHeader selection={chosenDeleted} />
      <div role='columnheader' class='name-cell'>{name}</div>
      <div role='columnheader' class='size'>{size}</div>
      <div role='columnheader' class='date'>{deleted}</div>
      <div role='columnheader' class='date expires'>{expires}</div>
      <div role='columnheader' class='menu-cell'><span class='hidden'>{actions}</span></div>
    </div>
  )
}

interface TrashCellsProps { file: DeletedFile, isActive: boolean, onTaken: () => void, onDelete: () => void }

function TrashCells ({ file, isActive, onTaken, onDelete }: TrashCellsProps) {
  const restoring = useAction(() => restoreFile(file))
  const { error } = restoring
  const isTaken = codeOf(error) === 'name_taken'
  useEffect(() => { if (isTaken) onTaken() }, [error])
  const tabIndex = isActive ? 0 : -1
  return (
    <>
      <SelectionBox selection={chosenDeleted} entry={file} name={file.name} isActive={isActive} />
      <div role='gridcell' class='name-cell'>
        <span class='file-name'><Icon name={kindOf(file)} /><PathName name={file.name} /></span>
        {error !== undefined && !isTaken && <div class='refusal'><ProblemText error={error} /></div>}
      </div>
      <div role='gridcell' class='size'>{formatSize(file.size)}</div>
      <div role='gridcell' class='date'><Time timestamp={file.deletedAt} /></div>
      <div role='gridcell' class='date expires'><Time timestamp={file.expiresAt} /></div>
      <div role='gridcell' class='menu-cell'>
        <ActionButton
          action={restoring} data-cell tabIndex={tabIndex} aria-label={texts.files.restoreOf(file.name)}
        >
          {texts.files.restore}
        </ActionButton>
        <IconButton
          icon='trash' label={texts.files.deleteForGoodNamed(file.name)} data-cell tabIndex={tabIndex}
          onClick={onDelete}
        />
      </div>
    </>
  )
}

/** Asks for another name, because the name of the deleted file is taken. */
function RestoreAs ({ file, onClose }: { file: DeletedFile, onClose: () => void }) {
  const { restoreAs, nameTaken, otherName, restore } = texts.files
  return (
    <NameDialog
      title={restoreAs} label={otherName} name={nextName(file.name)} submit={restore}
      action={name => restoreFile(file, name)} onClose={onClose}
    >
      <p>{nameTaken} <FileName name={file.name} /></p>
    </NameDialog>
  )
}

function DeletionQuestion ({ file, onClose }: { file: DeletedFile, onClose: () => void }) {
  const { deleteForGoodTitle, deleteForGood: label, deleteForGoodOf } = texts.files
  const action = async () => {
    await deleteForGood(file)
    notify({ text: texts.files.deletedForGood(file.name) })
  }
  return (
    <Question title={deleteForGoodTitle} label={label} action={action} onClose={onClose}>
      <p>{deleteForGoodOf(file.versions)} <FileName name={file.name} /></p>
    </Question>
  )
}

function EmptyQuestion ({ onClose }: { onClose: () => void }) {
  return (
    <Question title={texts.files.emptyTrash} label={texts.files.deleteAllForGood} action={emptyTrash} onClose={onClose}>
      <p>{texts.files.emptyTrashWarning}</p>
      <NamedEntries names={trash.entries.value.map(({ name }) => name)} isAll={trash.isComplete.value} />
    </Question>
  )
}
