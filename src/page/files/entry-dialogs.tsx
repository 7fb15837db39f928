import type { StoredFile } from 'magicstore'
import { useRef } from 'preact/hooks'
import { FileName } from '../file-name.tsx'
import { NameDialog } from '../name-dialog.tsx'
import { Question } from '../question.tsx'
import { texts } from '../later-texts.ts'
import { isFolder, type Entry } from './entries.ts'
import { removeFile } from './files.ts'
import { removeAll } from './many-files.ts'
import { createText } from './text-files.ts'

interface NewFolderProps { action: (name: string) => Promise<void>, onClose: () => void }

export function NewFolder ({ action, onClose }: NewFolderProps) {
  const { create, name, submit } = texts.folders
  return <NameDialog title={create} label={name} name='' submit={submit} action={action} onClose={onClose} />
}

/** Asks for the name of a text file, which is created empty. */
export function NewText ({ onCreated, onClose }: { onCreated: (file: StoredFile) => void, onClose: () => void }) {
  const { name, offered, submit } = texts.editor
  const created = useRef<StoredFile>()
  const create = async (name: string) => { created.current = await createText(name) }
  const close = () => created.current === undefined ? onClose() : onCreated(created.current)
  const title = texts.files.newText
  return <NameDialog title={title} label={name} name={offered} submit={submit} action={create} onClose={close} />
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
