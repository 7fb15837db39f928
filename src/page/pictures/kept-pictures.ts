import { folder } from '../folder.ts'
import { createObjectStore } from '../object-store.ts'

/**
 * Small pictures that the page has seen, by what `keyOf` of `small-pictures.ts` makes. Keys begin with the path of the
 * page, because several servers can share an origin, and have the account.
 */
export const keptPictures = createObjectStore('magicstore pictures', 'pictures')

/** Deletes all small pictures, because nobody is signed in any more. */
export async function forgetPictures (): Promise<void> {
  const { pathname } = folder
  const ofPage = () => IDBKeyRange.bound([pathname], [pathname, []])
  await keptPictures('readwrite', pictures => pictures.delete(ofPage())).catch(() => {})
}
