import { watch, type FSWatcher } from 'node:fs'
import { join } from 'node:path'
import type { State } from './ports.ts'
import type { HttpRemote } from './remote.ts'
import { OWN_FOLDER } from './trees.ts'

/**
 * Programs change several files in a row, and what changed less than two seconds ago is not ready: so many steps must
 * be without a change. Something that changes all the time must not hold up the rest: that ends after 30 s.
 */
const STEP_MILLISECONDS = 100
const QUIET_STEPS = 21
const MAX_STEPS = 300

/** After so long there is a pass whatever happened; more often if not all folders can be watched. */
const PASS_MILLISECONDS = 600_000
const BLIND_PASS_MILLISECONDS = 60_000

/** Waits for changes of a folder of this computer and of the server. */
export class Watch {
  readonly #folder: string
  readonly #watchers = new Map<string, FSWatcher>()
  #isBlind = false
  /** How many steps have passed since a change. */
  #quietSteps = 0
  #notify = () => {}

  constructor (folder: string) {
    this.#folder = folder
  }

  /** Resolves when something has changed, and is quiet since, or when it is time for a pass. */
  async wait (state: Pick<State, 'base' | 'cursor'>, remote: Pick<HttpRemote, 'wait'>): Promise<void> {
    this.#follow(state)
    const abort = new AbortController()
    const local = new Promise<boolean>(resolve => { this.#notify = () => resolve(true) })
    const pass = this.#isBlind ? BLIND_PASS_MILLISECONDS : PASS_MILLISECONDS
    const late = pause(pass, abort.signal).then(() => true)
    for (let isOver = this.#quietSteps < QUIET_STEPS; !isOver;) {
      // If that fails, a pass finds out why.
      const changed = remote.wait(String(state.cursor), abort.signal).catch(() => true)
      isOver = await Promise.race([local, late, changed])
    }
    abort.abort()
    for (let steps = 0; this.#quietSteps < QUIET_STEPS && steps < MAX_STEPS; steps++) {
      await pause(STEP_MILLISECONDS)
      this.#quietSteps++
    }
  }

  close (): void {
    for (const watcher of this.#watchers.values()) watcher.close()
  }

  /** A watch for each folder: one for all that is below is not the same on all systems. */
  #follow ({ base }: Pick<State, 'base'>): void {
    const rows = Array.from(base.values()).filter(({ kind }) => kind === 'folder')
    const folders = new Set(['', ...rows.map(({ path }) => path)])
    for (const [path, watcher] of this.#watchers) {
      if (folders.has(path)) continue
      watcher.close()
      this.#watchers.delete(path)
    }
    this.#isBlind = false
    for (const path of folders) if (!this.#watchers.has(path)) this.#add(path)
  }

  #add (path: string): void {
    const changed = (_?: string, name?: string | null) => {
      if (path === '' && name === OWN_FOLDER) return
      this.#quietSteps = 0
      this.#notify()
    }
    try {
      // The folder may be deleted while it is watched.
      const watcher = watch(join(this.#folder, path), changed).on('error', () => {
        watcher.close()
        this.#watchers.delete(path)
      })
      this.#watchers.set(path, watcher)
      // The folder may have changed after it was read, and before it was watched.
      changed()
    } catch {
      this.#isBlind = true
    }
  }
}

/** Resolves after so long, or when the signal aborts. */
function pause (milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
