import { signal } from '@preact/signals'
import { folder } from '../folder.ts'
import { readText, writeText } from '../stored-texts.ts'

export type Layout = 'list' | 'tiles'

/** The storage key. It contains the path, because several servers can share an origin. */
const KEY = `layout ${folder.pathname}`

/** How files are shown. The browser stores it. */
export const layout = signal<Layout>(readText(KEY) === 'tiles' ? 'tiles' : 'list')

export function showAs (next: Layout): void {
  layout.value = next
  writeText(KEY, next)
}
