import ts from 'typescript'
import { importOf } from './sources.ts'

/** The number of leaves of the syntax tree that have a text. Comments are none. */
export function tokensIn (node: ts.Node): number {
  const source = node.getSourceFile()
  if (ts.isJSDoc(node) || node.getWidth(source) === 0) return 0
  return Math.max(1, node.getChildren(source).reduce((sum, child) => sum + tokensIn(child), 0))
}

/** A node and all below it, from TypeScript's own walk: without punctuation and comments. */
function nodesIn (node: ts.Node, nodes: ts.Node[] = []): ts.Node[] {
  nodes.push(node)
  ts.forEachChild(node, child => { nodesIn(child, nodes) })
  return nodes
}

/** The names of the interfaces, types and classes at the top of a file. */
export function typesIn ({ statements }: ts.SourceFile): string[] {
  return statements.flatMap(statement =>
    ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement) || ts.isClassDeclaration(statement)
      ? statement.name?.text ?? []
      : [])
}

/** The files and packages that a file imports. */
export function importsIn (source: ts.SourceFile): Set<string> {
  return new Set(nodesIn(source).flatMap(node => importOf(node)?.module ?? []))
}

/** The methods that only call one of the same name, with their own parameters. */
export function forwardersIn (source: ts.SourceFile): string[] {
  return nodesIn(source).filter(isMethod).flatMap(method => {
    const name = (ts.isMethodDeclaration(method) ? method : method.parent).name.getText()
    const call = onlyExpression(method)
    if (call === undefined || !ts.isCallExpression(call)) return []
    const { expression: called, arguments: given } = call
    const isSame = ts.isPropertyAccessExpression(called) && called.name.text === name
    return isSame && namesOf(method) === String(given.map(argument => argument.getText())) ? name : []
  })
}

type Method = ts.MethodDeclaration |
  ((ts.ArrowFunction | ts.FunctionExpression) & { parent: ts.PropertyAssignment | ts.PropertyDeclaration })

/** Whether a node is a method, or a property that is a function. */
function isMethod (node: ts.Node): node is Method {
  const isFunction = ts.isArrowFunction(node) || ts.isFunctionExpression(node)
  return ts.isMethodDeclaration(node) ||
    (isFunction && (ts.isPropertyAssignment(node.parent) || ts.isPropertyDeclaration(node.parent)))
}

/** The parameters of a method, as it would pass them on. */
function namesOf ({ parameters }: Method): string {
  return String(parameters.map(({ dotDotDotToken, name }) => `${dotDotDotToken ? '...' : ''}${name.getText()}`))
}

/** The expression that is all that a method does, whether or not it waits for it. */
function onlyExpression ({ body }: Method): ts.Expression | undefined {
  if (body === undefined || !ts.isBlock(body)) return body && awaited(body)
  const [statement, ...others] = body.statements
  if (statement === undefined || others.length > 0) return undefined
  const isExpression = ts.isReturnStatement(statement) || ts.isExpressionStatement(statement)
  return isExpression && statement.expression ? awaited(statement.expression) : undefined
}

function awaited (expression: ts.Expression): ts.Expression {
  const isWaiting = ts.isAwaitExpression(expression) || ts.isYieldExpression(expression)
  return isWaiting && expression.expression ? awaited(expression.expression) : expression
}
