import { signal, type Signal } from '@preact/signals'
import { createSpeedMeter, type SpeedMeter } from '../uploads/speed.ts'

export type SendingState =
  | { readonly kind: 'waiting' | 'running' | 'sent' }
  | { readonly kind: 'failed', readonly error: unknown }

/** One file that is sent to the folder of a link. */
export interface Sending {
  /** Identifies the row in the list. */
  readonly key: number
  readonly file: File
  /** The id of the unfinished upload on the server; undefined before it is created. */
  id: string | undefined
  readonly state: Signal<SendingState>
  /** Bytes that are stored or sent. */
  readonly sentBytes: Signal<number>
  readonly speed: SpeedMeter
  /** The error after which the transfer waits and then continues. */
  readonly interruption: Signal<unknown>
}

/** The last key. */
let count = 0

/** A file that waits to be sent. `id`: of the unfinished upload that it continues. */
export function createSending (file: File, id: string | undefined): Sending {
  return {
    key: ++count,
    file,
    id,
    state: signal({ kind: 'waiting' }),
    sentBytes: signal(0),
    speed: createSpeedMeter(),
    interruption: signal(undefined)
  }
}
