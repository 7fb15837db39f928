import { Icon } from '../icon.tsx'
import { texts } from '../texts.ts'
import { receive } from './arrivals.ts'
import { useChooser } from './use-chooser.ts'

interface AddFilesProps {
  /** The folder that the files go to. */
  folder: string
  label?: string
  /** The accessible name, by default the label. */
  name?: string
  class?: string
}

/** The button that chooses files to upload. */
export function AddFiles ({ folder, label = texts.uploads.add, name, class: className = 'primary' }: AddFilesProps) {
  const { open, input } = useChooser(found => receive(found, folder))
  return (
    <>
      <button type='button' class={className} aria-label={name} onClick={open}><Icon name='upload' />{label}</button>
      <input {...input} type='file' multiple hidden />
    </>
  )
}

/** The types of Preact lack it. */
const ofFolder = { webkitdirectory: true }

/** The button that chooses a folder to upload. */
export function AddFolder ({ folder }: { folder: string }) {
  const { open, input } = useChooser(found => receive(found, folder))
  return (
    <>
      <button type='button' aria-label={texts.folders.add} title={texts.folders.add} onClick={open}>
        <Icon name='addFolder' /><span class='label'>{texts.folders.add}</span>
      </button>
      <input {...input} {...ofFolder} type='file' hidden />
    </>
  )
}
