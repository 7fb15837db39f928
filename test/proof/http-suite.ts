import type { Test } from 'tap'

/** The test files that store, serve and remove bytes. */
const FILES_OF_BYTES = [
  'test/download.test.ts',
  'test/files.test.ts',
  'test/folder-uploads.test.ts',
  'test/folders.test.ts',
  'test/kept.test.ts',
  'test/kept-quota.test.ts',
  'test/resumable.test.ts',
  'test/sweeper.test.ts',
  'test/trash.test.ts',
  'test/uploads.test.ts'
]

/** The other test files whose servers keep their store where TEST_STORE says. */
const OTHER_FILES = [
  'test/accounts.test.ts',
  'test/answers.test.ts',
  'test/session.test.ts',
  'test/tokens.test.ts',
  'test/proof/account.proof.ts'
]

/** PostgreSQL answers the other files alike wherever the bytes are, so they run with one of its two stores. */
const FILES = { 'postgres-folder': FILES_OF_BYTES, 'postgres-s3': [...FILES_OF_BYTES, ...OTHER_FILES] }

/** Runs the HTTP tests on other backends than SQLite and a folder, each file as a subtest. */
export function runHttpSuite (t: Test, store: keyof typeof FILES): void {
  // The run on SQLite and a folder already measures coverage, and repeats what is random often.
  const env = { ...process.env, TEST_STORE: store, COVERAGE: '0', PROOF: '0' }
  // tap names the folders of the tests by all arguments: this run does not share them with another one of the same
  // file.
  for (const file of FILES[store]) t.spawn(process.execPath, [...process.execArgv, file, store], { env }, file)
}
