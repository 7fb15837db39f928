import { expect, isBeyond, judged, keyOf, refusal, usageOf, type Context, type Outcome, type State } from './model.ts'

// The tree of the model is nothing but paths: a folder is there if its path is in a set.

/** An operation on a folder. */
export type FolderOperation =
  | { readonly kind: 'make folder', readonly name: string }
  | { readonly kind: 'move folder', readonly name: string, readonly to: string }
  | { readonly kind: 'delete folder' | 'delete tree', readonly name: string }

const MAX_FOLDER_BYTES = 768
const MAX_FOLDER_SEGMENTS = 31

/** The path of the folder that something is in; empty for the root. */
export const folderOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0))

export const lastOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

/** The folders that something is in, the outermost first. */
export function parentsOf (path: string): string[] {
  const folder = folderOf(path)
  return folder === '' ? [] : [...parentsOf(folder), folder]
}

/** The key of a folder; undefined if none can have this path. */
export function folderKeyOf (path: string): string | undefined {
  const key = keyOf(path)
  return key !== undefined && isFit(key) ? key : undefined
}

export function isFit (folder: string): boolean {
  return Buffer.byteLength(folder) <= MAX_FOLDER_BYTES && folder.split('/').length <= MAX_FOLDER_SEGMENTS
}

export const missingParents = ({ folders }: State, path: string): string[] =>
  parentsOf(path).filter(parent => !folders.has(parent))

/** Whether nothing can be added there: a folder has the name, or a parent is a file. */
export function isObstructed ({ files, folders }: State, path: string): boolean {
  return folders.has(path) || parentsOf(path).some(parent => files.has(parent))
}

export const withParents = (state: State, path: string): State =>
  ({ ...state, folders: new Set([...state.folders, ...parentsOf(path)]) })

const isBelow = (name: string, path: string) => name.startsWith(`${path}/`)

export function folderOutcomes (state: State, operation: FolderOperation, context: Context): Outcome[] {
  switch (operation.kind) {
    case 'make folder': return make(state, operation, context)
    case 'move folder': return move(state, operation, context)
    case 'delete folder': return [withFolder(state, operation.name, path => remove(state, path))]
    case 'delete tree': return [withFolder(state, operation.name, path => ({ status: 204, next: () => removeTree(state, path) }))]
  }
}

function withFolder (state: State, name: string, outcome: (path: string) => Outcome): Outcome {
  const path = folderKeyOf(name)
  return path === undefined || !state.folders.has(path) ? refusal(state, 404, 'not_found') : outcome(path)
}

/** Why a folder can't come to a path. */
function refusals (state: State, path: string, added: number, { limits }: Context): [number, string][] {
  const files = added + missingParents(state, path).length
  return [
    ...(isObstructed(state, path) || state.files.has(path) ? [[409, 'name_taken'] as [number, string]] : []),
    ...(isBeyond(usageOf(state), { bytes: 0, files }, limits) ? [[413, 'quota_exceeded'] as [number, string]] : [])
  ]
}

function make (state: State, { name }: { name: string }, context: Context): Outcome[] {
  const path = folderKeyOf(name)
  if (path === undefined) return [refusal(state, 400, 'name_invalid')]
  const isThere = state.folders.has(path)
  return judged(state, { due: isThere ? [] : refusals(state, path, 1, context), possible: [] }, () => ({
    status: isThere ? 200 : 201,
    next: answer => {
      expect('the folder', answer.json.name, path)
      const made = withParents(state, path)
      return { ...made, folders: new Set([...made.folders, path]) }
    }
  }))
}

function move (state: State, { name, to }: { name: string, to: string }, context: Context): Outcome[] {
  const path = folderKeyOf(name)
  const target = folderKeyOf(to)
  const due: [number, string][] = []
  if (path === undefined || !state.folders.has(path)) due.push([404, 'not_found'])
  if (target === undefined) due.push([400, to === '' ? 'validation_failed' : 'name_invalid'])
  if (path === undefined || target === undefined || due.length > 0) return judged(state, { due, possible: [] }, () => refusal(state, 500, ''))
  const moved = (each: string) => each === path || isBelow(each, path) ? target + each.slice(path.length) : each
  if (isBelow(target, path)) due.push([400, 'folder_into_itself'])
  else if (target !== path) {
    due.push(...refusals(state, target, 0, context))
    if (Array.from(state.folders).some(folder => !isFit(moved(folder)))) due.push([400, 'name_invalid'])
  }
  return judged(state, { due, possible: [] }, () => ({
    status: 200,
    next: answer => {
      expect('the folder', answer.json.name, target)
      const files = Array.from(state.files.values(), file => ({ ...file, name: moved(file.name) }))
      const folders = [...Array.from(state.folders, moved), ...parentsOf(target)]
      return { ...state, files: new Map(files.map(file => [file.name, file])), folders: new Set(folders) }
    }
  }))
}

function remove (state: State, path: string): Outcome {
  const isEmpty = ![...state.files.keys(), ...state.folders].some(name => isBelow(name, path))
  if (!isEmpty) return refusal(state, 409, 'folder_not_empty')
  const folders = new Set(Array.from(state.folders).filter(folder => folder !== path))
  return { status: 204, next: () => ({ ...state, folders }) }
}

function removeTree (state: State, path: string): State {
  return {
    ...state,
    files: new Map(Array.from(state.files).filter(([name]) => !isBelow(name, path))),
    folders: new Set(Array.from(state.folders).filter(folder => folder !== path && !isBelow(folder, path)))
  }
}
