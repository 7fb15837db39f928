import { signal } from '@preact/signals'
import { statusOf } from '../errors.ts'
import { joined } from '../paths.ts'
import { loadAll } from '../requests.ts'
import type { NamedFile } from '../uploads/names.ts'
import { addFiles } from '../uploads/queue.ts'
import type { Upload } from '../uploads/upload.ts'
import { uploads } from '../uploads/upload-list.ts'
import { createMatcher } from './known-photos.ts'
import { monthOf } from './taken-month.ts'

/** The folder for pictures by month. */
const CAMERA = 'Camera'

export interface Chosen {
  readonly files: readonly File[]
  /** The folder that they go to or below, which has the others. */
  readonly folder: string
  readonly isByMonth: boolean
}

export interface Outcome {
  readonly sent: readonly Upload[]
  /** How many were there already, or are on their way. */
  readonly there: number
}

/** How many files of those that are being compared are done. */
export const compared = signal(0)

/** Uploads the pictures and videos that are not in the folder or below. @throws what `call` throws. */
export async function uploadPhotos ({ files, folder, isByMonth }: Chosen): Promise<Outcome> {
  compared.value = 0
  const isStored = createMatcher(await storedBelow(folder))
  const missing: NamedFile[] = []
  for (const file of files) {
    // One after the other: each of them is in memory while it is hashed.
    if (!isOnItsWay(file) && !await isStored(file)) missing.push(await named(file, folder, isByMonth))
    compared.value++
  }
  addFiles(missing)
  const added = new Set(missing.map(({ file }) => file))
  const sent = uploads.peek().filter(({ file }) => added.has(file))
  return { sent, there: files.length - missing.length }
}

async function storedBelow (folder: string) {
  const below = { folder, below: true, kind: 'image,video', order: 'taken' } as const
  const send = loadAll('files', (api, page) => api.GET('/api/files', { params: { query: { ...page, ...below } } }))
  return send.catch((error: unknown) => {
    if (statusOf(error) !== 404) throw error
    return []
  })
}

/** Whether the same file was chosen before and is not stored yet. */
function isOnItsWay ({ name, size, lastModified }: File): boolean {
  return uploads.peek().some(({ file }) =>
    file.name === name && file.size === size && file.lastModified === lastModified)
}

/** Cameras begin their numbers again: another picture of the same name is kept too. */
async function named (file: File, folder: string, isByMonth: boolean): Promise<NamedFile> {
  const place = isByMonth ? joined(folder, `${CAMERA}/${await monthOf(file)}`) : folder
  return { file, name: joined(place, file.name), keepsBoth: true }
}
