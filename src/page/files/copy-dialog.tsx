import type { StoredFile } from 'magicstore'
import { Dialog } from '../dialog.tsx'
import { fieldsOf, NameField } from '../fields.tsx'
import { lastOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { nextName } from '../uploads/names.ts'
import { useAction } from '../use-action.ts'
import { copyFile } from './files.ts'

/** Asks for the name of a copy in the folder of the file. */
export function CopyDialog ({ file, onClose }: { file: StoredFile, onClose: () => void }) {
  const { run, isRunning, error } = useAction(async (name: string) => {
    await copyFile(file, name)
    onClose()
  })
  return (
    <Dialog title={texts.files.copyTitle(lastOf(file.name))} onClose={onClose}>
      <form onSubmit={event => { void run(String(fieldsOf(event).get('name'))) }}>
        <NameField label={texts.files.copyName} name={lastOf(nextName(file.name))} />
        <ProblemText error={error} />
        <button class='primary' aria-disabled={isRunning}>{texts.files.copySubmit}</button>
      </form>
    </Dialog>
  )
}
