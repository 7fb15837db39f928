import { signal, type Signal } from '@preact/signals'
import type { StoredFile } from 'magicstore'
import type { NamedFile } from './names.ts'
import { createSpeedMeter, type SpeedMeter } from './speed.ts'
import type { UnfinishedUpload } from './unfinished.ts'

export type UploadState =
  | { readonly kind: 'waiting' | 'running' | 'paused' | 'stored' }
  /** A file of this name exists: replace it, keep both, or skip. */
  | { readonly kind: 'conflict', readonly current: StoredFile }
  /** An unfinished upload has the same name and size, but perhaps other bytes: continue it, or start again. */
  | { readonly kind: 'resumable', readonly unfinished: UnfinishedUpload }
  | { readonly kind: 'failed', readonly error: unknown }

/** One file that is uploaded. Fields that are not signals change only together with the state. */
export interface Upload {
  /** Identifies the row in the list. */
  readonly key: number
  /** Empty after it was stored: the browser keeps what a page refers to. */
  file: File
  /** The path under which the file was added. */
  readonly chosenName: string
  readonly name: Signal<string>
  /** The id of the unfinished upload on the server; undefined before it is created. */
  id: string | undefined
  /** Whether it was sent in one request, and no response said whether it is stored. */
  isDoubtful: boolean
  /** The entity tag of the content that the user agreed to replace; undefined to replace nothing. */
  replacedTag: string | undefined
  /** Whether the user wants another name if this one is taken. */
  keepsBoth: boolean
  readonly state: Signal<UploadState>
  /** Bytes that are stored or sent. */
  readonly sentBytes: Signal<number>
  readonly speed: SpeedMeter
  /** The error after which the transfer waits and then continues. */
  readonly interruption: Signal<unknown>
}

/** The last key. */
let count = 0

/** A new upload, which waits. */
export function createUpload ({ file, name, isDoubtful = false, keepsBoth = false }: NamedFile): Upload {
  return {
    key: ++count,
    file,
    chosenName: name,
    name: signal(name),
    id: undefined,
    isDoubtful,
    replacedTag: undefined,
    keepsBoth,
    state: signal({ kind: 'waiting' }),
    sentBytes: signal(0),
    speed: createSpeedMeter(),
    interruption: signal(undefined)
  }
}
