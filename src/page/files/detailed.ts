import { signal } from '@preact/signals'
import type { Entry } from './entries.ts'

/** The entry whose details are shown. */
export const detailed = signal<Entry | undefined>(undefined)

export function showDetails (entry: Entry): void {
  detailed.value = entry
}

export function hideDetails (): void {
  detailed.value = undefined
}
