import { useRef } from 'preact/hooks'
import { chosenFiles, type Found } from './found-files.ts'

/** The properties of an input for files, and a function that opens its dialog. */
export function useChooser (take: (found: Found) => void) {
  const input = useRef<HTMLInputElement>(null)
  function onChange ({ currentTarget }: Event): void {
    take(chosenFiles(Array.from((currentTarget as HTMLInputElement).files ?? [])))
    // Otherwise the same file could not be chosen again.
    if (input.current !== null) input.current.value = ''
  }
  return { open: () => input.current?.click(), input: { ref: input, onChange } }
}
