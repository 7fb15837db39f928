import type { StoredFile } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { isFocusLost } from '../focus.ts'
import { lastOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { useUnsaved } from '../links/use-unsaved.tsx'
import { session } from '../session-state.ts'
import { hasTrash } from '../settings.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { download, readBytes } from './downloads.ts'
import { files, filesFocus } from './entries.ts'
import { FileDetails } from './file-details.tsx'
import { removeFile } from './files.ts'
import { rename } from './folders.ts'
import { kindOf } from './kinds.ts'
import { PictureFacts } from './picture-facts.tsx'
import { PreviewContent } from './preview-content.tsx'
import { PreviewFrame } from './preview-frame.tsx'
import { RenameForm } from './rename-form.tsx'
import { TextEditor } from './text-editor.tsx'
import { canEdit } from './text-files.ts'

interface PreviewProps {
  file: StoredFile
  /** Whether its text is to be changed first. */
  isEdited?: boolean
  onMove: (file: StoredFile) => void
  onVersions: () => void
  /** Asks before the file is deleted for good. */
  onRemove: () => void
  onClose: () => void
}

/** A preview of a file in the list, with what can be done with it. */
export function Preview ({ file, isEdited = false, onMove, onVersions, onRemove, onClose }: PreviewProps) {
  const [mode, setMode] = useState<'seen' | 'renamed' | 'edited'>(isEdited ? 'edited' : 'seen')
  const unsaved = useUnsaved(onClose)
  const show = (shown: StoredFile) => {
    filesFocus.active.value = { key: shown.name, column: 0 }
    setMode('seen')
    onMove(shown)
  }
  const buttons = useModeButtons(mode)
  const acts = mode !== 'edited' && (
    <FileActs file={file} onRemove={onRemove} onClose={onClose}>
      {canEdit(file) && (
        <button type='button' ref={buttons.edited} onClick={() => setMode('edited')}>{texts.editor.edit}</button>
      )}
      <button type='button' ref={buttons.renamed} onClick={() => setMode('renamed')}>{texts.files.rename}</button>
      <button type='button' onClick={onVersions}>{texts.files.versions}</button>
    </FileActs>
  )
  const stop = () => setMode('seen')
  const renameShown = async (newName: string) => show(await rename(file, newName))
  return (
    <PreviewFrame
      {...useNeighbours(file)} file={file} onMove={next => unsaved.leave(() => show(next))} onClose={unsaved.close}
      closesOutside={mode === 'seen'} read={read} details={mode !== 'edited' && <Details file={file} />}
      words={{ ...texts.files, details: texts.viewer.details }}
      acts={(
        <>
          {acts}
          {mode === 'renamed' &&
            <RenameForm key={file.name} name={lastOf(file.name)} action={renameShown} onCancel={stop} />}
          {unsaved.question}
        </>
      )}
      content={address => mode === 'edited'
        ? <TextEditor key={file.name} file={file} unsaved={unsaved} onSaved={show} onCancel={stop} />
        // The key loads it again after a new sign-in.
        : <PreviewContent key={`${file.name} ${file.sha256} ${session.value.kind}`} content={file} ahead={address} />}
    />
  )
}

/** The buttons that begin to rename and to edit. One gets the focus when that ends, because the field is gone. */
function useModeButtons (mode: 'seen' | 'renamed' | 'edited') {
  const buttons = { renamed: useRef<HTMLButtonElement>(null), edited: useRef<HTMLButtonElement>(null) }
  const before = useRef(mode)
  useEffect(() => {
    const last = before.current
    before.current = mode
    if (mode === 'seen' && last !== 'seen' && isFocusLost()) buttons[last].current?.focus()
  }, [mode])
  return buttons
}

const read = (file: StoredFile, signal: AbortSignal) => readBytes(file, file.size, signal)

function Details ({ file }: { file: StoredFile }) {
  const isPicture = ['image', 'video'].includes(kindOf(file))
  const readFirst = (count: number, signal?: AbortSignal) => readBytes(file, count, signal)
  return (
    <>
      {isPicture && <PictureFacts key={file.sha256} words={texts.viewer} file={file} read={readFirst} />}
      <FileDetails key={file.sha256} {...file} dates={[['created', file.createdAt], ['updated', file.updatedAt]]} />
    </>
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
