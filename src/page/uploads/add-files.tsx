import { useRef } from 'preact/hooks'
import { Icon } from '../icon.tsx'
import { texts } from '../texts.ts'
import { addFiles } from './queue.ts'

interface AddFilesProps {
  label?: string
  /** The accessible name, by default the label. */
  name?: string
  class?: string
}

/** The button that chooses files to upload. */
export function AddFiles ({ label = texts.uploads.add, name, class: className = 'primary' }: AddFilesProps) {
  const input = useRef<HTMLInputElement>(null)
  function add ({ currentTarget }: Event): void {
    const { files } = currentTarget as HTMLInputElement
    addFiles(Array.from(files ?? []))
    // Otherwise the same file could not be chosen again.
    if (input.current !== null) input.current.value = ''
  }
  return (
    <>
      <button type='button' class={className} aria-label={name} onClick={() => input.current?.click()}>
        <Icon name='upload' />{label}
      </button>
      <input ref={input} type='file' multiple hidden onChange={add} />
    </>
  )
}
