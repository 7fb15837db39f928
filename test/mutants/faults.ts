import ts from 'typescript'

/** One change of a compiled file that makes it wrong, or is equivalent: a person decides that of what no test finds. */
export interface Fault {
  /** What is replaced: offsets in the text of the file. */
  readonly start: number
  readonly end: number
  readonly text: string
}

const { SyntaxKind } = ts

const OPERATORS: Readonly<Record<number, string>> = {
  [SyntaxKind.LessThanToken]: '<=',
  [SyntaxKind.LessThanEqualsToken]: '<',
  [SyntaxKind.GreaterThanToken]: '>=',
  [SyntaxKind.GreaterThanEqualsToken]: '>',
  [SyntaxKind.EqualsEqualsEqualsToken]: '!==',
  [SyntaxKind.ExclamationEqualsEqualsToken]: '===',
  [SyntaxKind.AmpersandAmpersandToken]: '||',
  [SyntaxKind.BarBarToken]: '&&',
  [SyntaxKind.MinusToken]: '+',
  [SyntaxKind.AsteriskToken]: '/',
  [SyntaxKind.SlashToken]: '*'
}

const LITERALS: Readonly<Record<number, string>> = {
  [SyntaxKind.TrueKeyword]: 'false',
  [SyntaxKind.FalseKeyword]: 'true'
}

/** An act whose result nobody uses: `await sync()`, `yield* remove()`, `release()`. */
function isAct (node: ts.Node): boolean {
  if (!ts.isExpressionStatement(node)) return false
  let { expression } = node
  while (ts.isAwaitExpression(expression) || ts.isVoidExpression(expression)) expression = expression.expression
  return ts.isCallExpression(expression) || (ts.isYieldExpression(expression) && expression.expression !== undefined)
}

/** All faults of a compiled file: other operators and numbers, conditions inverted, acts left out. */
export function faultsOf (text: string): Fault[] {
  const source = ts.createSourceFile('file.js', text, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS)
  const faults: Fault[] = []
  const replace = (node: ts.Node, by: string) => {
    faults.push({ start: node.getStart(source), end: node.getEnd(), text: by })
  }

  function visit (node: ts.Node): void {
    const operator = ts.isBinaryExpression(node) ? OPERATORS[node.operatorToken.kind] : undefined
    if (ts.isBinaryExpression(node) && operator !== undefined) replace(node.operatorToken, operator)
    const literal = LITERALS[node.kind]
    if (literal !== undefined) replace(node, literal)
    const isKey = ts.isPropertyAssignment(node.parent) && node.parent.name === node
    if (ts.isNumericLiteral(node) && !isKey) replace(node, `(${node.getText(source)} + 1)`)
    if (ts.isIfStatement(node)) replace(node.expression, `!(${node.expression.getText(source)})`)
    if (ts.isConditionalExpression(node)) replace(node.condition, `!(${node.condition.getText(source)})`)
    if (isAct(node)) replace(node, ';')
    ts.forEachChild(node, visit)
  }

  ts.forEachChild(source, node => { if (!ts.isImportDeclaration(node)) visit(node) })
  return faults
}
