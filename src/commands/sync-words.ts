import type { Act, ActKind, LocalEntry, MirrorEntry } from '../sync/plan.ts'
import type { RunResult, Wait } from '../sync/sync.ts'

/** What an act is called; undefined if it changes no side. `here` is this computer. */
const NAMES: Record<ActKind, string | undefined> = {
  move: undefined,
  settle: undefined,
  forget: undefined,
  'move here': 'move here',
  'move there': 'move on the server',
  'make here': 'create folder here',
  'make there': 'create folder on the server',
  download: 'download',
  upload: 'upload',
  'conflict here': 'conflict, rename here',
  'conflict there': 'conflict, rename on the server',
  'delete here': 'delete here',
  'delete there': 'delete on the server'
}

/** What a person reads of an act, and programs. */
export interface Told {
  readonly act: ActKind
  readonly path: string
  readonly kind: LocalEntry['kind']
  readonly to?: string
  readonly bytes?: number
}

/** What is told of an act; undefined if it changes no side. */
export function tellAct ({ what, local, mirror, to }: Act): Told | undefined {
  if (NAMES[what] === undefined) return undefined
  // Such an act is about what is on one of the sides.
  const { path, kind } = ((what.endsWith(' there') ? mirror : undefined) ?? local ?? mirror) as LocalEntry | MirrorEntry
  const size = bytesOf({ what, local, mirror })
  return { act: what, path, kind, ...to !== undefined && { to }, ...size !== undefined && { bytes: size } }
}

/** How many bytes an act carries. */
function bytesOf ({ what, local, mirror }: Pick<Act, 'what' | 'local' | 'mirror'>): number | undefined {
  if (what === 'upload') return local?.size
  return what === 'download' ? mirror?.size : undefined
}

/** An act that was made. */
export function lineOf ({ act, path, to }: Told): string {
  return `${NAMES[act]}: ${path}${to === undefined ? '' : ` to ${to}`}`
}

/** An act of a plan, as a person would say it. */
export function sentenceOf ({ act, path, kind, to, bytes = 0 }: Told): string {
  const place = act.endsWith(' here') ? 'here' : 'on the server'
  if (act.startsWith('delete') && kind === 'folder') return `would delete the empty folder ${path} ${place}`
  switch (act) {
    case 'move here': case 'move there': return `would move ${path} to ${to} ${place}`
    case 'make here': case 'make there': return `would create the folder ${path} ${place}`
    case 'download': return `would download ${path} (${sizeText(bytes)})`
    case 'upload': return `would upload ${path} (${sizeText(bytes)})`
    case 'conflict here': return `${path} differs here and on the server: would name yours ${to}`
    case 'conflict there': return `${path} is a folder here and a file on the server: would name the file ${to}`
    case 'delete here': return `would delete ${path} here; .magicstore/kept has it for 30 days`
    default: return `would delete ${path} on the server; its trash has it`
  }
}

/** What a plan comes to. */
export function sumOf (plan: readonly Told[]): string {
  const count = (words: string, ...kinds: ActKind[]) => {
    const some = plan.filter(({ act }) => kinds.includes(act))
    const bytes = some.reduce((sum, told) => sum + (told.bytes ?? 0), 0)
    return some.length === 0 ? [] : [`${some.length} ${words}${bytes === 0 ? '' : ` (${sizeText(bytes)})`}`]
  }
  const parts = [
    ...count('to upload', 'upload'),
    ...count('to download', 'download'),
    ...count('to move', 'move here', 'move there'),
    ...count('folders to create', 'make here', 'make there'),
    ...count('in conflict', 'conflict here', 'conflict there'),
    ...count('to delete here', 'delete here'),
    ...count('to delete on the server', 'delete there')
  ]
  return parts.length === 0 ? 'equal: nothing to do' : `${parts.join(', ')}; nothing was done`
}

/** What a person can do about what waits: by the plan's reason, the server's status, or the code of the system. */
const REMEDIES: Record<string, string> = {
  changing: 'it changed just now: it is sent once it is quiet for two seconds',
  unknown: 'its folder can\'t be read, or changed just now: see that you may read it, and run again',
  refused: 'it is in a folder that waits',
  'bytes elsewhere': 'it is deleted once the same bytes have arrived under another name',
  'many deletions': 'it is one of many deletions',
  400: 'rename it',
  413: 'make it smaller, make space in your account, or ask the operator for more',
  415: 'the server takes no such files: ask the operator, or name it in .magicstoreignore',
  423: 'close it in the program that has it open, or break the lock on the page',
  507: 'the server\'s disk is full: ask the operator, or delete something there for good',
  ENOSPC: 'the disk of this computer is full: free some space',
  EDQUOT: 'your quota on this computer is used up: free some space',
  EACCES: 'see that you may read and write it',
  EPERM: 'see that you may read and write it',
  EBUSY: 'another program has it open: close it',
  EBADMSG: 'if that stays, ask the operator to run magicstore fsck'
}

export function reasonText ({ reason, message }: Wait): string {
  return [message?.replace(/\.$/, ''), REMEDIES[reason]].filter(text => text !== undefined).join('; ')
}

/** The last line of a run. */
export function resultText ({ waits }: Pick<RunResult, 'waits'>): string {
  return waits.size === 0 ? 'equal' : `${waits.size} wait${waits.size === 1 ? 's' : ''} for the next run`
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const

/** 1,234,567 bytes are 1.2 MB. */
export function sizeText (bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1)
  const value = bytes / 1000 ** power
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`
}

/** So that it can be read while it changes: 90 seconds are 2 minutes. */
export function timeText (seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`
  return `${Math.ceil(seconds / 3600)} h`
}
