import type { StoredFile } from 'magicstore'
import { FileName } from '../file-name.tsx'
import { NameDialog } from '../name-dialog.tsx'
import { lastOf } from '../paths.ts'
import { Question } from '../question.tsx'
import { texts } from '../texts.ts'
import { nextName } from '../uploads/names.ts'
import { isFolder, type Entry } from './entries.ts'
import { copyFile, removeFile } from './files.ts'
import { removeFolder } from './folders.ts'

interface NewFolderProps { action: (name: string) => Promise<void>, onClose: () => void }

export function NewFolder ({ action, onClose }: NewFolderProps) {
  const { create, name, submit } = texts.folders
  return <NameDialog title={create} label={name} name='' submit={submit} action={action} onClose={onClose} />
}

/** Asks for the name of a copy in the folder of the file. */
export function CopyDialog ({ file, onClose }: { file: StoredFile, onClose: () => void }) {
  const { copyTitle, copyName, copySubmit } = texts.files
  return (
    <NameDialog
      title={copyTitle(lastOf(file.name))} label={copyName} name={lastOf(nextName(file.name))} submit={copySubmit}
      action={name => copyFile(file, name)} onClose={onClose}
    />
  )
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
    <Question title={folders.removeTitle} label={files.remove} action={() => removeFolder(entry)} onClose={onClose}>
      <p>{folders.removeHint} <FileName name={entry.name} /></p>
    </Question>
  )
}
