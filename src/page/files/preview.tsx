import { useEffect, useRef, useState } from 'preact/hooks'
import type { StoredFile } from 'magicstore'
import { Dialog } from '../dialog.tsx'
import { Icon } from '../icon.tsx'
import { ProblemText } from '../problem.tsx'
import { session } from '../session.ts'
import { texts } from '../texts.ts'
import { useAct } from '../use-act.ts'
import { download } from './downloads.ts'
import { Facts } from './facts.tsx'
import { files, filesFocus, removeFile, renameFile } from './files.ts'
import { PreviewContent } from './preview-content.tsx'
import { RenameForm } from './rename-form.tsx'

interface PreviewProps {
  file: StoredFile
  onMove: (file: StoredFile) => void
  onVersions: () => void
  onClose: () => void
}

/** One file, and the way to those next to it. */
export function Preview ({ file, onMove, onVersions, onClose }: PreviewProps) {
  const [isRenaming, setRenaming] = useState(false)
  const { previous, next } = useNeighbours(file)
  const move = (target: StoredFile | undefined) => {
    if (target === undefined) return
    filesFocus.active.value = { key: target.name, column: 0 }
    setRenaming(false)
    onMove(target)
  }
  // Arrows have a meaning of their own in players, texts and inputs.
  function press ({ key, target }: KeyboardEvent): void {
    if (target instanceof HTMLButtonElement && key === 'ArrowLeft') move(previous)
    if (target instanceof HTMLButtonElement && key === 'ArrowRight') move(next)
  }
  const rename = async (newName: string) => {
    onMove(await renameFile(file, newName))
    setRenaming(false)
  }
  const toolbar = useRef<HTMLDivElement>(null)
  // The input that had the focus is gone.
  useEffect(() => {
    if (!isRenaming && document.activeElement === document.body) toolbar.current?.querySelector<HTMLElement>('[data-rename]')?.focus()
  }, [isRenaming])
  return (
    <Dialog title={file.name} class='wide preview' onClose={onClose}>
      <div class='preview-body' onKeyDown={press}>
        <div class='actions' ref={toolbar}>
          <Step icon='previous' label={texts.files.previous} target={previous} act={move} />
          <Step icon='next' label={texts.files.next} target={next} act={move} />
          <button type='button' data-rename onClick={() => setRenaming(true)}>{texts.files.rename}</button>
          <button type='button' onClick={onVersions}>{texts.files.versions}</button>
          <FileActs file={file} onClose={onClose} />
        </div>
        {isRenaming && <RenameForm key={file.name} name={file.name} act={rename} onCancel={() => setRenaming(false)} />}
        {/* Once more after a new sign-in. */}
        <PreviewContent key={`${file.name} ${file.sha256} ${session.value.kind}`} content={file} />
        <Facts key={file.sha256} {...file} dates={[[texts.files.facts.created, file.createdAt], [texts.files.facts.updated, file.updatedAt]]} />
      </div>
    </Dialog>
  )
}

/** The files before and after it in the list, as far as that is loaded. If it has left the list, those around its place. */
function useNeighbours ({ name }: StoredFile): { previous: StoredFile | undefined, next: StoredFile | undefined } {
  const last = useRef(0)
  const entries = files.entries.value
  const index = entries.findIndex(entry => entry.name === name)
  if (index !== -1) last.current = index
  return { previous: entries[last.current - 1], next: entries[index === -1 ? last.current : index + 1] }
}

interface StepProps { icon: 'previous' | 'next', label: string, target: StoredFile | undefined, act: (target: StoredFile | undefined) => void }

/** Keeps the focus at the end of the list: a disabled button would lose it. */
function Step ({ icon, label, target, act }: StepProps) {
  return (
    <button type='button' class='quiet' aria-disabled={target === undefined} aria-label={label} onClick={() => act(target)}>
      <Icon name={icon} />
    </button>
  )
}

/** Download and deletion, and why they failed. */
function FileActs ({ file, onClose }: { file: StoredFile, onClose: () => void }) {
  const downloading = useAct(() => download(file))
  const removing = useAct(async () => {
    await removeFile(file)
    onClose()
  })
  return (
    <>
      <button type='button' class='primary' aria-disabled={downloading.isRunning} onClick={() => { void downloading.run() }}>
        {texts.files.download}
      </button>
      <button type='button' class='danger' aria-disabled={removing.isRunning} onClick={() => { void removing.run() }}>
        {texts.files.remove}
      </button>
      <ProblemText error={downloading.error ?? removing.error} />
    </>
  )
}
