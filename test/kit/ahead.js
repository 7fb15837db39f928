import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'

// Loaded before `sync` of the bin: the clock of its disk is ahead, so that what was changed just now is quiet, and its
// pauses are short. Plain JavaScript, because the bin has no loader.

const AHEAD_NANOSECONDS = 10_000_000_000n
const MAX_MILLISECONDS = 5
/** From here on it is no pause, but when `--watch` looks again without a change. */
const LONG_MILLISECONDS = 50_000

const { lstatSync } = fs

/** @type {any} */
const lstatAhead = (/** @type {string} */ path, /** @type {any} */ options) => {
  const stat = /** @type {any} */ (lstatSync(path, options))
  if (path.endsWith('/.magicstore/clock')) stat.ctimeNs += AHEAD_NANOSECONDS
  return stat
}
Object.assign(fs, { lstatSync: lstatAhead })

const [{ setTimeout: start }, { setTimeout: pause }] = [globalThis, timers]
const shortened = (/** @type {number} */ milliseconds) =>
  milliseconds < LONG_MILLISECONDS ? Math.min(milliseconds, MAX_MILLISECONDS) : milliseconds
/** @type {any} */
const startShort = (/** @type {() => void} */ callback, /** @type {number} */ milliseconds) =>
  start(callback, shortened(milliseconds))
Object.assign(globalThis, { setTimeout: startShort })
Object.assign(timers, { setTimeout: (/** @type {number} */ milliseconds) => pause(shortened(milliseconds)) })

syncBuiltinESMExports()
