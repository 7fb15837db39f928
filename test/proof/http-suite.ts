import type { Test } from 'tap'

/** The test files whose servers keep their store where TEST_STORE says. */
const FILES = [
  'test/accounts.test.ts',
  'test/answers.test.ts',
  'test/download.test.ts',
  'test/files.test.ts',
  'test/kept.test.ts',
  'test/kept-quota.test.ts',
  'test/resumable.test.ts',
  'test/session.test.ts',
  'test/sweeper.test.ts',
  'test/tokens.test.ts',
  'test/trash.test.ts',
  'test/uploads.test.ts',
  'test/proof/account.proof.ts'
]

/** Runs the HTTP tests on other backends than SQLite and a folder, each file as a subtest. */
export function runHttpSuite (t: Test, store: 'postgres-folder' | 'postgres-s3'): void {
  // The run on SQLite and a folder already measures coverage, and repeats what is random often.
  const env = { ...process.env, TEST_STORE: store, COVERAGE: '0', PROOF: '0' }
  // tap names the folders of the tests by all arguments: this run does not share them with another one of the same file.
  for (const file of FILES) t.spawn(process.execPath, [...process.execArgv, file, store], { env }, file)
}
