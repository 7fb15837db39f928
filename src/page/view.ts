import { batch, signal } from '@preact/signals'
import { claim, claimOf } from './claim.ts'
import { decodedPath, encodedPath } from './paths.ts'
import { hasLinks } from './settings.ts'

export type View = 'files' | 'links' | 'trash' | 'account'

/** The views, in the order of the navigation. */
export const views: readonly View[] = ['files', ...hasLinks ? ['links' as const] : [], 'trash', 'account']

/** What the page shows: the part of its address after `#`, so that the browser's back button works. */
export const view = signal(viewOf(location.hash))

/** The path of the open folder: `a/b` at `#files/a/b`. Empty for the root, and in the other views. */
export const openFolder = signal(folderOf(location.hash))

/** The `deletedWith` of the open deletion of the trash, at `#trash/5b1c…`. Empty for the whole trash. */
export const openDeletion = signal(deletionOf(location.hash))

/** Follows the address of the page. */
export function watchView (): void {
  addEventListener('hashchange', () => batch(() => {
    view.value = viewOf(location.hash)
    openFolder.value = folderOf(location.hash)
    openDeletion.value = deletionOf(location.hash)
    claim.value = claimOf(location.hash)
  }))
}

/** The address of a folder in the page; `query` says what of it is listed, and how. */
export function addressOf (folder: string, query: Record<string, string> = {}): string {
  const path = folder === '' ? '#files' : `#files/${encodedPath(folder)}`
  const parameters = new URLSearchParams(query).toString()
  return parameters === '' ? path : `${path}?${parameters}`
}

/** What follows the folder in the address. No encoded path has a `?`. */
export function queryOf (hash: string): URLSearchParams {
  const [, query = ''] = /^#files[^?]*\?(.*)/.exec(hash) ?? []
  return new URLSearchParams(query)
}

function viewOf (hash: string): View {
  return views.find(name => hash === `#${name}`) ?? (deletionOf(hash) === '' ? 'files' : 'trash')
}

function deletionOf (hash: string): string {
  return /^#trash\/([0-9a-f]{32})$/.exec(hash)?.[1] ?? ''
}

function folderOf (hash: string): string {
  const [, path = ''] = /^#files\/([^?]*)/.exec(hash) ?? []
  return decodedPath(path)
}
