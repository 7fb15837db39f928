import type { StoredFile } from 'magicstore'
import { call } from '../session.ts'
import { session, usernameOf } from '../session-state.ts'
import { folder } from '../folder.ts'
import { forgetPictures, keptPictures } from './kept-pictures.ts'
import { canMake, makePicture, type Made } from './making.ts'
import { localSource, remoteSource } from './sources.ts'

/** How many small pictures are loaded or made at a time. */
const MAX_RUNNING = 3

/** The browser keeps so many, of about 20 kB each. Then all are deleted: those in use come back from the server. */
const MAX_KEPT = 5000

/** In place of a small picture that can't be made. */
const NONE = new ArrayBuffer(0)

let running = 0

/** What waits for its turn. The newest is next: older ones may have left the view. */
const waiting: (() => void)[] = []

/** Small pictures that are being made of files that were uploaded, by key. */
const making = new Map<string, Promise<Blob | undefined>>()

/** The files that got a small picture after they were listed, by key. */
const stored = new Set<string>()

/**
 * The small picture of a file: the one that this browser keeps, else the one that the server has, else a new one, which
 * the server and the browser keep. Undefined if there can be none.
 * @throws what `call` throws, and the errors of files that this browser can't decode.
 */
export async function smallPictureOf (file: StoredFile, signal: AbortSignal): Promise<Blob | undefined> {
  const source = remoteSource(file)
  if (!file.hasThumbnail && !canMake(source)) return undefined
  const key = keyOf(file)
  const kept = await load(key)
  if (kept !== undefined) return kept.size === 0 ? undefined : kept
  const picture = await making.get(key)
  if (picture !== undefined) return picture
  return inTurn(async () => {
    signal.throwIfAborted()
    if (!file.hasThumbnail && !stored.has(key)) return store(file, await makePicture(source, signal))
    return keep(key, await call(store => store.thumbnail(file, { signal })))
  })
}

/** Makes and stores the small picture of a file that was uploaded from this device. It fails in silence. */
export function pictureUploaded (file: StoredFile, local: File): void {
  const source = localSource(file, local)
  const key = keyOf(file)
  if (file.hasThumbnail || !canMake(source)) return
  const made = inTurn(async () => store(file, await makePicture(source)))
    .catch(() => undefined)
    .finally(() => making.delete(key))
  making.set(key, made)
}

async function inTurn<Result> (action: () => Promise<Result>): Promise<Result> {
  if (running >= MAX_RUNNING) await new Promise<void>(resolve => waiting.push(resolve))
  running++
  try {
    return await action()
  } finally {
    running--
    waiting.pop()?.()
  }
}

/** Stores what was made. The server may refuse it, for want of space or rights: what is shown stays the same. */
async function store (file: StoredFile, { picture, takenAt }: Made): Promise<Blob | undefined> {
  const key = keyOf(file)
  await keep(key, picture)
  const told = picture === undefined
    ? takenAt !== undefined && call(store => store.setTakenAt(file, takenAt))
    : call(store => store.putThumbnail(file, picture, { takenAt })).then(() => stored.add(key))
  await Promise.resolve(told).catch(() => {})
  return picture
}

/** Keeps a small picture in this browser, or that there is none. */
async function keep (key: string, picture: Blob | undefined): Promise<Blob | undefined> {
  const bytes = await picture?.arrayBuffer() ?? NONE
  if (session.peek().kind !== 'open') return picture
  try {
    if (await keptPictures('readonly', pictures => pictures.count()) >= MAX_KEPT) await forgetPictures()
    await keptPictures('readwrite', pictures => pictures.put(bytes, JSON.parse(key) as string[]))
  } catch {
    // The browser allows no storage, or has no space.
  }
  return picture
}

async function load (key: string): Promise<Blob | undefined> {
  const get = (pictures: IDBObjectStore) => pictures.get(JSON.parse(key) as string[])
  const bytes = await keptPictures<ArrayBuffer | undefined>('readonly', get).catch(() => undefined)
  return bytes && new Blob([bytes])
}

/** Another content of the same file has another key, and so has another account. */
function keyOf ({ id, sha256 }: StoredFile): string {
  return JSON.stringify([folder.pathname, usernameOf(session.peek()), id, sha256])
}
