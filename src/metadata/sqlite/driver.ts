import type BetterSqlite3 from 'better-sqlite3'
import { OperatorError } from '../../problems.ts'

/** npm leaves an optional package out, without a word, if its script fails. */
const MISSING = 'the driver of SQLite for Node.js 20 is missing: npm could neither download nor compile it'
const REMEDY = 'use Node.js 22 or newer, or install again with access to github.com, or with g++, make and python3'

/**
 * The database driver for the Node that runs: better-sqlite3 13 needs Node 22, and better-sqlite3 12, which runs on
 * Node 20, aborts on Node 24.19 and newer. Everything else imports the driver from here.
 */
const isNode20 = Number.parseInt(process.versions.node) < 22

/* c8 ignore start: each Node takes one of the two branches; test/proof/node-versions.proof.ts runs the others. */
const driver: { default: typeof BetterSqlite3 } = isNode20
  // @ts-expect-error: an alias of an older better-sqlite3, which has no types under this name.
  ? await import('better-sqlite3-node20').catch(refuseMissing)
  : await import('better-sqlite3')

export const Database = driver.default

/** An open connection. */
export type Database = BetterSqlite3.Database

/** @throws */
function refuseMissing (cause: NodeJS.ErrnoException): never {
  throw cause.code === 'ERR_MODULE_NOT_FOUND' ? new OperatorError(MISSING, { remedy: REMEDY, cause }) : cause
}
/* c8 ignore stop */
