import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { exchangesFolder } from './conformance.ts'

/**
 * After the tests: every documented pair of operation and status, and every documented code, was answered in some test.
 * Prints the counts; exits with 1 and a list of what no test has produced.
 */
const document = JSON.parse(readFileSync(fileURLToPath(new URL('../openapi/openapi.json', import.meta.url)), 'utf8'))
const lines = readdirSync(exchangesFolder).flatMap(name => readFileSync(`${exchangesFolder}/${name}`, 'utf8').trimEnd().split('\n'))
rmSync(exchangesFolder, { recursive: true })

const seen = new Set<string>()
for (const line of lines) {
  const [operation, status, code] = line.split(' ')
  seen.add(`${operation} ${status}`)
  if (code !== '') seen.add(`${operation} ${status} ${code}`)
}

interface Operation { operationId: string, responses: Record<string, { content?: Record<string, { examples?: Record<string, unknown> }> }> }
const operations = Object.values<Record<string, Operation>>(document.paths).flatMap(item => Object.values(item))
const pairs = operations.flatMap(({ operationId, responses }) => Object.keys(responses).map(status => `${operationId} ${status}`))
const codes = Object.keys(document.components.examples)
const seenCodes = new Set([...seen].map(entry => entry.split(' ')[2]))

const missing = [...pairs.filter(pair => !seen.has(pair)), ...codes.filter(code => !seenCodes.has(code)).map(code => `code ${code}`)]
console.log(`${operations.length} operations, ${pairs.length} documented answers, ${pairs.length - missing.filter(entry => !entry.startsWith('code')).length} exercised; ${codes.length} codes; ${lines.length} exchanges held against the document`)
for (const entry of missing) console.log(`never answered: ${entry}`)
process.exitCode = missing.length === 0 ? 0 : 1
