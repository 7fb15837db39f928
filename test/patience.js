import { setFlagsFromString } from 'node:v8'

// Loaded into each test file. V8 optimises a function when enough of it has run. Most test files, and most servers that
// they start, end before that pays: fifteen times later, a test file takes an eighth less CPU, and
// a start a quarter. Newer versions of V8 have other flags.

/** Flags for Node. */
export const patience = process.versions.v8.startsWith('11.') ? ['--interrupt-budget=1000000'] : []

for (const flag of patience) setFlagsFromString(flag)
