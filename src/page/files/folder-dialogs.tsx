import { Dialog } from '../dialog.tsx'
import { fieldsOf, NameField } from '../fields.tsx'
import { FileName } from '../file-name.tsx'
import { ProblemText } from '../problem.tsx'
import { Question } from '../question.tsx'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { isFolder, type Entry } from './entries.ts'
import { removeFile } from './files.ts'
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

/** Asks before a folder is deleted that is not empty, or a file that no trash keeps. */
export function RemovalQuestion ({ entry, onClose }: { entry: Entry, onClose: () => void }) {
  const { files, folders } = texts
  if (!isFolder(entry)) {
    return (
      <Question
        title={files.deleteForGoodTitle} label={files.deleteForGood} action={() => removeFile(entry)} onClose={onClose}
      >
        <p>{files.deleteForGoodOf(0)} <FileName name={entry.name} /></p>
      </Question>
    )
  }
  return (
    <Question title={folders.removeTitle} label={files.remove} action={() => removeFolder(entry)} onClose={onClose}>
      <p>{folders.removeHint} <FileName name={entry.name} /></p>
    </Question>
  )
}
