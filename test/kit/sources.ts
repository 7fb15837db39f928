import { readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { root } from './root.ts'

export const src = join(root, 'src')

/** The files of src whose names fit a pattern, parsed, by name. */
export async function readSources (pattern: RegExp): Promise<Map<string, ts.SourceFile>> {
  const names = (await readdir(src, { recursive: true })).filter(name => pattern.test(name)).sort()
  return new Map(await Promise.all(names.map(async (name): Promise<[string, ts.SourceFile]> =>
    [name, ts.createSourceFile(name, await readFile(join(src, name), 'utf8'), ts.ScriptTarget.Latest, true)])))
}

/** The module that a node imports; undefined unless it does. A file of src is its name. */
export function importOf (node: ts.Node): { module: string, isType: boolean } | undefined {
  const specifier = specifierOf(node)
  if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return undefined
  const { text } = specifier
  const isType = ts.isImportTypeNode(node) || (ts.isImportDeclaration(node) && isTypeImport(node))
  const folder = posix.dirname(node.getSourceFile().fileName)
  return { module: text.startsWith('.') ? posix.join(folder, text) : text, isType }
}

function specifierOf (node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node)) return node.moduleSpecifier
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return node.argument.literal
  return isImportCall(node) ? node.arguments[0] : undefined
}

export function isImportCall (node: ts.Node): node is ts.ImportCall {
  return ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
}

function isTypeImport ({ importClause }: ts.ImportDeclaration): boolean {
  if (importClause === undefined) return false
  const { namedBindings, name } = importClause
  if (importClause.isTypeOnly) return true
  return name === undefined && namedBindings !== undefined &&
    ts.isNamedImports(namedBindings) && namedBindings.elements.every(element => element.isTypeOnly)
}
