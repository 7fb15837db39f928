import { notify } from '../notices.tsx'
import { lastOf, parentOf } from '../paths.ts'
import { request } from '../requests.ts'
import { texts } from '../texts.ts'
import { bytesAddress, zipDownload, type Wanted } from '../worker-link.ts'

/** The bytes of a file, or of one of its versions. */
export interface Bytes {
  readonly name: string
  readonly size: number
  readonly version?: string | undefined
}

/** Frames of the latest downloads. A frame must stay until its download has begun, but no event reports that. */
const frames: HTMLIFrameElement[] = []
const MAX_FRAMES = 20

/**
 * Lets the browser save a file, with its own progress. Without the service worker, the file is loaded into memory
 * first.
 * @throws MagicStoreError if the server refuses, and TypeError if it can't be reached.
 */
export async function download (bytes: Bytes): Promise<void> {
  // The response in a frame can't be read: this request reports why the server refuses.
  await readBytes(bytes, 1)
  const address = bytesAddress(bytes)
  if (address !== undefined) loadInFrame(address, bytes.name)
  else save(await readBytes(bytes), bytes.name)
}

/**
 * Lets the browser save a folder, or files and folders, as a zip. Resolves when the zip begins. Without the service
 * worker, the zip is loaded into memory first.
 * @throws MagicStoreError if the server refuses, and TypeError if it can't be reached.
 */
export async function downloadZip (wanted: Wanted): Promise<void> {
  const download = zipDownload(wanted)
  const name = zipName(wanted)
  if (download === undefined) return save(await readZip(wanted), name)
  loadInFrame(download.address, name)
  await download.begun
}

function readZip (wanted: Wanted): Promise<Blob> {
  return request<Blob>(api => 'folder' in wanted
    ? api.GET('/api/zip', { params: { query: wanted }, parseAs: 'blob' })
    : api.POST('/api/zip', { body: { names: [...wanted.names] }, parseAs: 'blob' }))
}

function zipName (wanted: Wanted): string {
  const folder = 'folder' in wanted ? wanted.folder : parentOf(wanted.names[0] ?? '')
  return `${lastOf(folder) || texts.files.zip}.zip`
}

/** Reads the first `count` bytes, by default all. @throws what `call` throws. */
export async function readBytes ({ name, size, version }: Bytes, count = size, signal?: AbortSignal): Promise<Blob> {
  const range = count < size ? { range: `bytes=0-${count - 1}` } : {}
  // A request with a condition is never redirected to a bucket, from which the page may not load.
  const header = { ...range, 'if-match': '*' }
  const params = { path: { name }, query: version === undefined ? {} : { version }, header }
  const init = { params, parseAs: 'blob', ...(signal && { signal }) } as const
  return await request(api => api.GET('/uploads/{name}', init)) ?? new Blob()
}

function loadInFrame (address: string, name: string): void {
  const frame = document.createElement('iframe')
  frame.hidden = true
  frame.title = texts.files.download
  frame.src = address
  // A download does not cause this event; an error page does.
  frame.addEventListener('load', () => notify({ text: texts.files.downloadFailed(name) }))
  document.body.append(frame)
  frames.push(frame)
  if (frames.length > MAX_FRAMES) frames.shift()?.remove()
}

function save (blob: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = lastOf(name)
  link.click()
  // Once the download has begun, the browser no longer needs the address.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}
