import type { Folder } from 'magicstore'
import { Dialog } from '../dialog.tsx'
import { fieldsOf, NameField } from '../fields.tsx'
import { FileName } from '../file-name.tsx'
import { ProblemText } from '../problem.tsx'
import { Question } from '../question.tsx'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { createFolder, removeFolder } from './folders.ts'

/** Asks for the name of a new folder. */
export function NewFolder ({ onClose }: { onClose: () => void }) {
  const { run, isRunning, error } = useAction(async (name: string) => {
    await createFolder(name)
    onClose()
  })
  return (
    <Dialog title={texts.folders.create} onClose={onClose}>
      <form onSubmit={event => { void run(String(fieldsOf(event).get('name'))) }}>
        <NameField label={texts.folders.name} name='' />
        <ProblemText error={error} />
        <button class='primary' aria-disabled={isRunning}>{texts.folders.submit}</button>
      </form>
    </Dialog>
  )
}

/** Asks before a folder is deleted that is not empty. */
export function RemovalQuestion ({ folder, onClose }: { folder: Folder, onClose: () => void }) {
  const { removeTitle, removeHint } = texts.folders
  return (
    <Question title={removeTitle} label={texts.files.remove} action={() => removeFolder(folder)} onClose={onClose}>
      <p>{removeHint} <FileName name={folder.name} /></p>
    </Question>
  )
}
