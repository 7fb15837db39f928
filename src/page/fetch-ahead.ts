import { effect } from '@preact/signals'
import { whenIdle } from './files/when-idle.ts'

/** Loads parts of a page while the browser is idle, as soon as its first view is there. */
export function fetchAhead (isShown: () => boolean, load: () => Promise<unknown>): void {
  const stop = effect(() => {
    if (!isShown()) return
    queueMicrotask(() => stop())
    whenIdle(0, () => { void load() })
  })
}
