import { signal } from '@preact/signals'
import { folder } from '../folder.ts'

export type Layout = 'list' | 'tiles'

/** The storage key. It contains the path, because several servers can share an origin. */
const KEY = `layout ${folder.pathname}`

/** How files are shown. The browser keeps it. */
export const layout = signal<Layout>(stored())

export function showAs (next: Layout): void {
  layout.value = next
  try {
    localStorage.setItem(KEY, next)
  } catch {
    // The browser does not allow storage.
  }
}

function stored (): Layout {
  try {
    return localStorage.getItem(KEY) === 'tiles' ? 'tiles' : 'list'
  } catch {
    return 'list'
  }
}
