import { signal } from '@preact/signals'

/** Counts changes of the account's files. Lists and usage ask the server again when it changes. */
export const changes = signal(0)

/** Call it after a file was stored, renamed, deleted or restored, here or elsewhere. */
export function filesChanged (): void {
  changes.value++
}
