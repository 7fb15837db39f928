import type { StoredFile } from 'magicstore'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { isFocusLost } from '../focus.ts'
import { lastOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
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

interface PreviewProps {
  file: StoredFile
  onMove: (file: StoredFile) => void
  onVersions: () => void
  /** Asks before the file is deleted for good. */
  onRemove: () => void
  onClose: () => void
}

/** A preview of a file in the list, with what can be done with it. */
export function Preview ({ file, onMove, onVersions, onRemove, onClose }: PreviewProps) {
  const [isRenaming, setRenaming] = useState(false)
  const move = (target: StoredFile) => {
    filesFocus.active.value = { key: target.name, column: 0 }
    setRenaming(false)
    onMove(target)
  }
  const renameShown = async (newName: string) => {
    onMove(await rename(file, newName))
    setRenaming(false)
  }
  const renameButton = useRef<HTMLButtonElement>(null)
  // The focused input has been removed.
  useEffect(() => { if (!isRenaming && isFocusLost()) renameButton.current?.focus() }, [isRenaming])
  const acts = (
    <>
      <FileActs file={file} onRemove={onRemove} onClose={onClose}>
        <button type='button' ref={renameButton} onClick={() => setRenaming(true)}>{texts.files.rename}</button>
        <button type='button' onClick={onVersions}>{texts.files.versions}</button>
      </FileActs>
      {isRenaming && (
        <RenameForm
          key={file.name} name={lastOf(file.name)} action={renameShown} onCancel={() => setRenaming(false)}
        />
      )}
    </>
  )
  return (
    <PreviewFrame
      {...useNeighbours(file)} file={file} onMove={move} onClose={onClose} closesOutside={!isRenaming} acts={acts}
      words={{ ...texts.files, details: texts.viewer.details }} read={read} details={<Details file={file} />}
      // The key loads it again after a new sign-in.
      content={address => (
        <PreviewContent key={`${file.name} ${file.sha256} ${session.value.kind}`} content={file} ahead={address} />
      )}
    />
  )
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
