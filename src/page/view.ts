import { batch, signal } from '@preact/signals'
import { claim, claimOf } from './claim.ts'
import { providerAnswer, takeAnswer } from './identities/provider-answer.ts'
import { decodedPath, encodedPath } from './paths.ts'
import { hasLinks } from './settings.ts'

/** `recent`: what changed last. `timeline`: pictures and videos of a folder, by when they were taken. */
export type View = 'files' | 'recent' | 'starred' | 'timeline' | 'links' | 'trash' | 'account'

/** The views, in the order of the navigation. */
export const views: readonly Exclude<View, 'timeline'>[] =
  ['files', 'recent', 'starred', ...hasLinks ? ['links' as const] : [], 'trash', 'account']

/** What the page shows: the part of its address after `#`, so that the browser's back button works. */
export const view = signal(viewOf(location.hash))

/** The path of the open folder: `a/b` at `#files/a/b` and `#timeline/a/b`. Empty for the root and in other views. */
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
    providerAnswer.value = takeAnswer()
  }))
}

/** The address of a folder in the page; `query` says what of it is listed, and how. */
export function addressOf (folder: string, query: Record<string, string> = {}): string {
  const path = folder === '' ? '#files' : `#files/${encodedPath(folder)}`
  const parameters = new URLSearchParams(query).toString()
  return parameters === '' ? path : `${path}?${parameters}`
}

/** The address of the timeline of a folder in the page. */
export function timelineOf (folder: string): string {
  return addressOf(folder).replace('files', 'timeline')
}

/** What follows the folder in the address. No encoded path has a `?`. */
export function queryOf (hash: string): URLSearchParams {
  const [, query = ''] = /^#files[^?]*\?(.*)/.exec(hash) ?? []
  return new URLSearchParams(query)
}

function viewOf (hash: string): View {
  const named = views.find(name => hash === `#${name}`)
  return named ?? (deletionOf(hash) !== '' ? 'trash' : hash.startsWith('#timeline') ? 'timeline' : 'files')
}

function deletionOf (hash: string): string {
  return /^#trash\/([0-9a-f]{32})$/.exec(hash)?.[1] ?? ''
}

function folderOf (hash: string): string {
  const [, path = ''] = /^#(?:files|timeline)\/([^?]*)/.exec(hash) ?? []
  return decodedPath(path)
}
