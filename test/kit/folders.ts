import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Test } from 'tap'

/**
 * A new, empty folder, removed when the test ends. For what all tests of a file use: `testdir()` of the whole file
 * empties the folder that the other files of its process have.
 */
export function newFolder (t: Test): string {
  mkdirSync(dirname(t.testdirName), { recursive: true })
  const folder = mkdtempSync(`${t.testdirName}-`)
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}
