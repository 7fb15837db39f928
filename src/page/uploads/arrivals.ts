import { filesChanged } from '../files/changes.ts'
import { notifyProblem } from '../files/files.ts'
import { notify } from '../notices.tsx'
import { joined } from '../paths.ts'
import { call } from '../session.ts'
import { texts } from '../texts.ts'
import { openFolder } from '../view.ts'
import { takeFiles } from './drops.ts'
import type { Found } from './found-files.ts'
import { addFiles } from './queue.ts'

/** Uploads files that are dropped or pasted anywhere on the page, until the returned function is called. */
export function takeArrivals (): () => void {
  return takeFiles(found => {
    // The user may open another folder while dropped folders are being read.
    const folder = openFolder.peek()
    void found.then(found => receive(found, folder))
  })
}

/** Uploads files into a folder, and creates the empty folders among them. */
export function receive ({ files, emptyFolders, leftOut, unreadable }: Found, folder: string): void {
  addFiles(files.map(({ file, path }) => ({ file, name: joined(folder, path) })))
  void createFolders(emptyFolders.map(path => joined(folder, path)))
  const leftOutNames = [...new Set(leftOut)].sort().join(', ')
  const news = [
    ...leftOut.length > 0 ? [texts.uploads.leftOut(leftOut.length, leftOutNames)] : [],
    ...unreadable.map(texts.uploads.folderUnreadable)
  ]
  if (news.length > 0) notify({ text: news.join(' ') })
}

async function createFolders (names: readonly string[]): Promise<void> {
  for (const name of names) await call(store => store.createFolder(name)).catch(notifyProblem)
  if (names.length > 0) filesChanged()
}
