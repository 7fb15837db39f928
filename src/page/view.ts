import { signal } from '@preact/signals'

/** The views, in the order of the navigation. */
export const views = ['files', 'trash', 'account'] as const
export type View = typeof views[number]

/** What the page shows: the part of its address after `#`, so that the browser's back button works. */
export const view = signal(viewOf(location.hash))

/** Follows the address of the page. */
export function watchView (): void {
  addEventListener('hashchange', () => { view.value = viewOf(location.hash) })
}

function viewOf (hash: string): View {
  return views.find(name => hash === `#${name}`) ?? 'files'
}
