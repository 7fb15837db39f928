import type { StoredFile } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { NEXT_KEY, PREVIOUS_KEY } from '../direction.ts'
import { FileName } from '../file-name.tsx'
import { isFocusLost } from '../focus.ts'
import { IconButton } from '../icon-button.tsx'
import { lastOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { session } from '../session-state.ts'
import { hasTrash } from '../settings.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { download } from './downloads.ts'
import { files, filesFocus } from './entries.ts'
import { FileDetails } from './file-details.tsx'
import { removeFile } from './files.ts'
import { rename } from './folders.ts'
import { PreviewContent } from './preview-content.tsx'
import { RenameForm } from './rename-form.tsx'
import { useSwipe } from './swipe.ts'

/** What uses the arrow keys itself. */
const ARROW_USERS = 'input, audio, video, pre, iframe'

interface PreviewProps {
  file: StoredFile
  onMove: (file: StoredFile) => void
  onVersions: () => void
  /** Asks before the file is deleted for good. */
  onRemove: () => void
  onClose: () => void
}

/** A preview of a file, with buttons for the previous file and the next one. */
export function Preview ({ file, onMove, onVersions, onRemove, onClose }: PreviewProps) {
  const [isRenaming, setRenaming] = useState(false)
  const { previous, next } = useNeighbours(file)
  const move = (target: StoredFile | undefined) => {
    if (target === undefined) return
    filesFocus.active.value = { key: target.name, column: 0 }
    setRenaming(false)
    onMove(target)
  }
  const body = useRef<HTMLDivElement>(null)
  function press (event: KeyboardEvent): void {
    const { key, target, altKey, ctrlKey, metaKey } = event
    if (altKey || ctrlKey || metaKey || (target instanceof Element && target.closest(ARROW_USERS) !== null)) return
    if (key === PREVIOUS_KEY) move(previous)
    else if (key === NEXT_KEY) move(next)
  }
  useSwipe(body, { onPrevious: () => move(previous), onNext: () => move(next) })
  const renameShown = async (newName: string) => {
    onMove(await rename(file, newName))
    setRenaming(false)
  }
  const renameButton = useRef<HTMLButtonElement>(null)
  // The focused input has been removed.
  useEffect(() => { if (!isRenaming && isFocusLost()) renameButton.current?.focus() }, [isRenaming])
  // In the head of the dialog, whose size is that of the window: they stay where they are.
  const steps = (
    <>
      <Step icon='previous' target={previous} action={move} />
      <Step icon='next' target={next} action={move} />
    </>
  )
  return (
    <Dialog
      title={<FileName name={lastOf(file.name)} />} class='wide preview' onClose={onClose} onKeyDown={press}
      closesOutside={!isRenaming} controls={steps}
    >
      <div class='preview-body' ref={body} tabIndex={-1}>
        <FileActs file={file} onRemove={onRemove} onClose={onClose}>
          <button type='button' ref={renameButton} onClick={() => setRenaming(true)}>{texts.files.rename}</button>
          <button type='button' onClick={onVersions}>{texts.files.versions}</button>
        </FileActs>
        {isRenaming && (
          <RenameForm
            key={file.name} name={lastOf(file.name)} action={renameShown} onCancel={() => setRenaming(false)}
          />
        )}
        {/* The key loads it again after a new sign-in. */}
        <PreviewContent key={`${file.name} ${file.sha256} ${session.value.kind}`} content={file} />
        <FileDetails key={file.sha256} {...file} dates={[['created', file.createdAt], ['updated', file.updatedAt]]} />
      </div>
    </Dialog>
  )
}

/**
 * The files before and after a file in the loaded part of the list. If the file has left the list, those around its
 * place.
 */
function useNeighbours ({ name }: StoredFile): { previous: StoredFile | undefined, next: StoredFile | undefined } {
  const last = useRef(0)
  const entries = files.value
  const index = entries.findIndex(entry => entry.name === name)
  if (index !== -1) last.current = index
  return { previous: entries[last.current - 1], next: entries[index === -1 ? last.current : index + 1] }
}

interface StepProps {
  icon: 'previous' | 'next'
  target: StoredFile | undefined
  action: (target: StoredFile | undefined) => void
}

/** A button that shows a neighbour. Without one it is only `aria-disabled`: a disabled button loses the focus. */
function Step ({ icon, target, action }: StepProps) {
  const isDisabled = target === undefined
  return <IconButton icon={icon} label={texts.files[icon]} aria-disabled={isDisabled} onClick={() => action(target)} />
}

interface FileActsProps extends Pick<PreviewProps, 'file' | 'onRemove' | 'onClose'> {
  /** Between download and deletion, so that nobody presses the one instead of the other. */
  children: ComponentChildren
}

/** The buttons for download and deletion, and why they failed. */
function FileActs ({ file, onRemove, onClose, children }: FileActsProps) {
  const downloading = useAction(() => download(file))
  const removing = useAction(async () => {
    if (!hasTrash) return onRemove()
    await removeFile(file)
    onClose()
  })
  return (
    <div class='actions'>
      <ActionButton action={downloading} class='primary'>{texts.files.download}</ActionButton>
      {children}
      <ActionButton action={removing} class='danger'>{texts.files.remove}</ActionButton>
      <ProblemText error={downloading.error ?? removing.error} />
    </div>
  )
}
