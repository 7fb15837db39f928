import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import ts from 'typescript'
import { blocksOf, sectionOf } from './kit/readme.ts'
import { importOf, isImportCall, readSources, src } from './kit/sources.ts'

/** Things that may appear only in the places of a table in src/README.md. */
const things: Record<string, RegExp> = {
  'the routes of a feature': /^import (.+\/(.+-)?routes|tokens\/authenticate)\.ts$/,
  Fastify: /^import (fastify|@fastify\/.+)$/,
  'the caller of a request': /^import http\/caller\.ts$/,
  SQL: /^(import (drizzle-orm|better-sqlite3|better-sqlite3-node20|pg|postgres)(\/.+)?|sql)$/,
  'the driver of SQLite': /^import better-sqlite3(-node20)?$/,
  'the driver of PostgreSQL': /^import pg(\/.+)?$/,
  'a kind of database': /^import metadata\/.+\/.+$/,
  'a kind of blob store': /^import blobs\/.+\/.+$/,
  S3: /^import @(aws-sdk|smithy)\/.+$/,
  'the file system': /^import (node:)?fs(\/promises)?$/,
  'the environment': /^process\.env$/,
  'the process': /^(process\.(?!env$|versions$).+|process|console|import close-with-grace)$/,
  'the version of Node.js': /^process\.versions$/,
  'the loader of Node.js': /^import (node:)?module$/,
  'an import of a computed address': /^a computed import$/,
  'the code of the page': /^import (@?preact(\/.+)?|magicstore|page\/.+)$/
}

/**
 * Things that may appear nowhere. A hidden import would import a module or read the environment in ways that the tables
 * can't check.
 */
const nowhere: Record<string, RegExp> = {
  'a hidden import': /^(import (node:)?(process|console)|require|globalThis)$/,
  'a barrel': /^re-export$/,
  'a default export': /^default export$/
}

interface Room { room: string, files: string[], knows: string[] }

interface Rule { what: string, pattern: RegExp, places: string[], typesIn: string[] }

/** The tables of src/README.md. @throws if they can't be read, so that no rule is lost. */
function readTables (text: string): { rooms: Room[], rules: Rule[] } {
  const rooms = rowsBelow(text, '## Who may import what', ['room', 'files', 'may import'])
    .map(([room = '', files = '', knows = '']) => ({ room, files: patternsIn(files), knows: knows === 'nothing' ? [] : knows.split(', ') }))
  rooms.forEach(({ room, knows }, index) => {
    const lower = rooms.slice(index + 1).map(({ room }) => room)
    if (lower.includes(room)) throw new Error(`two rows are called ${room}`)
    for (const name of knows) if (!lower.includes(name)) throw new Error(`${room} may import ${name}, which is in no lower row`)
    if (new Set(knows).size < knows.length) throw new Error(`${room} names a room twice`)
  })
  const patterns = rooms.flatMap(({ files }) => files)
  if (new Set(patterns).size < patterns.length) throw new Error('two rooms have the same files')

  const cells = rowsBelow(text, '## What may appear only in some places', ['what', 'only in'])
  const names = cells.map(([what]) => what)
  if (names.sort().join() !== Object.keys(things).sort().join()) throw new Error(`these are not the things with a pattern: ${names.join()}`)
  const rules = cells.map(([what = '', cell = '']) => {
    const [places = '', types] = cell.split('; types also in ')
    return {
      what,
      pattern: things[what] as RegExp,
      places: patternsIn(places),
      typesIn: types === undefined ? [] : patternsIn(types)
    }
  })
  return {
    rooms,
    rules: [...rules, ...Object.entries(nowhere).map(([what, pattern]) => ({ what, pattern, places: [], typesIn: [] }))]
  }
}

/** The cells of the table below a heading. */
function rowsBelow (text: string, heading: string, columns: string[]): string[][] {
  const lines = sectionOf(text, heading).split('\n').filter(line => line.includes('|'))
  const [header, line, ...rows] = lines.map(line => /^\| (.+) \|$/.exec(line)?.[1]?.split(' | ') ?? [line])
  if (header?.join() !== columns.join() || line?.[0] !== `|${columns.map(() => '---|').join('')}` || rows.length === 0) throw new Error(`there is no table below ${heading}`)
  for (const row of rows) if (row.length !== columns.length) throw new Error(`this is not a row: ${row.join(' | ')}`)
  return rows
}

/** The patterns in a cell: in backticks, with commas between them. */
function patternsIn (cell: string): string[] {
  if (!/^`[\w./*-]+`(, `[\w./*-]+`)*$/.test(cell)) throw new Error(`these are not patterns: ${cell}`)
  return cell.replaceAll('`', '').split(', ')
}

const sourceMap = await readFile(join(src, 'README.md'), 'utf8')
const { rooms, rules } = readTables(sourceMap)

/** The patterns of the rooms. Of several for a file, the longest counts. */
const patterns = rooms.flatMap(({ room, files }) => files.map(pattern => ({ room, pattern })))
  .sort((a, b) => b.pattern.length - a.pattern.length)

/** A fact about a file, in the terms of the patterns above. */
interface Use { what: string, line: number, isType: boolean }

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
  const misplaced = rules
    .filter(({ pattern, places, typesIn }) =>
      pattern.test(what) && !isIn(name, places) && !(isType && isIn(name, typesIn)))
    .map(rule => `has ${rule.what}: ${what}`)
  const from = rooms.find(({ room }) => room === roomOf(name))
  const to = what.startsWith('import ') ? roomOf(what.slice('import '.length)) : undefined
  const isShared = isType && SHARED.includes(what.slice('import '.length))
  const isKnown = to === undefined || to === from?.room || isShared || from?.knows.includes(to)
  return isKnown ? misplaced : [...misplaced, `reaches from ${from?.room} to ${to}: ${what}`]
}

function roomOf (name: string): string | undefined {
  return patterns.find(({ pattern }) => isIn(name, [pattern]))?.room
}

function isIn (name: string, places: string[]): boolean {
  return places.some(place => expressionOf(place).test(name))
}

/** Each is compiled once: it is asked for every import. */
const expressions = new Map<string, RegExp>()

function expressionOf (place: string): RegExp {
  const known = expressions.get(place)
  if (known !== undefined) return known
  const text = place.replaceAll('.', '\\.').replaceAll('*', '[^/]+')
  const expression = new RegExp(`^${text}${place.endsWith('/') ? '' : '$'}`)
  expressions.set(place, expression)
  return expression
}

const SQL_TEXT = /^\s*(select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from|begin\s|pragma\s|create\s+table)\b/i

/** Reads the imports, exports, globals and SQL of a file. */
function usesOf (source: ts.SourceFile): Use[] {
  const uses: Use[] = []
  const note = (node: ts.Node, what: string, isType = false) =>
    uses.push({ what, isType, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1 })

  function visit (node: ts.Node): void {
    const imported = importOf(node)
    if (imported !== undefined) note(node, `import ${imported.module}`, imported.isType)
    else if (isImportCall(node)) note(node, 'a computed import')
    else if (ts.isExportDeclaration(node)) {
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

/** The types of what rules share: each of them may take others. */
const SHARED = ['metadata/services.ts', 'services.ts', 'http/services.ts']

/**
 * The import cycles, each listed once, type imports included: files that need each other belong in one file. Those of
 * the files of shared types do not count.
 */
function cycles (uses: Map<string, Use[]>): string[] {
  const found = new Set<string>()
  const done = new Set<string>()
  function walk (name: string, path: string[]): void {
    const start = path.indexOf(name)
    if (start >= 0) found.add(`${[...path.slice(start)].sort().join(' and ')} import each other`)
    if (start >= 0 || done.has(name)) return
    for (const { what } of SHARED.includes(name) ? [] : uses.get(name) ?? []) {
      if (what.startsWith('import ')) walk(what.slice('import '.length), [...path, name])
    }
    done.add(name)
  }
  for (const name of uses.keys()) walk(name, [])
  return Array.from(found)
}

const uses = new Map(Array.from(await readSources(/\.tsx?$/), ([name, source]) => [name, usesOf(source)]))
const present = findViolations(uses)

test('src keeps to the layout', async t => {
  t.same(present, [])
})

test('every room and every place of the tables exists, and a room imports all that it may, so that no rule is about nothing', async t => {
  const names = Array.from(uses.keys())
  t.same([
    ...rules.flatMap(({ places, typesIn }) => [...places, ...typesIn]), ...patterns.map(({ pattern }) => pattern)
  ].filter(place => !names.some(name => isIn(name, [place]))), [])
  const present = new Set(Array.from(uses).flatMap(([name, all]) => all.map(({ what }) => `${roomOf(name)} imports ${roomOf(what.slice('import '.length))}`)))
  t.same(rooms.flatMap(({ room, knows }) => knows.map(name => `${room} imports ${name}`)).filter(text => !present.has(text)), [])
})

test('the map has every folder and every file of src, and no other', async t => {
  const [map = []] = blocksOf(sourceMap, '')
  const mapped = map.map(line => /^([\w./-]+) {2,}\S/.exec(line)?.[1] ?? line)
  const entries = (await readdir(src, { withFileTypes: true })).map(entry => entry.isDirectory() ? `${entry.name}/` : entry.name)
  t.same(mapped.filter(name => !/.\/./.test(name)).sort(), entries.filter(name => name !== 'README.md').sort())
  for (const name of mapped) t.ok((await stat(join(src, name))).isDirectory() === name.endsWith('/'), name)
})
