import { FileName } from '../file-name.tsx'
import { NameDialog } from '../name-dialog.tsx'
import { Question } from '../question.tsx'
import { texts } from '../later-texts.ts'
import { isFolder, type Entry } from './entries.ts'
import { removeFile } from './files.ts'
import { removeAll } from './many-files.ts'

interface NewFolderProps { action: (name: string) => Promise<void>, onClose: () => void }

export function NewFolder ({ action, onClose }: NewFolderProps) {
  const { create, name, submit } = texts.folders
  return <NameDialog title={create} label={name} name='' submit={submit} action={action} onClose={onClose} />
}

/** Asks before a folder that is not empty is deleted, or a file if there is no trash. */
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
    <Question
      title={folders.removeTitle} label={files.remove} action={async () => { void removeAll([entry]) }}
      onClose={onClose}
    >
      <p>{folders.removeHint} <FileName name={entry.name} /></p>
    </Question>
  )
}
