import { isDeepStrictEqual } from 'node:util'
import { sha256Of } from '../kit/digests.ts'
import type { Answer } from '../kit/server.ts'
import { folderOutcomes, isFit, folderOf, isObstructed, lastOf, missingParents, withParents, type FolderOperation } from './model-folders.ts'

/** Bounds of a point in time, in milliseconds since 1970: the server read its clock between them. */
export interface Span { readonly from: number, readonly to: number }

export interface StoredFile {
  /** Increases with each created file; breaks ties in listings as the server's ids do. */
  readonly serial: number
  readonly name: string
  readonly bytes: Buffer
  readonly type: string
  readonly createdAt: number
  readonly updatedAt: number
  /** When these bytes were stored. */
  readonly changedAt: number
}

export interface User {
  readonly id: number
  readonly token: string
  readonly store: State
}

/** The files and folders of a user, and the serial of the next file. Immutable. */
export interface State {
  readonly files: ReadonlyMap<string, StoredFile>
  readonly folders: ReadonlySet<string>
  readonly serial: number
}

export interface Limits {
  readonly maxFileBytes: number
  readonly quotaBytes: number
  readonly quotaFiles: number
}

interface Conditional { readonly conditions: Readonly<Record<string, string>> }

/** An operation on a file, with every value that is sent. */
export type Operation =
  | { readonly kind: 'put', readonly name: string, readonly bytes: Buffer, readonly type: string } & Conditional
  | { readonly kind: 'post', readonly name: string, readonly folder: string | undefined, readonly bytes: Buffer, readonly type: string }
  | { readonly kind: 'get' | 'head' | 'metadata', readonly name: string }
  | { readonly kind: 'delete', readonly name: string } & Conditional
  | { readonly kind: 'rename', readonly name: string, readonly to: string }
  | FolderOperation

/** A response that is allowed, and the state after it. `next` throws if the rest of the response differs. */
export interface Outcome { readonly status: number, readonly code?: string, readonly next: (answer: Answer) => State }

/** The input of a judgement besides the state: the time, the limits, and the URL of the server. */
export interface Context {
  readonly span: Span
  readonly limits: Limits
  readonly url: string
  /**
   * Bytes and files in use when the request began: the server may apply a quota to these if other requests change them
   * meanwhile.
   */
  readonly usedBefore: Usage
}

/** Folders count as files. */
export interface Usage { readonly bytes: number, readonly files: number }

export const entityTag = ({ bytes }: StoredFile): string => `"${sha256Of(bytes)}"`

export function usageOf ({ files, folders }: State): Usage {
  const bytes = Array.from(files.values()).reduce((sum, { bytes }) => sum + bytes.length, 0)
  return { bytes, files: files.size + folders.size }
}

/** The key of a name; undefined if no file can have it. */
export function keyOf (name: string): string | undefined {
  const key = name.normalize('NFC')
  const segments = key.split('/')
  const isRight = segments.every(segment => segment !== '' && Buffer.byteLength(segment) <= 255 && !/[\\\p{Cc}]/u.test(segment) && segment !== '.' && segment !== '..')
  return name.isWellFormed() && isRight && isFit(folderOf(key)) ? key : undefined
}

/** The next state, by the first outcome that matches the response. @throws if none does. */
export function nextState (state: State, operation: Operation, answer: Answer, context: Context): State {
  const outcomes = outcomesOf(state, operation, context)
  const code = operation.kind !== 'head' && answer.status >= 400 ? answer.json.code : undefined
  const outcome = outcomes.find(({ status, ...expected }) => status === answer.status && (operation.kind === 'head' || expected.code === code))
  if (outcome === undefined) throw new Error(`answered ${answer.status} ${code ?? ''}, expected ${outcomes.map(({ status, code }) => `${status} ${code ?? ''}`.trim()).join(' or ')}`)
  return outcome.next(answer)
}

/** Refusals that are required, and those that are allowed but not required. */
interface Refusals {
  readonly due: [status: number, code: string][]
  readonly possible: [status: number, code: string][]
}

/** Success is allowed if no refusal is due; if several are, the server may choose one. */
function outcomesOf (state: State, operation: Operation, context: Context): Outcome[] {
  switch (operation.kind) {
    case 'put': return judged(state, putRefusals(state, operation, context), () => store(state, operation, operation.name, context))
    case 'post': return post(state, operation, context)
    case 'get':
    case 'head': return [read(state, operation.kind, operation.name)]
    case 'metadata': return [withFile(state, operation.name, file => ({ status: 200, next: answer => { expectMetadata(answer.json, file, context); return state } }))]
    case 'delete': return [withFile(state, operation.name, file => permits(operation.conditions, file) ? { status: 204, next: () => without(state, file.name) } : refusal(state, 412, 'precondition_failed'))]
    case 'rename': return rename(state, operation, context)
    default: return folderOutcomes(state, operation, context)
  }
}

export const refusal = (state: State, status: number, code: string): Outcome => ({ status, code, next: () => state })

export function judged (state: State, { due, possible }: Refusals, success: () => Outcome): Outcome[] {
  const refusals = [...due, ...possible].map(([status, code]) => refusal(state, status, code))
  return due.length === 0 ? [success(), ...refusals] : refusals
}

function withFile (state: State, name: string, outcome: (file: StoredFile) => Outcome): Outcome {
  const file = state.files.get(keyOf(name) ?? '')
  return file === undefined ? refusal(state, 404, 'not_found') : outcome(file)
}

function without (state: State, name: string): State {
  const left = new Map(state.files)
  left.delete(name)
  return { ...state, files: left }
}

function putRefusals (state: State, { name, bytes, conditions }: Extract<Operation, { kind: 'put' }>, context: Context): Refusals {
  const key = keyOf(name)
  if (key === undefined) return { due: [[400, 'name_invalid']], possible: [] }
  const current = state.files.get(key)
  const { due, possible } = sizeRefusals(state, bytes.length, { key, current }, context)
  return { due: permits(conditions, current) ? due : [...due, [412, 'precondition_failed']], possible }
}

function sizeRefusals (
  state: State,
  size: number,
  { key, current }: { key: string, current: StoredFile | undefined },
  { limits, usedBefore }: Context
): Refusals {
  const files = current === undefined ? 1 + missingParents(state, key).length : 0
  const added = { bytes: size - (current?.bytes.length ?? 0), files }
  const due: Refusals['due'] = []
  if (size > limits.maxFileBytes) due.push([413, 'file_too_large'])
  if (isObstructed(state, key)) due.push([409, 'name_taken'])
  if (isBeyond(usageOf(state), added, limits)) due.push([413, 'quota_exceeded'])
  return { due, possible: isBeyond(usedBefore, added, limits) ? [[413, 'quota_exceeded']] : [] }
}

/** Whether a quota refuses something. */
export function isBeyond (used: Usage, added: Usage, limits: Limits): boolean {
  return (added.bytes > 0 && used.bytes + added.bytes > limits.quotaBytes) ||
    (added.files > 0 && used.files + added.files > limits.quotaFiles)
}

function post (state: State, operation: Extract<Operation, { kind: 'post' }>, context: Context): Outcome[] {
  const last = operation.name.slice(Math.max(operation.name.lastIndexOf('/'), operation.name.lastIndexOf('\\')) + 1)
  const { folder = '' } = operation
  const name = folder === '' ? last : `${folder}/${last}`
  const key = keyOf(name)
  const current = state.files.get(key ?? '')
  if (current !== undefined && current.bytes.equals(operation.bytes)) {
    return [{ status: 200, next: answer => { expectMetadata(answer.json, current, context); return state } }]
  }
  const { due, possible } = sizeRefusals(state, operation.bytes.length, { key: key ?? '', current }, context)
  // The server knows whether the name is free only after reading the form, but checks the number of files before.
  if (Math.max(usageOf(state).files, context.usedBefore.files) >= context.limits.quotaFiles) possible.push([413, 'quota_exceeded'])
  if (key === undefined) due.push([400, 'name_invalid'])
  if (current !== undefined) due.push([409, 'name_taken'])
  return judged(state, { due, possible }, () => store(state, operation, name, context))
}

/** Creates or replaces a file; the server sets the times, within the span. */
function store (
  state: State, { bytes, type: declared }: { bytes: Buffer, type: string }, name: string, context: Context
): Outcome {
  const key = String(keyOf(name))
  const current = state.files.get(key)
  const type = typeOf(key, declared)
  return {
    status: current === undefined ? 201 : 200,
    next: answer => {
      const updatedAt = updatedAtOf(answer, current, context.span)
      const file = {
        name: key,
        bytes,
        type,
        updatedAt,
        changedAt: updatedAt,
        createdAt: current?.createdAt ?? updatedAt,
        serial: current?.serial ?? state.serial
      }
      expectMetadata(answer.json, file, context)
      expect('the entity tag', answer.headers.etag, entityTag(file))
      return {
        ...withParents(state, key),
        files: new Map(state.files).set(key, file),
        serial: state.serial + (current === undefined ? 1 : 0)
      }
    }
  }
}

function rename (state: State, { name, to }: Extract<Operation, { kind: 'rename' }>, context: Context): Outcome[] {
  const file = state.files.get(keyOf(name) ?? '')
  const key = keyOf(to)
  const due: Refusals['due'] = []
  if (file === undefined) due.push([404, 'not_found'])
  if (key === undefined) due.push([400, to === '' ? 'validation_failed' : 'name_invalid'])
  const isMoved = key !== undefined && key !== file?.name
  if (isMoved && (state.files.has(key) || isObstructed(state, key))) due.push([409, 'name_taken'])
  if (isMoved && isBeyond(usageOf(state), { bytes: 0, files: missingParents(state, key).length }, context.limits)) due.push([413, 'quota_exceeded'])
  return judged(state, { due, possible: [] }, () => ({
    status: 200,
    next: answer => {
      const current = file as StoredFile
      const isSame = lastOf(String(key)) === lastOf(current.name)
      const updatedAt = isSame ? current.updatedAt : updatedAtOf(answer, current, context.span)
      const renamed = { ...current, name: String(key), updatedAt }
      expectMetadata(answer.json, renamed, context)
      const files = new Map(without(state, current.name).files).set(renamed.name, renamed)
      return { ...withParents(state, renamed.name), files }
    }
  }))
}

/** The time of a change according to the server: within the span, and never before the previous change. */
function updatedAtOf ({ json }: Answer, current: Pick<StoredFile, 'updatedAt'> | undefined, { from, to }: Span): number {
  const at = Date.parse(json.updatedAt)
  const earliest = current?.updatedAt ?? 0
  if (at < Math.max(from, earliest) || at > Math.max(to, earliest)) throw new Error(`updatedAt ${json.updatedAt} is not between ${from} and ${to}`)
  return at
}

const typesByExtension: Record<string, string> = { txt: 'text/plain', json: 'application/json', pdf: 'application/pdf' }

function typeOf (name: string, declared: string): string {
  return /^[\w.+-]+\/[\w.+-]+(?:; [\w-]+=[\w-]+)*$/.test(declared) ? declared : typesByExtension[/[^.]\.(\w+)$/.exec(lastOf(name))?.[1] ?? ''] ?? 'application/octet-stream'
}

/** RFC 9110 section 13.2.2 for a method that changes the file, and the forms of conditions used here. */
function permits (
  { 'if-match': match, 'if-none-match': noneMatch, 'if-unmodified-since': unmodified }: Readonly<Record<string, string>>,
  file: StoredFile | undefined
): boolean {
  const names = (list: string, isWeakEnough: boolean) => file !== undefined &&
    (list === '*' || list.split(', ').some(tag => (isWeakEnough ? tag.replace(/^W\//, '') : tag) === entityTag(file)))
  const changedSince = (date: string) =>
    file !== undefined && Math.floor(file.updatedAt / 1000) * 1000 > Date.parse(date)
  if (match !== undefined ? !names(match, false) : unmodified !== undefined && changedSince(unmodified)) return false
  return noneMatch === undefined || !names(noneMatch, true)
}

function read (state: State, kind: 'get' | 'head', name: string): Outcome {
  return withFile(state, name, file => ({
    status: 200,
    next: answer => { expectBytes(answer, kind, file); return state }
  }))
}

function expectBytes ({ bytes, headers }: Answer, kind: 'get' | 'head', file: StoredFile): void {
  expect('the entity tag', headers.etag, entityTag(file))
  expect('Last-Modified', headers['last-modified'], new Date(file.updatedAt).toUTCString())
  expect('the bytes', bytes.toString('latin1'), kind === 'head' ? '' : file.bytes.toString('latin1'))
  expect('Content-Length', headers['content-length'], String(file.bytes.length))
  expect('Content-Type', headers['content-type'], file.type)
  expect('the name', decodeURIComponent(/filename\*=UTF-8''([^;]*)/.exec(String(headers['content-disposition']))?.[1] ?? ''), lastOf(file.name))
}

/** The metadata of a file without its ids, which the model does not foresee. */
export function withoutIds ({ id: _id, folderId: _folderId, ...metadata }: any): any {
  return metadata
}

/** The metadata of a file, as the API returns it, without its ids. */
export function metadataOf (file: StoredFile, { url }: { url: string }) {
  const { name, bytes, type, createdAt, updatedAt, changedAt } = file
  return {
    name,
    size: bytes.length,
    type,
    sha256: sha256Of(bytes),
    modifiedAt: null,
    changedAt: new Date(changedAt).toISOString(),
    takenAt: null,
    hasThumbnail: false,
    starred: false,
    createdAt: new Date(createdAt).toISOString(),
    updatedAt: new Date(updatedAt).toISOString(),
    url: `${url}/uploads/${name.split('/').map(encodeURIComponent).join('/')}`
  }
}

function expectMetadata (json: unknown, file: StoredFile, context: { url: string }): void {
  expect('the file', withoutIds(json), metadataOf(file, context))
}

/** @throws if the two are not deeply equal. */
export function expect (what: string, found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected)) throw new Error(`${what} is ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`)
}

export type FileOrder = 'name' | '-name' | 'newest' | 'oldest' | 'largest' | 'smallest'

type Comparison = (a: StoredFile, b: StoredFile) => number

// By code points, as UTF-8 sorts, and not by UTF-16 code units as JavaScript does.
const byName: Comparison = (a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))
const byAge: Comparison = (a, b) => a.createdAt - b.createdAt || a.serial - b.serial
const bySize: Comparison = (a, b) => a.bytes.length - b.bytes.length || a.serial - b.serial

const comparisons: Record<FileOrder, Comparison> = {
  name: byName,
  '-name': (a, b) => byName(b, a),
  oldest: byAge,
  newest: (a, b) => byAge(b, a),
  smallest: bySize,
  largest: (a, b) => bySize(b, a)
}

/** The files of a folder in an order of the API; ties are broken by creation, oldest first. */
export function listed (
  files: ReadonlyMap<string, StoredFile>, order: FileOrder, { folder, prefix = '' }: { folder: string, prefix?: string | undefined }
): StoredFile[] {
  return Array.from(files.values())
    .filter(({ name }) => folderOf(name) === folder && lastOf(name).startsWith(prefix.normalize('NFC')))
    .sort(comparisons[order])
}
