import { isWhole, WHOLE_BYTES } from './whole-file.ts'
import type { Upload } from './upload.ts'

/** A browser opens so many connections to a server over HTTP/1.1. */
const MAX_RUNNING = 6

/** Two use the whole bandwidth, even while one of them waits for a response. More would make each of them slower. */
const MAX_LARGE = 2

/** The uploads that run at the same time. */
export class Slots {
  #large = 0
  #small = 0
  #smallBytes = 0

  constructor (running: readonly Upload[]) {
    for (const upload of running) this.#add(upload)
  }

  get isFull (): boolean {
    return this.#large + this.#small >= MAX_RUNNING
  }

  /** Takes a slot if there is one for an upload. Returns whether there was. */
  take (upload: Upload): boolean {
    const isFree = !this.isFull && (isWhole(upload) ? this.#hasRoomFor(upload.file.size) : this.#large < MAX_LARGE)
    if (isFree) this.#add(upload)
    return isFree
  }

  /**
   * For tiny files, round trips take longer than the bytes. Six larger ones would occupy all connections of the
   * browser, and its other requests would wait.
   */
  #hasRoomFor (bytes: number): boolean {
    return this.#small < MAX_LARGE || this.#smallBytes + bytes <= WHOLE_BYTES
  }

  #add (upload: Upload): void {
    if (!isWhole(upload)) {
      this.#large++
      return
    }
    this.#small++
    this.#smallBytes += upload.file.size
  }
}
