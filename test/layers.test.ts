import { readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import ts from 'typescript'

const src = fileURLToPath(new URL('../src', import.meta.url))

// In every pattern `*` stands for one name, and a trailing slash for everything in a folder.

/** Things that may appear only in some places. */
const onlyHere: { what: string, pattern: RegExp, places: string[], typesIn?: string[] }[] = [
  { what: 'Fastify', pattern: /^import (fastify|@fastify\/.+)$/, places: ['app.ts', 'http/', 'openapi/', '*/routes.ts', '*/*-routes.ts', 'uploads/resumable-requests.ts', 'tokens/authenticate.ts', 'monitoring/'], typesIn: ['tokens/jwt.ts'] },
  { what: 'SQL', pattern: /^(import (drizzle-orm|better-sqlite3|better-sqlite3-node20|pg|postgres)(\/.+)?|sql)$/, places: ['metadata/*/'] },
  { what: 'the file system', pattern: /^import (node:)?fs(\/promises)?$/, places: ['data-folder/', 'blobs/*/', 'metadata/*/', 'backends/', 'backup/', 'doctor/', 'config.ts', 'commands/', 'http/page-routes.ts'] },
  { what: 'S3', pattern: /^import @(aws-sdk|smithy)\/.+$/, places: ['blobs/s3/'] },
  { what: 'the environment', pattern: /^process\.env$/, places: ['config.ts'] },
  { what: 'the process', pattern: /^(process\.(?!env$|versions$).+|process|console|import close-with-grace)$/, places: ['main.ts', 'commands/'] },
  { what: 'the version of Node', pattern: /^process\.versions$/, places: ['metadata/sqlite/driver.ts'] },
  { what: 'a database driver', pattern: /^import better-sqlite3(-node20)?$/, places: ['metadata/sqlite/driver.ts'] },
  { what: 'the driver of PostgreSQL', pattern: /^import pg(\/.+)?$/, places: ['metadata/postgres/'] },
  { what: 'a blob store', pattern: /^import blobs\/(?!(blob-store|storage-url)\.ts).+$/, places: ['blobs/', 'backends/'] },
  { what: 'a metadata backend', pattern: /^import metadata\/.+\/.+$/, places: ['metadata/*/', 'backends/'] },
  { what: 'the code of the page', pattern: /^import (@?preact(\/.+)?|magicstore|page\/.+)$/, places: ['page/'] },
  { what: 'the caller of a request', pattern: /^import http\/caller\.ts$/, places: ['app.ts', 'http/', '*/routes.ts', '*/*-routes.ts', 'uploads/resumable-requests.ts', 'tokens/authenticate.ts'] },
  // These would import a module or read the environment in ways that the table can't check.
  { what: 'a hidden import', pattern: /^(import (node:)?(process|console|module)|require|a computed import|globalThis)$/, places: [] },
  { what: 'a barrel', pattern: /^re-export$/, places: [] },
  { what: 'a default export', pattern: /^default export$/, places: [] }
]

/** Every room may import these: failures, settings, contracts, and what backends and commands share about data on disk. */
const ground = ['failures', 'settings', 'wire values', 'contracts', 'data folder']
const face = [...ground, 'http', 'openapi']

/** The rooms, outermost first. A file is in the first room that names it; it may import only from its room and those in `knows`. */
const rooms: { room: string, files: string[], knows: string[] }[] = [
  { room: 'main', files: ['main.ts'], knows: ['commands', ...ground] },
  { room: 'commands', files: ['commands/'], knows: ['app', 'store', 'backends', 'accounts', 'files', 'backup', 'doctor', ...ground] },
  { room: 'app', files: ['app.ts'], knows: ['store', 'accounts routes', 'tokens routes', 'files routes', 'uploads routes', 'monitoring', 'accounts schemas', 'tokens schemas', 'files schemas', 'uploads schemas', 'accounts', 'tokens', 'files', ...face] },
  { room: 'store', files: ['store.ts'], knows: ['backends', 'accounts', 'files', 'uploads', ...ground] },
  { room: 'backends', files: ['backends/'], knows: ['backup', 'doctor', 'disk', 's3', 'sqlite', 'postgres', ...ground] },
  { room: 'accounts routes', files: ['accounts/routes.ts'], knows: ['accounts schemas', 'accounts', 'files', ...face] },
  { room: 'tokens routes', files: ['tokens/routes.ts', 'tokens/*-routes.ts', 'tokens/authenticate.ts'], knows: ['tokens schemas', 'tokens', 'accounts', ...face] },
  { room: 'files routes', files: ['files/routes.ts', 'files/*-routes.ts'], knows: ['files schemas', 'files', ...face] },
  { room: 'uploads routes', files: ['uploads/routes.ts', 'uploads/*-routes.ts', 'uploads/resumable-requests.ts'], knows: ['uploads schemas', 'uploads', 'files schemas', 'files', ...face] },
  { room: 'monitoring', files: ['monitoring/'], knows: ['accounts', ...face] },
  { room: 'accounts schemas', files: ['accounts/schemas.ts'], knows: ['accounts', ...face] },
  { room: 'tokens schemas', files: ['tokens/schemas.ts'], knows: ['tokens', 'accounts', ...face] },
  { room: 'files schemas', files: ['files/schemas.ts', 'files/*-schemas.ts'], knows: ['files', ...face] },
  { room: 'uploads schemas', files: ['uploads/schemas.ts'], knows: ['files schemas', ...face] },
  { room: 'settings', files: ['config.ts', 'tokens/key-ring.ts', 'tokens/signing-keys.ts', 'blobs/storage-url.ts'], knows: ['failures'] },
  { room: 'failures', files: ['problems.ts'], knows: ['wire values'] },
  { room: 'wire values', files: ['http/wire-values.ts'], knows: [] },
  { room: 'openapi', files: ['openapi/'], knows: [...ground, 'http'] },
  { room: 'http', files: ['http/'], knows: [...ground, 'accounts'] },
  { room: 'contracts', files: ['blobs/blob-store.ts', 'blobs/checkpoints.ts', 'metadata/*.ts'], knows: ['failures'] },
  { room: 'data folder', files: ['data-folder/'], knows: ['failures', 'settings'] },
  { room: 'disk', files: ['blobs/disk/'], knows: ground },
  { room: 's3', files: ['blobs/s3/'], knows: ground },
  { room: 'sqlite', files: ['metadata/sqlite/'], knows: ground },
  { room: 'postgres', files: ['metadata/postgres/'], knows: ['sqlite', ...ground] },
  { room: 'accounts', files: ['accounts/'], knows: ground },
  { room: 'tokens', files: ['tokens/'], knows: ['accounts', ...ground] },
  { room: 'files', files: ['files/'], knows: ground },
  { room: 'uploads', files: ['uploads/'], knows: ['files', ...ground] },
  { room: 'backup', files: ['backup/'], knows: ground },
  { room: 'doctor', files: ['doctor/'], knows: ground },
  // It runs in browsers, and knows of the server only its API, through the generated client `magicstore`.
  { room: 'page', files: ['page/'], knows: [] }
]

/** A fact about a file, in the terms of the patterns above. */
interface Use { what: string, line: number, isType: boolean }

/** The facts about every file below `src`. */
async function readUses (): Promise<Map<string, Use[]>> {
  const names = (await readdir(src, { recursive: true })).filter(name => /\.tsx?$/.test(name)).sort()
  return new Map(await Promise.all(names.map(async (name): Promise<[string, Use[]]> => [name, usesOf(name, await readFile(join(src, name), 'utf8'))])))
}

/** The violations of the tables, by file. */
function findViolations (uses: Map<string, Use[]>): string[] {
  const names = Array.from(uses.keys())
  return [
    ...names.filter(name => roomOf(name) === undefined).map(name => `${name} is in no room`),
    ...Array.from(uses).flatMap(([name, all]) => all.flatMap(use => forbidden(name, use).map(reason => `${name}:${use.line} ${reason}`))),
    ...cycles(uses)
  ]
}

function forbidden (name: string, { what, isType }: Use): string[] {
  const misplaced = onlyHere
    .filter(({ pattern, places, typesIn = [] }) => pattern.test(what) && !isIn(name, places) && !(isType && isIn(name, typesIn)))
    .map(rule => `has ${rule.what}: ${what}`)
  const from = rooms.find(({ room }) => room === roomOf(name))
  const to = what.startsWith('import ') ? roomOf(what.slice('import '.length)) : undefined
  const isKnown = to === undefined || to === from?.room || from?.knows.includes(to)
  return isKnown ? misplaced : [...misplaced, `reaches from ${from?.room} to ${to}: ${what}`]
}

function roomOf (name: string): string | undefined {
  return rooms.find(({ files }) => isIn(name, files))?.room
}

function isIn (name: string, places: string[]): boolean {
  return places.some(place => new RegExp(`^${place.replaceAll('.', '\\.').replaceAll('*', '[^/]+')}${place.endsWith('/') ? '' : '$'}`).test(name))
}

const SQL_TEXT = /^\s*(select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from|begin\s|pragma\s|create\s+table)\b/i

/** Reads the imports, exports, globals and SQL of a file with TypeScript's parser. */
function usesOf (name: string, text: string): Use[] {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const uses: Use[] = []
  const note = (node: ts.Node, what: string, isType = false) => uses.push({ what, isType, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1 })
  const noteImport = (node: ts.Node, specifier: string, isType = false) => note(node, `import ${specifier.startsWith('.') ? posix.join(posix.dirname(name), specifier) : specifier}`, isType)

  function visit (node: ts.Node): void {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) noteImport(node, node.moduleSpecifier.text, isTypeImport(node))
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) noteImport(node, node.argument.literal.text, true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments
      if (specifier !== undefined && ts.isStringLiteralLike(specifier)) noteImport(node, specifier.text)
      else note(node, 'a computed import')
    } else if (ts.isExportDeclaration(node)) {
      if (node.moduleSpecifier !== undefined) note(node, 're-export')
      if (node.exportClause && ts.isNamedExports(node.exportClause) && node.exportClause.elements.some(element => element.name.text === 'default')) note(node, 'default export')
    } else if (ts.isExportAssignment(node) || (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(modifier => modifier.kind === ts.SyntaxKind.DefaultKeyword))) note(node, 'default export')
    else if (ts.isStringLiteralLike(node) && SQL_TEXT.test(node.text)) note(node, 'sql')
    else if (ts.isIdentifier(node)) noteGlobal(node)
    ts.forEachChild(node, visit)
  }

  function noteGlobal (node: ts.Identifier): void {
    const { parent } = node
    const isMember = (ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent)) && parent.name === node
    if (isMember) return
    if (node.text === 'console' || node.text === 'require' || node.text === 'globalThis') note(node, node.text)
    if (node.text === 'process') note(node, ts.isPropertyAccessExpression(parent) ? `process.${parent.name.text}` : 'process')
  }

  visit(source)
  return uses
}

function isTypeImport ({ importClause }: ts.ImportDeclaration): boolean {
  if (importClause === undefined) return false
  const { namedBindings, name } = importClause
  if (importClause.isTypeOnly) return true
  return name === undefined && namedBindings !== undefined && ts.isNamedImports(namedBindings) && namedBindings.elements.every(element => element.isTypeOnly)
}

/** The import cycles, each listed once, type imports included: files that need each other belong in one file. */
function cycles (uses: Map<string, Use[]>): string[] {
  const found = new Set<string>()
  const done = new Set<string>()
  function walk (name: string, path: string[]): void {
    const start = path.indexOf(name)
    if (start >= 0) found.add(`${[...path.slice(start)].sort().join(' and ')} import each other`)
    if (start >= 0 || done.has(name)) return
    for (const { what } of uses.get(name) ?? []) {
      if (what.startsWith('import ')) walk(what.slice('import '.length), [...path, name])
    }
    done.add(name)
  }
  for (const name of uses.keys()) walk(name, [])
  return Array.from(found)
}

const uses = await readUses()
const present = findViolations(uses)

test('src keeps to the layout', async t => {
  t.same(present, [])
})

test('every room and every place of the tables exists, so that no rule is about nothing', async t => {
  const names = (await readdir(src, { recursive: true })).filter(name => /\.tsx?$/.test(name))
  const places = [...onlyHere.flatMap(({ places, typesIn = [] }) => [...places, ...typesIn]), ...rooms.flatMap(({ files }) => files)]
  t.same(places.filter(place => !names.some(name => isIn(name, [place]))), [])
})

for (const { file, line, finds } of [
  { file: 'accounts/accounts.ts', line: "import Fastify from 'fastify'", finds: ['has Fastify: import fastify'] },
  { file: 'files/files.ts', line: "import type { FastifyRequest } from 'fastify'", finds: ['has Fastify: import fastify'] },
  { file: 'tokens/tokens.ts', line: "import jwt from '@fastify/jwt'", finds: ['has Fastify: import @fastify/jwt'] },
  { file: 'tokens/jwt.ts', line: "import jwt from '@fastify/jwt'", finds: ['has Fastify: import @fastify/jwt'] },
  { file: 'accounts/routes.ts', line: "import { eq } from 'drizzle-orm'", finds: ['has SQL: import drizzle-orm'] },
  { file: 'blobs/disk/disk.ts', line: "import Database from 'better-sqlite3'", finds: ['has SQL: import better-sqlite3', 'has a database driver: import better-sqlite3'] },
  { file: 'metadata/sqlite/lock.ts', line: "import pg from 'pg'", finds: ['has the driver of PostgreSQL: import pg'] },
  { file: 'metadata/sqlite/lock.ts', line: "import Driver from 'better-sqlite3-node20'", finds: ['has a database driver: import better-sqlite3-node20'] },
  { file: 'config.ts', line: 'export const { node } = process.versions', finds: ['has the version of Node: process.versions'] },
  { file: 'files/names.ts', line: "export const query = 'SELECT name FROM files'", finds: ['has SQL: sql'] },
  { file: 'metadata/records.ts', line: "type Db = import('drizzle-orm').SQL", finds: ['has SQL: import drizzle-orm'] },
  { file: 'files/files.ts', line: "import { rm } from 'node:fs/promises'", finds: ['has the file system: import node:fs/promises'] },
  { file: 'accounts/password.ts', line: "export const fs = await import('fs')", finds: ['has the file system: import fs'] },
  { file: 'store.ts', line: "import { readFile } from 'fs/promises'", finds: ['has the file system: import fs/promises'] },
  { file: 'app.ts', line: 'export const home = process.env.HOME', finds: ['has the environment: process.env'] },
  { file: 'commands/serve.ts', line: 'export const home = process.env.HOME', finds: ['has the environment: process.env'] },
  { file: 'store.ts', line: 'process.exit(1)', finds: ['has the process: process.exit'] },
  { file: 'http/connections.ts', line: "process.on('SIGTERM', () => {})", finds: ['has the process: process.on'] },
  { file: 'files/files.ts', line: 'export const verb = process.argv[2]', finds: ['has the process: process.argv'] },
  { file: 'config.ts', line: 'const { env } = process', finds: ['has the process: process'] },
  { file: 'problems.ts', line: "console.log('here')", finds: ['has the process: console'] },
  { file: 'http/links.ts', line: "import { env } from 'node:process'", finds: ['has a hidden import: import node:process'] },
  { file: 'files/files.ts', line: "export const name = 'fs'; await import(name)", finds: ['has a hidden import: a computed import'] },
  { file: 'files/files.ts', line: "import { openDiskBlobs } from '../blobs/disk/disk.ts'", finds: ['has a blob store: import blobs/disk/disk.ts', 'reaches from files to disk: import blobs/disk/disk.ts'] },
  { file: 'app.ts', line: "import { openSqliteMetadata } from './metadata/sqlite/sqlite.ts'", finds: ['has a metadata backend: import metadata/sqlite/sqlite.ts', 'reaches from app to sqlite: import metadata/sqlite/sqlite.ts'] },
  { file: 'tokens/tokens.ts', line: "import { callerOf } from '../http/caller.ts'", finds: ['has the caller of a request: import http/caller.ts', 'reaches from tokens to http: import http/caller.ts'] },
  { file: 'accounts/accounts.ts', line: "import type { Links } from '../http/links.ts'", finds: ['reaches from accounts to http: import http/links.ts'] },
  { file: 'files/names.ts', line: "import type { AuthenticateOptions } from '../tokens/authenticate.ts'", finds: ['reaches from files to tokens routes: import tokens/authenticate.ts'] },
  { file: 'http/links.ts', line: "import { problems } from '../openapi/responses.ts'", finds: ['reaches from http to openapi: import openapi/responses.ts'] },
  { file: 'http/links.ts', line: "import type { Store } from '../store.ts'", finds: ['reaches from http to store: import store.ts'] },
  { file: 'metadata/metadata.ts', line: "import type { ByteRange } from '../files/ranges.ts'", finds: ['reaches from contracts to files: import files/ranges.ts'] },
  { file: 'metadata/sqlite/lock.ts', line: "import type { BlobStore } from '../../blobs/disk/disk.ts'", finds: ['has a blob store: import blobs/disk/disk.ts', 'reaches from sqlite to disk: import blobs/disk/disk.ts'] },
  { file: 'files/ranges.ts', line: "import type { DownloadPlan } from './download.ts'", finds: ['files/download.ts and files/ranges.ts import each other'] },
  { file: 'problems.ts', line: "export { Problem as Failure } from './problems.ts'", finds: ['has a barrel: re-export'] },
  { file: 'http/caller.ts', line: "export * from './problems.ts'", finds: ['has a barrel: re-export'] },
  { file: 'files/ranges.ts', line: 'export default 1', finds: ['has a default export: default export'] },
  { file: 'files/ranges.ts', line: 'export default function ranges () {}', finds: ['has a default export: default export'] },
  { file: 'files/ranges.ts', line: 'export { parseRanges as default }', finds: ['has a default export: default export'] },
  { file: 'page/session.ts', line: "import { failures } from '../problems.ts'", finds: ['reaches from page to failures: import problems.ts'] },
  { file: 'http/links.ts', line: "import { signal } from '@preact/signals'", finds: ['has the code of the page: import @preact/signals'] },
  { file: 'helpers/strings.ts', line: 'export const empty = 1', finds: ['helpers/strings.ts is in no room'] }
]) {
  test(`"${line}" in ${file} is found`, async t => {
    const more = usesOf(file, line)
    const found = findViolations(new Map(uses).set(file, [...uses.get(file) ?? [], ...more])).filter(violation => !present.includes(violation))
    t.match(found, finds.map(text => new RegExp(`${text.replaceAll(/[.*/]/g, '\\$&')}$`)))
    t.equal(found.length, finds.length, found.join('\n'))
  })
}
