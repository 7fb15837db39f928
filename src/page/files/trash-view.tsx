import type { Deletion } from 'magicstore'
import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
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
import { texts } from '../later-texts.ts'
import { Time } from '../time.tsx'
import { nextName } from '../uploads/names.ts'
import { useAction } from '../use-action.ts'
import { openDeletion } from '../view.ts'
import { ChosenDeleted, deleteChosenForGood } from './chosen-deleted.tsx'
import { kindOf } from './kinds.ts'
import { EmptyList, ListState } from './list-state.tsx'
import { notifyRestored } from './many-deleted.ts'
import { NamedEntries } from './named-entries.tsx'
import { RowGrid } from './row-grid.tsx'
import { SelectionBox, SelectionHeader } from './selection-box.tsx'
import {
  chosenDeleted, contentOf, deleteForGood, emptyTrash, keyOfDeletion, opened, restore, titleOf, trash, trashFocus
} from './trash.ts'
import { useFresh } from './use-fresh.ts'

const words = texts.files

type Dialog =
  | { readonly kind: 'rename' | 'deletion', readonly deletion: Deletion }
  | { readonly kind: 'emptying' }

/** What was deleted, or the content of one deletion: restore it, or delete it for good. */
export function TrashView () {
  const [dialog, setDialog] = useState<Dialog | undefined>()
  const entries = trash.entries.value
  const hasSecondLine = entries.some(({ kind, name }) => kind === 'folder' || parentOf(name) !== '')
  const ask = (deletion: Deletion) => setDialog({ kind: 'deletion', deletion })
  useLayoutEffect(() => {
    opened.value = undefined
    trash.replace()
  }, [])
  useFresh(trash.refresh)
  const close = () => {
    setDialog(undefined)
    if (trash.entries.value.length > 0) trashFocus.focus()
  }
  const onKey = (key: string, deletion: Deletion) => {
    if (key === 'Delete' && !chosenDeleted.isEmpty.peek()) deleteChosenForGood()
    else if (key === 'Delete') ask(deletion)
    return key === 'Delete'
  }
  const cellsOf = (deletion: Deletion, isActive: boolean) => (
    <DeletionCells
      deletion={deletion} isActive={isActive}
      onTaken={() => setDialog({ kind: 'rename', deletion })} onDelete={() => ask(deletion)}
    />
  )
  return (
    <>
      {openDeletion.value === ''
        ? <TrashHeading isEmpty={entries.length === 0} onEmpty={() => setDialog({ kind: 'emptying' })} />
        : <DeletionHeading onDelete={ask} />}
      <ListState listing={trash}>{openDeletion.value === '' ? <NothingDeleted /> : null}</ListState>
      <ChosenDeleted />
      {entries.length > 0 && (
        <RowGrid
          class={hasSecondLine ? 'trash paths' : 'trash'} label={texts.views.trash} listing={trash}
          keyOf={keyOfDeletion} nameOf={titleOf} focus={trashFocus} selection={chosenDeleted}
          header={<TrashHeader />} cells={cellsOf} onKey={onKey}
        />
      )}
      {dialog?.kind === 'rename' && <RestoreAs deletion={dialog.deletion} onClose={close} />}
      {dialog?.kind === 'deletion' && <DeletionQuestion deletion={dialog.deletion} onClose={close} />}
      {dialog?.kind === 'emptying' && <EmptyQuestion onClose={close} />}
    </>
  )
}

function TrashHeading ({ isEmpty, onEmpty }: { isEmpty: boolean, onEmpty: () => void }) {
  return (
    <>
      <div class='toolbar'>
        <h2>{texts.views.trash}</h2>
        {!isEmpty && <button type='button' class='danger' onClick={onEmpty}>{words.emptyTrash}</button>}
      </div>
      {!isEmpty && trash.error.value === undefined && <p class='muted'>{words.trashHint}</p>}
    </>
  )
}

/** What the open deletion is, and what can be done with all of it. */
function DeletionHeading ({ onDelete }: { onDelete: (deletion: Deletion) => void }) {
  const { deletion, folders = [] } = opened.value ?? {}
  const restoring = useAction(async () => {
    if (deletion !== undefined) await restoreAsOne(deletion)
  })
  return (
    <>
      <nav class='breadcrumbs' aria-label={texts.folders.path}>
        <ol><li><a href='#trash'>{texts.views.trash}</a></li></ol>
      </nav>
      <div class='toolbar'>
        <h2>{deletion === undefined ? texts.loading : <FileName name={titleOf(deletion)} />}</h2>
        {deletion !== undefined && (
          <>
            <ActionButton action={restoring}>{words.restoreAll}</ActionButton>
            <button type='button' class='danger' onClick={() => onDelete(deletion)}>{words.deleteAllForGood}</button>
          </>
        )}
      </div>
      <ProblemText error={restoring.error} />
      {deletion !== undefined && <p class='muted'>{contentOf(deletion)}, {formatSize(deletion.size)}</p>}
      {folders.length > 0 && (
        <div class='muted'>{words.deletedFolders}<NamedEntries names={folders} /></div>
      )}
    </>
  )
}

function NothingDeleted () {
  return <EmptyList title={words.trashEmpty} hint={words.trashHint} />
}

function TrashHeader () {
  const { name, size, deleted, expires, actions } = words.columns
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

interface DeletionCellsProps { deletion: Deletion, isActive: boolean, onTaken: () => void, onDelete: () => void }

function DeletionCells ({ deletion, isActive, onTaken, onDelete }: DeletionCellsProps) {
  const restoring = useAction(() => restoreAsOne(deletion))
  const { error } = restoring
  const isTaken = codeOf(error) === 'name_taken'
  useEffect(() => { if (isTaken) onTaken() }, [error])
  const tabIndex = isActive ? 0 : -1
  const title = titleOf(deletion)
  return (
    <>
      <SelectionBox selection={chosenDeleted} entry={deletion} name={title} isActive={isActive} />
      <div role='gridcell' class='name-cell'>
        <DeletionName deletion={deletion} tabIndex={tabIndex} />
        {error !== undefined && !isTaken && <div class='refusal'><ProblemText error={error} /></div>}
      </div>
      <div role='gridcell' class='size'>{formatSize(deletion.size)}</div>
      <div role='gridcell' class='date'><Time timestamp={deletion.deletedAt} /></div>
      <div role='gridcell' class='date expires'><Time timestamp={deletion.expiresAt} /></div>
      <div role='gridcell' class='menu-cell'>
        <ActionButton action={restoring} data-cell tabIndex={tabIndex} aria-label={words.restoreOf(title)}>
          {words.restore}
        </ActionButton>
        <IconButton
          icon='trash' label={words.deleteForGoodNamed(title)} data-cell tabIndex={tabIndex} onClick={onDelete}
        />
      </div>
    </>
  )
}

/** A file that was deleted alone has nothing in it; all else is opened. */
function DeletionName ({ deletion, tabIndex }: { deletion: Deletion, tabIndex: number }) {
  const { deletedWith, kind, name, file } = deletion
  if (file !== undefined) return <span class='file-name'><Icon name={kindOf(file)} /><PathName name={name} /></span>
  return (
    <a class='file-name' href={`#trash/${deletedWith}`} data-cell tabIndex={tabIndex}>
      <Icon name={kind === 'file' ? 'other' : 'files'} />
      {kind === 'many' ? <FileName name={titleOf(deletion)} /> : <PathName name={name} />}
      {kind === 'folder' && <span class='count'>{contentOf(deletion)}</span>}
    </a>
  )
}

async function restoreAsOne (deletion: Deletion): Promise<void> {
  notifyRestored(words.restored(titleOf(deletion)), await restore(deletion))
}

/** Asks for another name, because the name of the deleted file is taken. */
function RestoreAs ({ deletion, onClose }: { deletion: Deletion, onClose: () => void }) {
  const { restoreAs, nameTaken, otherName } = words
  const action = async (name: string) => {
    notifyRestored(words.restored(name), await restore(deletion, name))
  }
  return (
    <NameDialog
      title={restoreAs} label={otherName} name={nextName(deletion.name)} submit={words.restore} action={action}
      onClose={onClose}
    >
      <p>{nameTaken} <FileName name={deletion.name} /></p>
    </NameDialog>
  )
}

function DeletionQuestion ({ deletion, onClose }: { deletion: Deletion, onClose: () => void }) {
  const { file } = deletion
  const action = async () => {
    await deleteForGood(deletion)
    notify({ text: words.deletedForGood(titleOf(deletion)) })
  }
  const [title, hint] = file === undefined
    ? [words.deleteThisForGood, words.deleteContent(contentOf(deletion))]
    : [words.deleteForGoodTitle, words.deleteForGoodOf(file.versions)]
  return (
    <Question title={title} label={words.deleteForGood} action={action} onClose={onClose}>
      <p>{hint} <FileName name={file === undefined ? titleOf(deletion) : deletion.name} /></p>
    </Question>
  )
}

function EmptyQuestion ({ onClose }: { onClose: () => void }) {
  return (
    <Question title={words.emptyTrash} label={words.deleteAllForGood} action={emptyTrash} onClose={onClose}>
      <p>{words.emptyTrashWarning}</p>
      <NamedEntries names={trash.entries.value.map(titleOf)} isAll={trash.isComplete.value} />
    </Question>
  )
}
