import { useEffect, useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { FileName } from '../file-name.tsx'
import { folder } from '../folder.ts'
import { forgetShared, loadShared } from '../shared-files.ts'
import { texts } from '../later-texts.ts'
import { openFolder } from '../view.ts'
import { receive } from './arrivals.ts'
import { chosenFiles } from './found-files.ts'

/** The most names that are shown. */
const MAX_NAMES = 5

/** Asks whether files that another app shared with this page are to be uploaded. */
export function SharedQuestion () {
  const [files, setFiles] = useState<readonly File[]>([])
  // Fails if the browser allows no storage: then nothing was shared.
  useEffect(() => { loadShared(folder.href).then(setFiles, () => {}) }, [])
  const decide = async (shared: readonly File[]) => {
    setFiles([])
    receive(chosenFiles(shared), openFolder.peek())
    await forgetShared(folder.href)
  }
  if (files.length === 0) return null
  const { title, hint, add, discard } = texts.uploads.shared
  return (
    <Dialog title={title} onClose={() => setFiles([])}>
      <p>{hint}</p>
      <ul class='names'>
        {files.slice(0, MAX_NAMES).map(({ name }, index) => <li key={index}><FileName name={name} /></li>)}
      </ul>
      {files.length > MAX_NAMES && <p class='muted'>{texts.uploads.more(files.length - MAX_NAMES)}</p>}
      <div class='actions end'>
        <button type='button' onClick={() => { void decide([]) }}>{discard}</button>
        <button type='button' class='primary' data-autofocus onClick={() => { void decide(files) }}>{add}</button>
      </div>
    </Dialog>
  )
}
