import type { StoredFile } from 'magicstore'
import { statusOf } from '../errors.ts'
import { notify } from '../notices.tsx'
import { joined, lastOf } from '../paths.ts'
import { request } from '../requests.ts'
import { call } from '../session.ts'
import { texts } from '../later-texts.ts'
import { openFolder } from '../view.ts'
import { editableOf, withEnds, type EditableText } from './edited-text.ts'
import { placeEntry, showEntry } from './entries.ts'
import { requireSegment } from './files.ts'
import { kindOf } from './kinds.ts'

/** Larger texts can't be changed in the page. */
const MAX_BYTES = 256 * 1024

/** A charset that is said, but is no UTF-8. */
const OTHER_CHARSET = /;\s*charset="?(?!utf-?8\b|us-ascii\b)/i

export function canEdit (file: StoredFile): boolean {
  return kindOf(file) === 'text' && file.size <= MAX_BYTES && !OTHER_CHARSET.test(file.type)
}

export interface OpenedText {
  /** The file whose content was read. */
  readonly file: StoredFile
  /** Undefined if it is no text in UTF-8. */
  readonly content: EditableText | undefined
}

/** Reads a text with the metadata of what was read, which may be newer than those of the list. @throws as `call`. */
export async function openText (file: StoredFile, signal?: AbortSignal): Promise<OpenedText> {
  try {
    return { file, content: editableOf(await readExactly(file, signal)) }
  } catch (error) {
    if (statusOf(error) !== 412) throw error
    const current = await find(file.name)
    return { file: current, content: editableOf(await readExactly(current, signal)) }
  }
}

async function readExactly ({ name, sha256 }: StoredFile, signal?: AbortSignal): Promise<Uint8Array> {
  const params = { path: { name }, header: { 'if-match': `"${sha256}"` } }
  const bytes = await request<Blob>(api =>
    api.GET('/uploads/{name}', { params, parseAs: 'blob', ...signal && { signal } }))
  // An empty file has no body.
  return new Uint8Array(await (bytes ?? new Blob()).arrayBuffer())
}

function find (name: string): Promise<StoredFile> {
  return request(api => api.GET('/api/files/{name}', { params: { path: { name } } }))
}

/**
 * Stores a changed text in place of what was read. @throws what `call` throws; `precondition_failed` if the file has
 * changed since.
 */
export async function saveText ({ file, content }: OpenedText, changed: string): Promise<StoredFile> {
  return store(file, content === undefined ? changed : withEnds(changed, content), { 'if-match': `"${file.sha256}"` })
}

/** Stores a changed text in place of whatever is there by now. @throws what `call` throws. */
export async function replaceText (opened: OpenedText, changed: string): Promise<StoredFile> {
  const current = await find(opened.file.name).catch((error: unknown) => {
    if (statusOf(error) !== 404) throw error
  })
  if (current !== undefined) return saveText({ ...opened, file: { ...opened.file, sha256: current.sha256 } }, changed)
  return store(opened.file, changed, { 'if-none-match': '*' })
}

async function store (
  { name, type }: Pick<StoredFile, 'name' | 'type'>, text: string, header: Record<string, string>
): Promise<StoredFile> {
  const body = new Blob([text])
  const init = { params: { path: { name }, header }, body, headers: { 'content-type': type } }
  const saved = await request(api => api.PUT('/uploads/{name}', init)) as StoredFile
  placeEntry(saved)
  notify({ text: texts.editor.saved(saved.name) })
  return saved
}

/** Creates an empty text file in the open folder. @throws what `call` throws; PageError for a path. */
export async function createText (name: string): Promise<StoredFile> {
  requireSegment(name)
  const ending = lastOf(name).includes('.') ? '' : '.txt'
  const path = joined(openFolder.peek(), name + ending)
  const type = ending === '' ? '' : 'text/plain; charset=utf-8'
  const created = await call(store => store.put(path, new Blob([], { type }), { ifNoneMatch: '*' }))
  showEntry(created)
  return created
}
