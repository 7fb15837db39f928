import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobStore } from '../blob-store.ts'
import { makeFolder, sync, writeDurably } from './durable-files.ts'

/** Marks as files in a folder of their own, which is made with the first one. */
export function createMarks (folder: string): Pick<BlobStore, 'marks' | 'mark' | 'unmark'> {
  return {
    marks: () => readdir(folder).catch(() => []),

    async mark (name) {
      await makeFolder(folder)
      await writeDurably(join(folder, name), [])
      await sync(folder)
    },

    unmark: name => rm(join(folder, name), { force: true })
  }
}
